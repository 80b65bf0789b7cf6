use std::fmt::{self, Write};

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::AnyPercentage;
use super::hash::{Digits, write_value};
use crate::context::{Attributes, Value};
use crate::json::{Json, Object};
use crate::stack_text::StackText;
use crate::{Error, Result};

/// Each of 0.001 %.
const BUCKETS: u32 = 100_000;
/// Any number fits.
const SHORT: usize = 48;

/// A share of all callers, in steps of 0.001 %, by a hash of one attribute and the flag's name. Raising it never turns a caller off. **The
/// Python library cannot load it** and raises `InvalidBucketerTypeError`.
///
/// ```
/// use flipper::Bucketer;
/// use flipper::bucketing::SaltedPercentageBucketer;
///
/// let bucketer = Bucketer::from(SaltedPercentageBucketer::new("user_id", 0.125));
/// ```
///
/// # Algorithm
///
/// The hash is the 64 bits of [XXH3](https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md). The flag's name is hashed with the
/// seed 0, and that hash is the seed for the attribute's value: a string by its UTF-8, any other by a zero byte and Python's `json.dumps` of
/// it. The hash modulo 100,000 is the bucket; the flag is on when that is less than the percentage times 100,000, rounded to the nearest
/// integer. In Python, with the package `xxhash`:
///
/// ```python
/// def bucket(name, value):
///     text = value.encode() if isinstance(value, str) else b"\0" + json.dumps(value).encode()
///     return xxhash.xxh3_64_intdigest(text, seed=xxhash.xxh3_64_intdigest(name.encode())) % 100_000
/// ```
///
/// Without the attribute it is on at 100 % only: [`NoBucketAttribute`](crate::evaluation::Reason::NoBucketAttribute). `7` and `"7"` are
/// different callers. Flags of one name under different base keys choose the same callers.
#[derive(Clone, Debug, PartialEq)]
pub struct SaltedPercentageBucketer {
    percentage: AnyPercentage,
    bucket_by: String,
}

impl SaltedPercentageBucketer {
    pub(crate) const TYPE: &str = "SaltedPercentageBucketer";

    /// This share of callers, from 0 to 1, distinguished by this attribute.
    #[must_use]
    pub fn new(bucket_by: impl Into<String>, percentage: impl Into<AnyPercentage>) -> Self {
        Self { percentage: percentage.into(), bucket_by: bucket_by.into() }
    }

    /// The share.
    #[must_use]
    pub fn percentage(&self) -> &AnyPercentage {
        &self.percentage
    }

    /// The attribute that distinguishes callers.
    #[must_use]
    pub fn bucket_by(&self) -> &str {
        &self.bucket_by
    }

    /// The caller's bucket, from 0 to 99,999, if the context has the attribute.
    #[must_use]
    pub fn bucket(&self, flag_name: &str, attributes: &(impl Attributes + ?Sized)) -> Option<u32> {
        self.bucket_with(seed_of_shares(flag_name), attributes)
    }

    #[inline]
    pub(crate) fn bucket_with(&self, seed: u64, attributes: &(impl Attributes + ?Sized)) -> Option<u32> {
        let index = (0..attributes.len()).find(|index| attributes.attribute(*index).0 == self.bucket_by)?;
        Some(bucket_at(seed, attributes, index))
    }

    /// The bucket of a value that is such bytes already, for other languages.
    #[doc(hidden)]
    #[must_use]
    pub fn bucket_of(flag_name: &str, value: &[u8]) -> u32 {
        hash(seed_of_shares(flag_name), value)
    }

    /// The first bucket that is not on.
    pub(super) fn end(percentage: f64) -> u64 {
        // Negative ones become 0.
        (percentage * f64::from(BUCKETS)).round() as u64
    }

    #[inline]
    pub(crate) fn takes(bucket: u32, percentage: f64) -> bool {
        u64::from(bucket) < Self::end(percentage)
    }

    pub(crate) fn takes_all(percentage: f64) -> bool {
        Self::end(percentage) >= u64::from(BUCKETS)
    }

    /// The bucket as a number from 0 to 0.99999, for display.
    pub(crate) fn score(bucket: u32) -> f64 {
        f64::from(bucket) / f64::from(BUCKETS)
    }

    pub(crate) fn from_json(fields: &Object) -> Result<Self> {
        let bucket_by = fields.get("bucket_by").and_then(Json::as_str);
        let bucket_by = bucket_by.ok_or_else(|| Error::corrupt("bucketer has no bucket_by"))?;
        Ok(Self::new(bucket_by, AnyPercentage::from_fields(fields)?))
    }

    pub(crate) fn write_fields(&self, fields: &mut Object) {
        fields.insert("percentage", self.percentage.to_json());
        fields.insert("bucket_by", self.bucket_by.as_str());
    }
}

/// Of the shares of a flag.
pub(crate) fn seed_of_shares(flag_name: &str) -> u64 {
    xxh3_64(flag_name.as_bytes())
}

/// Of its variants: who gets one must not depend on who is in a share.
pub(crate) fn seed_of_variants(flag_name: &str) -> u64 {
    xxh3_64_with_seed(flag_name.as_bytes(), 1)
}

/// Of the attribute at this index. Without a copy of a frequent value, as `ReadyCheck` has it.
#[inline(always)]
pub(crate) fn bucket_at<A: Attributes + ?Sized>(seed: u64, attributes: &A, index: usize) -> u32 {
    match attributes.attribute(index).1 {
        Value::Str(text) => hash(seed, text.as_bytes()),
        Value::Int(value) => hash(seed, Digits::after(0, value).as_bytes()),
        _ => bucket_of_any(seed, attributes.attribute(index).1),
    }
}

#[inline(never)]
fn bucket_of_any(seed: u64, value: Value<'_>) -> u32 {
    if let Value::Json(Json::String(text)) = value {
        return hash(seed, text.as_bytes());
    }
    let mut short = StackText::<SHORT>::new();
    if write(value, &mut short).is_ok() {
        return hash(seed, short.as_bytes());
    }
    let mut long = String::new();
    // Does not fail.
    let _ = write(value, &mut long);
    hash(seed, long.as_bytes())
}

fn hash(seed: u64, value: &[u8]) -> u32 {
    let hash = xxh3_64_with_seed(value, seed);
    // Less than 100,000.
    (hash % u64::from(BUCKETS)) as u32
}

/// What is no string. Strings in use do not begin so.
fn write(value: Value<'_>, out: &mut impl Write) -> fmt::Result {
    out.write_str("\0")?;
    write_value(value, out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;

    /// The function of the documentation in Python 3.11, with xxhash 3.6.0.
    #[test]
    fn vectors() {
        let by_id = SaltedPercentageBucketer::new("id", 0.5);
        let bucket = |flag: &str, value: Value<'_>| by_id.bucket(flag, &[("id", value)]).unwrap();
        assert_eq!(bucket("CHECKOUT", 7.into()), 1_889);
        assert_eq!(bucket("CHECKOUT", "7".into()), 64_719);
        assert_eq!(bucket("flag/é", "ü😀".into()), 21_404);
        assert_eq!(bucket("", Value::Null), 8_864);
        assert_eq!(bucket("a", 1e22.into()), 45_053);
        assert_eq!(bucket("a", "".into()), 52_216);
        assert_eq!(bucket("a", (&Json::parse(r#"[1, "x", {"k": true}]"#).unwrap()).into()), 76_473);
        assert_eq!(bucket("CHECKOUT", "u".repeat(300).as_str().into()), 97_368);
        assert_eq!(bucket("CHECKOUT", (&Json::from("7")).into()), bucket("CHECKOUT", "7".into()));
        let list = Json::Array((0..100).map(Json::from).collect());
        assert_eq!(bucket("CHECKOUT", (&list).into()), 11_768);
        assert_eq!(bucket(&"F".repeat(255), (-1).into()), 17_213);
        assert_eq!(by_id.bucket("CHECKOUT", &context! { other: 1 }), None);
    }

    const IDS: u32 = 1_000_000;

    fn bucket(flag_name: &str, value: Value<'_>) -> u32 {
        bucket_at(seed_of_shares(flag_name), &[("", value)], 0)
    }

    /// The buckets of numbers, and of strings that begin alike.
    fn buckets(flag: &str) -> [Vec<u32>; 2] {
        let numbers = (0..IDS).map(|id| bucket(flag, Value::from(id))).collect();
        let strings = (0..IDS).map(|id| bucket(flag, Value::from(format!("customer-{id:08}").as_str()))).collect();
        [numbers, strings]
    }

    #[test]
    fn all_buckets_are_as_likely() {
        const CLASSES: usize = 1_000;
        for flag in ["CHECKOUT", ""] {
            for ids in buckets(flag) {
                let mut counts = [0_u32; CLASSES];
                ids.iter().for_each(|bucket| counts[*bucket as usize * CLASSES / BUCKETS as usize] += 1);
                let expected = f64::from(IDS) / CLASSES as f64;
                let chi: f64 = counts.iter().map(|count| (f64::from(*count) - expected).powi(2) / expected).sum();
                // 999 degrees of freedom: 1 of 100,000 such sums of a random hash is below or above.
                assert!((815.0..1_205.0).contains(&chi), "{flag}: {chi}");
            }
        }
    }

    #[test]
    fn flags_are_independent() {
        let names = ["CHECKOUT", "CHECKOUT2", "A", "B"];
        let all: Vec<_> = names.iter().map(|flag| buckets(flag)).collect();
        for (first, one) in all.iter().enumerate() {
            for (second, other) in all.iter().enumerate().skip(first + 1) {
                for (one, other) in one.iter().zip(other) {
                    for share in [1_000_u32, 10_000, 50_000] {
                        let part = f64::from(share) / f64::from(BUCKETS);
                        let both =
                            one.iter().zip(other).filter(|(one, other)| **one < share && **other < share).count();
                        let expected = part * part * f64::from(IDS);
                        let (names, off) = ((names[first], names[second]), both as f64 - expected);
                        assert!(off.abs() < 5.0 * (expected * (1.0 - part * part)).sqrt(), "{names:?}, {share}: {off}");
                    }
                }
            }
        }
    }

    #[test]
    fn raising_the_percentage_turns_no_caller_off() {
        for bucket in [0, 1, 499, 50_000, 99_999] {
            let mut was = false;
            for step in 0..=100_000 {
                let is = SaltedPercentageBucketer::takes(bucket, f64::from(step) / 100_000.0);
                assert!(is || !was, "{bucket} at {step}");
                assert_eq!(is, bucket < step);
                was = is;
            }
            assert!(was);
        }
        assert!(!SaltedPercentageBucketer::takes(0, -1.0));
        assert!(SaltedPercentageBucketer::takes(99_999, f64::MAX));
    }
}
