//! What a flag may be called.

/// In bytes. A test compares these rules with `flipper::store::validate_new_name`.
const MAX: usize = 255;

pub(crate) fn check(name: &str) -> std::result::Result<(), String> {
    if name.is_empty() {
        return Err("a flag's name cannot be empty: give it 1 to 255 bytes, as in `\"MY_FEATURE\"`".to_owned());
    }
    if name.len() > MAX {
        return Err(format!("this flag's name has {} bytes: shorten it to at most {MAX}", name.len()));
    }
    match name.chars().find(|c| *c == '/' || c.is_control()) {
        Some('/') => Err("a flag's name cannot have a `/`: write `_`, `-` or `.` instead".to_owned()),
        Some(c) => Err(format!("a flag's name cannot have control characters: take out {c:?}")),
        None => Ok(()),
    }
}
