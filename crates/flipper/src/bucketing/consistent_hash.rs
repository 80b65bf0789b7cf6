use std::fmt::{self, Write};

use super::AnyPercentage;
use super::hash::{Sha1Text, modulo_100, write_value};
use crate::conditions::Operator;
use crate::conditions::compare::holds;
use crate::context::Attributes;
use crate::json::{Json, Object, write_string};
use crate::names::Names;
use crate::{Error, Result};

/// An argument of Python's bucketer, which therefore never sees it as an attribute.
pub(super) const NOT_HASHED: &str = "randomizer";

/// Up to this many attributes are sorted on the stack.
const FEW: usize = 8;

/// A share of all callers, by a hash of their attributes: the same caller gets the same answer, in Python and Rust.
///
/// The attributes (of the whitelist, if there is one), sorted by name, are hashed by SHA-1 as Python's JSON, `[["plan", "pro"], ["user_id",
/// 7]]`. The score is the hash modulo 100, divided by 100; the flag is on when it is at most the percentage.
///
/// ```
/// use flipper::context;
/// use flipper::bucketing::ConsistentHashPercentageBucketer;
///
/// let bucketer = ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["user_id"]);
/// let context = context! { plan: "pro", user_id: 1 };
/// assert_eq!(bucketer.hash_input(&context), r#"[["user_id", 1]]"#);
/// assert_eq!(bucketer.score(&context), 0.48);
/// ```
///
/// # Known weaknesses
///
/// It copies the Python library, with weaknesses (see the [guide](crate::_guide::evaluation)) that
/// [`SaltedPercentageBucketer`](crate::bucketing::SaltedPercentageBucketer) lacks:
///
/// - The percentage itself is in: 10 % turns on **11** of 100 buckets, 50 % 51, 99 % all, 0.5 % one, only 0 none.
/// - The flag's name is **not** hashed: the same users come first in every flag.
/// - Without a whitelist an additional attribute moves the user.
/// - A check with no attribute to hash has the score 0.32; see [`Bucket::is_shared`](crate::evaluation::Bucket::is_shared).
/// - `1`, `1.0` and `"1"` are different users.
/// - An attribute named `randomizer` is never hashed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ConsistentHashPercentageBucketer {
    percentage: AnyPercentage,
    whitelist: Names,
    /// Other stored elements: they match no attribute, but make the whitelist non-empty.
    others: Vec<Json>,
}

impl ConsistentHashPercentageBucketer {
    pub(crate) const TYPE: &str = "ConsistentHashPercentageBucketer";

    /// This share of callers, from 0 to 1; [`Percentage::percent`](crate::bucketing::Percentage::percent) takes 0 to 100.
    #[must_use]
    pub fn new(percentage: impl Into<AnyPercentage>) -> Self {
        Self { percentage: percentage.into(), ..Self::default() }
    }

    /// Adds names of attributes to hash; without any, all are.
    #[must_use]
    pub fn key_whitelist<K: AsRef<str>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        for key in keys {
            self.whitelist.add(key.as_ref());
        }
        self
    }

    /// The share.
    #[must_use]
    pub fn percentage(&self) -> &AnyPercentage {
        &self.percentage
    }

    /// The attributes to hash; if none, all are.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.whitelist.iter()
    }

    /// The caller's score, from 0.00 to 0.99.
    #[must_use]
    pub fn score(&self, attributes: &(impl Attributes + ?Sized)) -> f64 {
        let mut hasher = Sha1Text::new();
        // Does not fail.
        let _ = self.write_input(attributes, &mut hasher);
        modulo_100(hasher.finish()) as f64 / 100.0
    }

    /// The hashed text, to find out why a caller is in or out.
    #[must_use]
    pub fn hash_input(&self, attributes: &(impl Attributes + ?Sized)) -> String {
        let mut text = String::new();
        // Does not fail.
        let _ = self.write_input(attributes, &mut text);
        text
    }

    /// With their places.
    fn hashed<'a>(&'a self, attributes: &'a (impl Attributes + ?Sized)) -> impl Iterator<Item = (usize, &'a str)> + 'a {
        let all = self.hashes_all();
        (0..attributes.len())
            .map(|index| (index, attributes.attribute(index).0))
            .filter(move |(_, name)| *name != NOT_HASHED && (all || self.whitelist.place(name).is_some()))
    }

    /// Whether it has no whitelist.
    pub(super) fn hashes_all(&self) -> bool {
        self.whitelist.is_empty() && self.others.is_empty()
    }

    /// The only attribute that it hashes, if the whitelist has one.
    pub(super) fn only_key(&self) -> Option<&str> {
        let only = self.whitelist.iter().next().filter(|key| *key != NOT_HASHED)?;
        (self.whitelist.len() == 1 && self.others.is_empty()).then_some(only)
    }

    /// Whether there is anything to hash; see `Bucket::is_shared`.
    pub(crate) fn hashes_any(&self, attributes: &(impl Attributes + ?Sized)) -> bool {
        self.hashed(attributes).next().is_some()
    }

    fn write_input(&self, attributes: &(impl Attributes + ?Sized), out: &mut impl Write) -> fmt::Result {
        let mut few = [(0, 0); FEW];
        let mut count = 0;
        let mut many = Vec::new();
        for (index, name) in self.hashed(attributes) {
            let place = (first_bytes(name), index);
            if count < FEW {
                few[count] = place;
            } else {
                if many.is_empty() {
                    many.extend_from_slice(&few);
                }
                many.push(place);
            }
            count += 1;
        }
        let sorted = if count > FEW { many.as_mut_slice() } else { &mut few[..count] };
        if sorted.len() > 1 {
            let name = |index| attributes.attribute(index).0;
            sorted.sort_by(|(a, i), (b, j)| a.cmp(b).then_with(|| name(*i).cmp(name(*j))));
        }
        out.write_str("[")?;
        let mut before = "[";
        for (_, index) in sorted {
            let (name, value) = attributes.attribute(*index);
            out.write_str(before)?;
            write_string(name, out)?;
            out.write_str(", ")?;
            write_value(value, out)?;
            out.write_str("]")?;
            before = ", [";
        }
        out.write_str("]")
    }

    /// Reads the whitelist as Python's `set()` does: a list, the characters of a string, the keys of an object.
    pub(crate) fn from_json(fields: &Object) -> Result<Self> {
        let mut bucketer = Self { percentage: AnyPercentage::from_fields(fields)?, ..Self::default() };
        match fields.get("key_whitelist") {
            None => {}
            Some(Json::Array(keys)) => {
                for key in keys {
                    bucketer.add_stored(key)?;
                }
            }
            Some(Json::String(text)) => {
                let mut buffer = [0; 4];
                for character in text.chars() {
                    bucketer.whitelist.add(character.encode_utf8(&mut buffer));
                }
            }
            Some(Json::Object(object)) => bucketer = bucketer.key_whitelist(object.keys()),
            Some(_) => return Err(Error::corrupt("key_whitelist is not a list")),
        }
        Ok(bucketer)
    }

    fn add_stored(&mut self, key: &Json) -> Result<()> {
        match key {
            Json::String(key) => {
                self.whitelist.add(key);
            }
            Json::Array(_) | Json::Object(_) => return Err(Error::corrupt("key_whitelist holds a list or an object")),
            other => {
                let same = |known: &Json| holds(known.into(), Operator::Eq, other.into()) == Ok(true);
                if !self.others.iter().any(same) {
                    self.others.push(other.clone());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn write_fields(&self, fields: &mut Object) {
        fields.insert("percentage", self.percentage.to_json());
        let keys = self.whitelist.iter().map(Json::from).chain(self.others.iter().cloned());
        fields.insert("key_whitelist", Json::Array(keys.collect()));
    }
}

/// In the order of names, as far as eight bytes show it: most names need no more.
fn first_bytes(name: &str) -> u64 {
    let name = name.as_bytes();
    if let Some(first) = name.first_chunk() {
        return u64::from_be_bytes(*first);
    }
    let missing = 8 * (8 - name.len() as u32);
    match (name.first_chunk(), name.last_chunk()) {
        // What both have is shifted out of the second.
        (Some(first), Some(last)) => {
            u64::from(u32::from_be_bytes(*first)) << 32 | u64::from(u32::from_be_bytes(*last).unbounded_shl(missing))
        }
        _ => name.iter().fold(0_u64, |bytes, byte| (bytes << 8) | u64::from(*byte)).unbounded_shl(missing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;

    #[test]
    fn scores_are_pythons() {
        let bucketer = ConsistentHashPercentageBucketer::new(0.5);
        assert_eq!(bucketer.score(&context! {}), 0.32);
        assert_eq!(bucketer.score(&context! { user_id: 1 }), 0.48);
        assert_eq!(bucketer.score(&context! { user_id: 2 }), 0.94);
        assert_eq!(bucketer.score(&context! { user_id: 1.0 }), 0.9);
        assert_eq!(bucketer.score(&context! { user_id: "1" }), 0.47);
        assert_eq!(bucketer.score(&context! { user_id: true }), 0.7);
        assert_eq!(bucketer.score(&context! { user_id: None::<i64> }), 0.8);
    }

    #[test]
    fn many_attributes_are_sorted_too() {
        let context = context! { i: 1, h: 2, g: 3, f: 4, e: 5, d: 6, c: 7, b: 8, a: [f64::NAN, -f64::INFINITY] };
        assert_eq!(
            ConsistentHashPercentageBucketer::new(0.5).hash_input(&context),
            r#"[["a", [NaN, -Infinity]], ["b", 8], ["c", 7], ["d", 6], ["e", 5], ["f", 4], ["g", 3], ["h", 2], ["i", 1]]"#
        );
    }

    #[test]
    fn first_bytes_are_in_the_order_of_names() {
        let names = ["", "\0", "a", "a\0", "aa", "abcdefg", "abcdefgh", "abcdefgha", "abcdefghb", "b", "é"];
        for (one, other) in names.iter().zip(&names[1..]) {
            assert!((first_bytes(one), one) < (first_bytes(other), other), "{one:?} {other:?}");
        }
    }

    #[test]
    fn whitelist_is_what_python_makes_a_set_of() {
        let keys = |whitelist: &str| {
            let fields = Json::parse(&format!(r#"{{"key_whitelist": {whitelist}}}"#)).unwrap();
            let bucketer = ConsistentHashPercentageBucketer::from_json(fields.as_object().unwrap()).ok()?;
            let mut fields = Object::new();
            bucketer.write_fields(&mut fields);
            fields.get("key_whitelist").map(Json::to_string)
        };
        assert_eq!(keys(r#"["b", "a", "b"]"#).unwrap(), r#"["b", "a"]"#);
        assert_eq!(keys(r#""aba""#).unwrap(), r#"["a", "b"]"#);
        assert_eq!(keys(r#"{"a": 1}"#).unwrap(), r#"["a"]"#);
        assert_eq!(keys(r#"[1, true, 1.0, null]"#).unwrap(), "[1, null]");
        for bad in ["null", "5", "[[]]", "[{}]", "true"] {
            assert_eq!(keys(bad), None, "{bad}");
        }
    }
}
