use std::fmt::{self, Write};

use crate::stack_text::StackText;

/// A JSON number: an integer of any size, or a float. `NaN` and `Infinity` are not JSON, but read and written as in Python.
///
/// ```
/// use flipper::json::Number;
///
/// assert_eq!(Number::from(7).to_string(), "7");
/// assert_eq!(Number::from(u128::MAX).as_i64(), None);
/// assert_eq!(Number::from_f64(1e22).map(|n| n.to_string()).as_deref(), Some("1e+22"));
/// assert_eq!(Number::from_f64(f64::NAN), None);
/// ```
#[derive(Clone)]
pub struct Number(Repr);

#[derive(Clone)]
enum Repr {
    Int(i64),
    /// Outside `i64`: canonical decimal digits, with or without a `-`.
    Big(Box<str>),
    Float(f64),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum NumberRef<'a> {
    Int(i64),
    /// As in `Repr`.
    Big(&'a str),
    Float(f64),
}

impl Number {
    /// A float, if it is finite.
    #[must_use]
    pub fn from_f64(value: f64) -> Option<Self> {
        value.is_finite().then_some(Self(Repr::Float(value)))
    }

    /// The integer, if it is one within `i64`; `1.0` is a float.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Repr::Int(value) = self.0 { Some(value) } else { None }
    }

    /// The nearest `f64`, NaN and infinities too; `None` for an integer beyond its range.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self.as_ref() {
            NumberRef::Int(value) => Some(value as f64),
            NumberRef::Big(digits) => digits.parse().ok().filter(|value: &f64| value.is_finite()),
            NumberRef::Float(value) => Some(value),
        }
    }

    pub(crate) fn as_ref(&self) -> NumberRef<'_> {
        match &self.0 {
            Repr::Int(value) => NumberRef::Int(*value),
            Repr::Big(digits) => NumberRef::Big(digits),
            Repr::Float(value) => NumberRef::Float(*value),
        }
    }

    pub(super) fn of_python(value: f64) -> Self {
        // All NaNs are equal, as their texts are.
        Self(Repr::Float(if value.is_nan() { f64::NAN } else { value }))
    }

    /// Digits without leading zeros, with or without a `-`.
    pub(super) fn from_integer_text(text: &str) -> Self {
        // `i64` refuses only numbers out of its range, and accepts "-0", so the digits are canonical.
        text.parse().map_or_else(|_| Self(Repr::Big(text.into())), |value| Self(Repr::Int(value)))
    }
}

/// Equal numbers have the same text: integers equal only integers and floats only floats, and `-0.0` is not `0.0`.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a == b,
            (Repr::Big(a), Repr::Big(b)) => a == b,
            (Repr::Float(a), Repr::Float(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }
}

impl Eq for Number {}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_ref() {
            NumberRef::Int(value) => write!(f, "{value}"),
            NumberRef::Big(digits) => f.write_str(digits),
            NumberRef::Float(value) => write_float(f, value),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// As Python's `repr`: the shortest digits that parse to the same float, with an exponent below -4 or above 15.
pub(crate) fn write_float(out: &mut impl Write, value: f64) -> fmt::Result {
    if !value.is_finite() {
        let sign = if value < 0.0 { "-" } else { "" };
        return write!(out, "{sign}{}", if value.is_nan() { "NaN" } else { "Infinity" });
    }
    let text = shortest(value)?;
    let (sign, text) = text.as_str().strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    out.write_str(sign)?;
    if !(-4..16).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(out, "{mantissa}e{sign}{:02}", exponent.unsigned_abs());
    }
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let places = exponent.unsigned_abs() as usize;
    if exponent < 0 {
        return write!(out, "0.{:0<zeros$}{first}{rest}", "", zeros = places - 1);
    }
    match rest.split_at_checked(places) {
        Some((whole, "")) => write!(out, "{first}{whole}.0"),
        Some((whole, fraction)) => write!(out, "{first}{whole}.{fraction}"),
        None => write!(out, "{first}{rest:0<places$}.0"),
    }
}

/// The shortest digits that parse to the same float, and the nearest of those. Of two equally near ones (16 digits or more) Python takes
/// the even one and Rust the larger: 955681697806163.25 is `….2`.
fn shortest(value: f64) -> Result<StackText<32>, fmt::Error> {
    let mut text = StackText::new();
    write!(text, "{value:e}")?;
    let digits = text.as_str().bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    if digits < 16 {
        return Ok(text);
    }
    // Rounds half to even, but may come out too low at a power of two.
    let mut even = StackText::new();
    write!(even, "{value:.*e}", digits - 1)?;
    Ok(if even.as_str().parse() == Ok(value) { even } else { text })
}

macro_rules! from_integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Number {
            fn from(value: $integer) -> Self {
                match i64::try_from(value) {
                    Ok(value) => Self(Repr::Int(value)),
                    Err(_) => Self(Repr::Big(value.to_string().into())),
                }
            }
        }
    )*};
}
from_integers!(i32, i64, u32, u64, usize, i128, u128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_python_does() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1e-7, "1e-07"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.00001, "1e-05"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1e22, "1e+22"),
            (9007199254740993.0, "9007199254740992.0"),
            (1234567890123456.8, "1234567890123456.8"),
            (123.456, "123.456"),
            (955681697806163.2, "955681697806163.2"),
            (-955681697806163.8, "-955681697806163.8"),
            (5.684341886080802e-14, "5.684341886080802e-14"),
            (-1200.0, "-1200.0"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
        ];
        for (value, text) in cases {
            assert_eq!(Number::from_f64(value).unwrap().to_string(), text);
        }
    }

    #[test]
    fn integers_beyond_i64_keep_their_digits() {
        assert_eq!(Number::from_integer_text("-0").to_string(), "0");
        assert_eq!(Number::from_integer_text("9223372036854775808"), Number::from(1_u64 << 63));
        assert_eq!(Number::from_integer_text("-9223372036854775808").as_i64(), Some(i64::MIN));
        assert_eq!(Number::from_integer_text(&"9".repeat(400)).as_f64(), None);
    }
}
