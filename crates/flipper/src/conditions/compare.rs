//! Python's comparisons, as [`Condition`](super::Condition) describes.

use std::cmp::Ordering;
use std::fmt::Write;

use super::Operator;
use crate::context::ValueType;
use crate::context::operand::Operand;
use crate::stack_text::StackText;

/// How deep containers are compared. Only a list of a context can nest deeper, and has no answer.
const MAX_DEPTH: usize = 512;

/// The operator cannot compare them; Python raises `TypeError`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) actual: ValueType,
    pub(crate) expected: ValueType,
}

impl Mismatch {
    fn of(left: Operand<'_>, right: Operand<'_>) -> Self {
        Self { actual: left.value_type(), expected: right.value_type() }
    }
}

pub(crate) type Compared = Result<bool, Mismatch>;

/// `left`: the attribute; `right`: the stored value.
pub(crate) fn holds(left: Operand<'_>, operator: Operator, right: Operand<'_>) -> Compared {
    match operator {
        Operator::Eq => equal(left, right, 0),
        Operator::Ne => equal(left, right, 0).map(|equal| !equal),
        Operator::In => contains(right, left),
        Operator::NotIn => contains(right, left).map(|contained| !contained),
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => ordered(left, operator, right, 0),
    }
}

fn equal(left: Operand<'_>, right: Operand<'_>, depth: usize) -> Compared {
    if depth > MAX_DEPTH {
        return Err(Mismatch::of(left, right));
    }
    if let Some(ordering) = numbers(left, right) {
        return Ok(ordering == Some(Ordering::Equal));
    }
    match (left, right) {
        (Operand::Null, Operand::Null) => Ok(true),
        (Operand::Str(left), Operand::Str(right)) => Ok(left == right),
        (Operand::List(left), Operand::List(right)) => {
            if left.len() != right.len() {
                return Ok(false);
            }
            for (left, right) in left.iter().zip(right.iter()) {
                if !equal(left, right, depth + 1)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Operand::Object(left), Operand::Object(right)) => {
            left.matches(right, |left, right| equal(left.into(), right.into(), depth + 1))
        }
        (Operand::LoneSurrogates(left), Operand::LoneSurrogates(right)) => Ok(left == right),
        _ => Ok(false),
    }
}

fn ordered(left: Operand<'_>, operator: Operator, right: Operand<'_>, depth: usize) -> Compared {
    if depth > MAX_DEPTH {
        return Err(Mismatch::of(left, right));
    }
    if let Some(ordering) = numbers(left, right) {
        return Ok(ordering.is_some_and(|ordering| decide(ordering, operator)));
    }
    match (left, right) {
        (Operand::Str(left), Operand::Str(right)) => Ok(decide(left.cmp(right), operator)),
        (Operand::List(left), Operand::List(right)) => {
            for (left, right) in left.iter().zip(right.iter()) {
                if !equal(left, right, depth + 1)? {
                    return ordered(left, operator, right, depth + 1);
                }
            }
            Ok(decide(left.len().cmp(&right.len()), operator))
        }
        _ => match (code_points(left), code_points(right)) {
            (Some(left), Some(right)) => Ok(decide(left.cmp(&right), operator)),
            _ => Err(Mismatch::of(left, right)),
        },
    }
}

/// Used if one of two strings has lone surrogates.
fn code_points(operand: Operand<'_>) -> Option<Vec<u32>> {
    match operand {
        Operand::Str(text) => Some(text.chars().map(u32::from).collect()),
        Operand::LoneSurrogates(text) => Some(text.code_points().collect()),
        _ => None,
    }
}

fn decide(ordering: Ordering, operator: Operator) -> bool {
    by_order(ordering, operator).unwrap_or_default()
}

/// `None` for `in` and `not in`.
#[inline]
pub(crate) fn by_order(ordering: Ordering, operator: Operator) -> Option<bool> {
    match operator {
        Operator::Eq => Some(ordering.is_eq()),
        Operator::Ne => Some(ordering.is_ne()),
        Operator::Gt => Some(ordering.is_gt()),
        Operator::Gte => Some(ordering.is_ge()),
        Operator::Lt => Some(ordering.is_lt()),
        Operator::Lte => Some(ordering.is_le()),
        Operator::In | Operator::NotIn => None,
    }
}

/// Python's `item in container`: an equal element, a substring, or a key.
fn contains(container: Operand<'_>, item: Operand<'_>) -> Compared {
    match (container, item) {
        (Operand::List(items), _) => {
            for element in items.iter() {
                if equal(item, element, 1)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (Operand::Str(text), Operand::Str(part)) => Ok(text.contains(part)),
        (Operand::Object(_), Operand::List(_) | Operand::Object(_)) => Err(Mismatch::of(item, container)),
        (Operand::Object(object), Operand::Str(key)) => Ok(object.contains_key(key)),
        (Operand::Object(object), Operand::LoneSurrogates(key)) => Ok(object.has_lone(key)),
        (Operand::Object(_), _) => Ok(false),
        _ => match (code_points(container), code_points(item)) {
            (Some(text), Some(part)) => Ok(part.is_empty() || text.windows(part.len()).any(|found| found == part)),
            _ => Err(Mismatch::of(item, container)),
        },
    }
}

/// `Some(None)` with a NaN, `None` unless both are numbers.
#[expect(clippy::option_option, reason = "not numbers, and numbers without an order, are two answers")]
fn numbers(left: Operand<'_>, right: Operand<'_>) -> Option<Option<Ordering>> {
    let (left, right) = (number(left)?, number(right)?);
    Some(match (left, right) {
        (Operand::Int(left), Operand::Int(right)) => Some(left.cmp(&right)),
        (Operand::Float(left), Operand::Float(right)) => left.partial_cmp(&right),
        (Operand::Int(left), Operand::Float(right)) => int_with_float(left, right),
        (Operand::Float(left), Operand::Int(right)) => int_with_float(right, left).map(Ordering::reverse),
        (Operand::Big(left), Operand::Float(right)) => big_with_float(left, right),
        (Operand::Float(left), Operand::Big(right)) => big_with_float(right, left).map(Ordering::reverse),
        (Operand::Big(left), Operand::Big(right)) => Some(bigs(left, right)),
        (Operand::Big(left), _) => Some(sign(left)),
        (_, Operand::Big(right)) => Some(sign(right).reverse()),
        _ => return None,
    })
}

fn number(operand: Operand<'_>) -> Option<Operand<'_>> {
    match operand {
        Operand::Bool(value) => Some(Operand::Int(value.into())),
        Operand::Int(_) | Operand::Big(_) | Operand::Float(_) => Some(operand),
        _ => None,
    }
}

fn sign(big: &str) -> Ordering {
    if big.starts_with('-') { Ordering::Less } else { Ordering::Greater }
}

fn bigs(left: &str, right: &str) -> Ordering {
    match (left.strip_prefix('-'), right.strip_prefix('-')) {
        (None, None) => magnitudes(left, right),
        (Some(left), Some(right)) => magnitudes(right, left),
        _ => sign(left),
    }
}

/// Of digits without leading zeros.
fn magnitudes(left: &str, right: &str) -> Ordering {
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

fn int_with_float(int: i128, float: f64) -> Option<Ordering> {
    /// The first float above every `i128`.
    const LIMIT: f64 = 170_141_183_460_469_231_731_687_303_715_884_105_728.0;
    if float.is_nan() {
        return None;
    }
    if float >= LIMIT {
        return Some(Ordering::Less);
    }
    if float < -LIMIT {
        return Some(Ordering::Greater);
    }
    let whole = float.trunc();
    match int.cmp(&(whole as i128)) {
        Ordering::Equal => whole.partial_cmp(&float),
        other => Some(other),
    }
}

fn big_with_float(big: &str, float: f64) -> Option<Ordering> {
    if float.is_nan() {
        return None;
    }
    // The digits of the largest float, and a sign.
    let mut digits = StackText::<310>::new();
    // A float of 39 or more digits has no fraction, and is written exactly; a shorter one is smaller.
    if !float.is_finite() || write!(digits, "{:.0}", float.trunc()).is_err() {
        return Some(if float > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    Some(bigs(big, digits.as_str()))
}

#[cfg(test)]
mod tests;
