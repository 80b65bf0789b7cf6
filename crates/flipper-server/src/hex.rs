/// 16 digits, as `{:016x}` writes them in much longer: each answer has two such numbers.
pub(crate) fn digits(value: u64) -> [u8; 16] {
    std::array::from_fn(|place| b"0123456789abcdef"[(value >> (60 - 4 * place) & 15) as usize])
}

pub(crate) fn push(value: u64, out: &mut String) {
    out.extend(std::str::from_utf8(&digits(value)));
}

#[cfg(test)]
mod tests {
    #[test]
    fn as_formatted() {
        for value in [0, 1, 0x0123_4567_89ab_cdef, u64::MAX] {
            let mut out = String::new();
            super::push(value, &mut out);
            assert_eq!(out, format!("{value:016x}"));
        }
    }
}
