use std::fmt::Write;

use super::AnyPercentage;
use super::hash::{Hasher, write_value};
use crate::context::{Attributes, Value};
use crate::json::{Json, Object, write_string};
use crate::{Error, Result};

/// Each of 0.001 %.
const BUCKETS: u64 = 100_000;

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
/// Python's `json.dumps([name, value])` of the flag's name and the attribute's value (`["CHECKOUT", 7]`) is hashed by SHA-1. The first 8
/// bytes, as a big-endian integer, modulo 100,000 are the bucket; the flag is on when that is less than the percentage times 100,000,
/// rounded to the nearest integer.
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
        let mut attributes = (0..attributes.len()).map(|index| attributes.attribute(index));
        let (_, value) = attributes.find(|(name, _)| *name == self.bucket_by)?;
        u32::try_from(bucket(flag_name, value)).ok()
    }

    pub(crate) fn takes(bucket: u32, percentage: f64) -> bool {
        // Negative ones become 0.
        u64::from(bucket) < (percentage * BUCKETS as f64).round() as u64
    }

    pub(crate) fn takes_all(percentage: f64) -> bool {
        (percentage * BUCKETS as f64).round() >= BUCKETS as f64
    }

    /// The bucket as a number from 0 to 0.99999, for display.
    pub(crate) fn score(bucket: u32) -> f64 {
        f64::from(bucket) / BUCKETS as f64
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

fn bucket(flag_name: &str, value: Value<'_>) -> u64 {
    let mut hasher = Hasher::new();
    // Does not fail.
    let _ = hasher
        .write_str("[")
        .and_then(|()| write_string(flag_name, &mut hasher))
        .and_then(|()| hasher.write_str(", "))
        .and_then(|()| write_value(value, &mut hasher))
        .and_then(|()| hasher.write_str("]"));
    let hash = hasher.finish();
    hash[..8].iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) % BUCKETS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context;

    /// `int.from_bytes(sha1(json.dumps([name, value]).encode()).digest()[:8], "big") % 100_000` in Python 3.11.
    #[test]
    fn vectors() {
        let by_id = SaltedPercentageBucketer::new("id", 0.5);
        let bucket = |flag: &str, value: Value<'_>| by_id.bucket(flag, &[("id", value)]).unwrap();
        assert_eq!(bucket("CHECKOUT", 7.into()), 32_032);
        assert_eq!(bucket("CHECKOUT", "7".into()), 64_850);
        assert_eq!(bucket("flag/é", "ü😀".into()), 18_070);
        assert_eq!(bucket("", Value::Null), 24_326);
        assert_eq!(bucket("a", 1e22.into()), 63_853);
        assert_eq!(by_id.bucket("CHECKOUT", &context! { other: 1 }), None);
    }

    #[test]
    fn a_percentage_is_what_it_says_and_flags_are_independent() {
        const IDS: u32 = 1_000_000;
        let bucketer = SaltedPercentageBucketer::new("id", 0.5);
        let (mut first, mut second, mut both) = (0, 0, 0);
        for id in 0..IDS {
            let context = [("id", Value::from(id))];
            let takes = |flag| SaltedPercentageBucketer::takes(bucketer.bucket(flag, &context).unwrap(), 0.5);
            let (one, other) = (takes("ONE"), takes("OTHER"));
            first += u32::from(one);
            second += u32::from(other);
            both += u32::from(one && other);
        }
        for (what, count, part) in [("one", first, 0.5), ("other", second, 0.5), ("both", both, 0.25)] {
            let got = f64::from(count) / f64::from(IDS);
            assert!((got - part).abs() < 0.002, "{what}: {got}");
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
