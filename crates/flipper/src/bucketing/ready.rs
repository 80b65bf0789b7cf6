//! Shares by one attribute, ready to be asked.

use sha1::block_api::compress;

use super::consistent_hash::NOT_HASHED;
use super::hash::{BLOCK, Digits, START, modulo_100};
use super::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer, bucket_at};
use crate::conditions::Word;
use crate::context::{Attributes, Value};

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
        self.takes_given(attributes).unwrap_or(self.without_attribute)
    }

    /// `None` without the attribute.
    #[inline(always)]
    pub(crate) fn takes_given<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        let index = self.by.place_in(attributes)?;
        Some(u64::from(bucket_at(self.seed, attributes, index)) < self.end)
    }
}

/// As [`ConsistentHashPercentageBucketer`] has it, of one text or number that fits into one block with its name. Of a ramp it has the score alone.
#[derive(Clone, Debug)]
pub(crate) struct ReadyHash {
    /// The only attribute that is hashed; `None` if any would be.
    key: Option<(Word, Start)>,
    /// The first score that is not on, as a remainder of 100; `None` of a ramp.
    end: Option<u64>,
}

impl ReadyHash {
    pub(crate) fn new(bucketer: &ConsistentHashPercentageBucketer, percentage: Option<f64>) -> Option<Self> {
        let key = match bucketer.keys().next() {
            Some(_) => {
                let key = bucketer.only_key()?;
                Some((Word::new(key), Start::of(key)?))
            }
            None if bucketer.hashes_all() => None,
            None => return None,
        };
        let is_on = |rest: u64, percentage: f64| percentage != 0.0 && score(rest) <= percentage;
        let end = |percentage| (0..100).take_while(|rest| is_on(*rest, percentage)).count() as u64;
        Some(Self { key, end: percentage.map(end) })
    }

    /// `None` if the bucketer has to be asked: for other values, none or several.
    #[inline]
    pub(crate) fn takes<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        let end = self.end?;
        self.rest(attributes).map(|rest| rest < end)
    }

    /// As [`takes`](Self::takes), without the percentage.
    pub(crate) fn score<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<f64> {
        self.rest(attributes).map(score)
    }

    #[inline]
    fn rest<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<u64> {
        match &self.key {
            Some((key, start)) => {
                let mut given = (0..attributes.len()).filter(|index| key.is(attributes.attribute(*index).0));
                let index = given.next()?;
                if given.next().is_some() {
                    return None;
                }
                start.rest(attributes, index)
            }
            None if attributes.len() == 1 => Start::of(attributes.attribute(0).0)?.rest(attributes, 0),
            None => None,
        }
    }
}

fn score(rest: u64) -> f64 {
    rest as f64 / 100.0
}

/// `[["key", "`, then zeros.
#[derive(Clone, Debug)]
struct Start {
    block: [u8; BLOCK],
    len: usize,
}

const BEFORE_KEY: &[u8] = b"[[\"";
const AFTER_KEY: &[u8] = b"\", \"";
const QUOTES: usize = 3;
const END_OF_TEXT: &[u8] = b"\"]]\x80";
const END_OF_NUMBER: &[u8] = b"]]\x80";
const LENGTH: usize = size_of::<u64>();

impl Start {
    /// `None` for a key that is long, needs escapes, or is not hashed.
    #[inline]
    fn of(key: &str) -> Option<Self> {
        let (from, to) = (BEFORE_KEY.len(), BEFORE_KEY.len() + key.len());
        let len = to + AFTER_KEY.len();
        if len > BLOCK || key == NOT_HASHED {
            return None;
        }
        let mut block = [0; BLOCK];
        block[..from].copy_from_slice(BEFORE_KEY);
        block[from..to].copy_from_slice(key.as_bytes());
        block[to..len].copy_from_slice(AFTER_KEY);
        (odd(&block) == QUOTES + (BLOCK - len)).then_some(Self { block, len })
    }

    #[inline]
    fn rest<A: Attributes + ?Sized>(&self, attributes: &A, index: usize) -> Option<u64> {
        match attributes.attribute(index).1 {
            Value::Str(text) => {
                let block = self.with(self.len, text.as_bytes(), END_OF_TEXT)?;
                // All at once: it takes less time than to look at each byte of the text.
                (odd(&block) == QUOTES + 2 + (BLOCK - self.len - text.len() - END_OF_TEXT.len()))
                    .then(|| hash(block, self.len + text.len() + END_OF_TEXT.len()))
            }
            Value::Int(value) => {
                let digits = Digits::of(value);
                let block = self.with(self.len - 1, digits.as_bytes(), END_OF_NUMBER)?;
                Some(hash(block, self.len - 1 + digits.as_bytes().len() + END_OF_NUMBER.len()))
            }
            _ => None,
        }
    }

    /// The start up to this place, the text and the end.
    #[inline]
    fn with(&self, from: usize, text: &[u8], end: &[u8]) -> Option<[u8; BLOCK]> {
        let (to, mut block) = (from + text.len(), self.block);
        if to + end.len() + LENGTH > BLOCK {
            return None;
        }
        block[from..to].copy_from_slice(text);
        block[to..to + end.len()].copy_from_slice(end);
        Some(block)
    }
}

/// The hash of a block that is ready but for its length, modulo 100. The mark of the end is in `len`.
#[inline]
fn hash(mut block: [u8; BLOCK], len: usize) -> u64 {
    block[BLOCK - LENGTH..].copy_from_slice(&((len - 1) as u64 * 8).to_be_bytes());
    let mut state = START;
    compress(&mut state, &[block]);
    modulo_100(state)
}

/// How many bytes JSON has only escaped, or around texts. Zeros count.
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
                let Some(ready) = ReadyHash::new(&bucketer, Some(percentage)) else { continue };
                let of_all = ConsistentHashPercentageBucketer::new(percentage);
                let all = ReadyHash::new(&of_all, Some(percentage)).unwrap();
                for value in &values {
                    let context = [("other", Value::from(1)), (key, *value)];
                    for (ready, bucketer, context) in
                        [(&ready, &bucketer, &context[..]), (&all, &of_all, &context[1..])]
                    {
                        let expected = percentage != 0.0 && bucketer.score(context) <= percentage;
                        let answer = ready.takes(context);
                        assert_eq!(answer.unwrap_or(expected), expected, "{context:?} {percentage}");
                        let score = ReadyHash::new(bucketer, None).unwrap().score(context);
                        assert_eq!(score.is_some(), answer.is_some());
                        assert!(score.is_none_or(|score| score == bucketer.score(context)));
                        answered += usize::from(answer.is_some());
                    }
                    assert_eq!(all.takes(&context), None);
                }
                assert_eq!(ready.takes(&[("other", Value::from(1))]), None);
                assert_eq!(ready.takes(&[(key, Value::from(1)), (key, Value::from(2))]), None);
            }
        }
        assert!(answered > 1_000, "{answered}");
        let all = ReadyHash::new(&ConsistentHashPercentageBucketer::new(0.99), Some(0.99)).unwrap();
        assert_eq!(all.takes(&[("randomizer", Value::from(1))]), None);
        assert_eq!(all.takes(&[("id", Value::from(1))]), Some(true));
    }

    #[test]
    fn several_keys_have_no_single_block() {
        let none = |bucketer| assert!(ReadyHash::new(&bucketer, Some(0.5)).is_none());
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
