//! Fixed shares by one attribute, ready to be asked.

use sha1::block_api::compress;

use super::hash::{BLOCK, Digits, PADDING, START, modulo_100};
use super::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer, bucket_at};
use crate::conditions::Word;
use crate::context::{Attributes, Value};
use crate::json::write_string;

/// As [`SaltedPercentageBucketer`] has it.
#[derive(Clone, Debug)]
pub(crate) struct ReadyShare {
    by: Word,
    seed: u64,
    /// The first bucket that is not on.
    end: u64,
    without_attribute: bool,
}

impl ReadyShare {
    pub(crate) fn new(by: &str, seed: u64, percentage: f64) -> Self {
        let without_attribute = SaltedPercentageBucketer::takes_all(percentage);
        Self { by: Word::new(by), seed, end: SaltedPercentageBucketer::end(percentage), without_attribute }
    }

    #[inline]
    pub(crate) fn takes<A: Attributes + ?Sized>(&self, attributes: &A) -> bool {
        match self.by.place_in(attributes) {
            Some(index) => u64::from(bucket_at(self.seed, attributes, index)) < self.end,
            None => self.without_attribute,
        }
    }
}

/// As [`ConsistentHashPercentageBucketer`] has it, of a text or a number that fits into one block with the key.
#[derive(Clone, Debug)]
pub(crate) struct ReadyHash {
    key: Word,
    /// `[["key", "`, then zeros.
    start: [u8; BLOCK],
    len: usize,
    /// How many bytes of the start are escaped, or escape: `"` and `\`.
    odd: usize,
    /// The first score that is not on, as a remainder of 100.
    end: u64,
}

const END_OF_TEXT: &[u8] = b"\"]]\x80";
const END_OF_NUMBER: &[u8] = b"]]\x80";
const LENGTH: usize = size_of::<u64>();

impl ReadyHash {
    /// `None` if it hashes other attributes than one, or has a long name.
    pub(crate) fn new(bucketer: &ConsistentHashPercentageBucketer, percentage: f64) -> Option<Self> {
        let key = bucketer.only_key()?;
        let mut text = String::from("[[");
        write_string(key, &mut text).ok()?;
        text.push_str(", \"");
        let mut start = [0; BLOCK];
        start.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        let is_on = |rest: &u64| percentage != 0.0 && *rest as f64 / 100.0 <= percentage;
        Some(Self {
            key: Word::new(key),
            odd: odd(&start) - (BLOCK - text.len()),
            len: text.len(),
            start,
            end: (0..100).take_while(is_on).count() as u64,
        })
    }

    /// `None` if the bucketer has to be asked: for values that are no such text or number, and for none or several.
    #[inline]
    pub(crate) fn takes<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        let mut given = (0..attributes.len()).filter(|index| self.key.is(attributes.attribute(*index).0));
        let index = given.next()?;
        if given.next().is_some() {
            return None;
        }
        let rest = match attributes.attribute(index).1 {
            Value::Str(text) => self.rest_of_text(text.as_bytes())?,
            Value::Int(value) => self.rest(self.len - 1, Digits::of(value).as_bytes(), END_OF_NUMBER)?,
            _ => return None,
        };
        Some(rest < self.end)
    }

    fn rest_of_text(&self, text: &[u8]) -> Option<u64> {
        self.rest(self.len, text, END_OF_TEXT)
    }

    /// Of the start up to this place, the text and the end.
    #[inline]
    fn rest(&self, from: usize, text: &[u8], end: &[u8]) -> Option<u64> {
        let (to, mut block) = (from + text.len(), self.start);
        if to + END_OF_TEXT.len() + PADDING > BLOCK {
            return None;
        }
        block[from..to].copy_from_slice(text);
        // All at once: it takes less time than to look at each byte of the text.
        if odd(&block) != self.odd - (self.len - from) + (BLOCK - to) {
            return None;
        }
        block[to..to + end.len()].copy_from_slice(end);
        let bits = (to + end.len() - 1) as u64 * 8;
        block[BLOCK - LENGTH..].copy_from_slice(&bits.to_be_bytes());
        let mut state = START;
        compress(&mut state, &[block]);
        Some(modulo_100(state))
    }
}

/// How many bytes JSON has only escaped. Zeros count.
#[inline]
fn odd(block: &[u8; BLOCK]) -> usize {
    let is_odd = |byte: u8| !(b' '..=b'~').contains(&byte) | (byte == b'"') | (byte == b'\\');
    usize::from(block.iter().fold(0_u8, |count, byte| count + u8::from(is_odd(*byte))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Value;
    use crate::json::Json;

    /// The same answers, or none.
    #[test]
    fn answers_are_the_bucketers() {
        let keys = ["user_id", "", "a\"b", "é", "\\", "randomizer", "a_key_that_leaves_little_room_in_a_block"];
        let long = "x".repeat(60);
        let lengths = (0..=60).map(|length| &long[..length]);
        let texts = lengths.chain(["7", "a\"b", "\\", "é", "a\0b", "\u{7f}", "a b~", "\n", "\u{1f600}"]);
        let values = texts.map(Value::from).chain([0, 7, -7, i64::MIN, i64::MAX].map(Value::from));
        let values: Vec<_> = values.chain([Value::Null, true.into(), 1.5.into(), u64::MAX.into()]).collect();
        let mut answered = 0;
        for key in keys {
            for percentage in [0.0, 0.005, 0.1, 0.24, 0.29, 0.5, 0.58, 0.99, 1.0, -1.0] {
                let bucketer = ConsistentHashPercentageBucketer::new(percentage).key_whitelist([key]);
                let Some(ready) = ReadyHash::new(&bucketer, percentage) else { continue };
                for value in &values {
                    let context = [("other", Value::from(1)), (key, *value)];
                    let expected = percentage != 0.0 && bucketer.score(&context) <= percentage;
                    let answer = ready.takes(&context);
                    assert_eq!(answer.unwrap_or(expected), expected, "{key} {value:?} {percentage}");
                    answered += usize::from(answer.is_some());
                }
                assert_eq!(ready.takes(&[("other", Value::from(1))]), None);
                assert_eq!(ready.takes(&[(key, Value::from(1)), (key, Value::from(2))]), None);
            }
        }
        assert!(answered > 1_000, "{answered}");
    }

    #[test]
    fn several_keys_have_no_single_block() {
        let none = |bucketer| assert!(ReadyHash::new(&bucketer, 0.5).is_none());
        none(ConsistentHashPercentageBucketer::new(0.5));
        none(ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["a", "b"]));
        none(ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["randomizer"]));
        none(ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["k".repeat(64)]));
        let stored = Json::parse(r#"{"key_whitelist": ["a", 1]}"#).unwrap();
        none(ConsistentHashPercentageBucketer::from_json(stored.as_object().unwrap()).unwrap());
    }

    #[test]
    fn shares_are_the_bucketers() {
        for percentage in [0.0, 0.00001, 0.25, 0.999_999, 1.0, 2.0, -1.0] {
            let bucketer = SaltedPercentageBucketer::new("id", percentage);
            let ready = ReadyShare::new("id", super::super::seed_of_shares("FLAG"), percentage);
            for id in 0..1_000 {
                let context = [("x", Value::Null), ("id", Value::from(id))];
                let bucket = bucketer.bucket("FLAG", &context).unwrap();
                assert_eq!(ready.takes(&context), SaltedPercentageBucketer::takes(bucket, percentage));
            }
            assert_eq!(ready.takes(&[("x", Value::Null)]), percentage >= 0.999_995);
        }
    }
}
