use super::ready::Ints;
use super::word::{SHORT, ends};
use super::{ReadyCheck, Word};
use crate::context::{Attributes, Value};

/// The one comparison that decides a flag, as numbers that a table can keep in atomics. For a short name, with a short text or an integer.
///
/// They are lengths and answers in the places `HEAD_…`, both ends of the name, and both ends of the text or of the integers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sole([u64; Self::NUMBERS]);

/// What the flag is by this comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) holds: bool,
    pub(crate) fails: bool,
    /// Without the attribute.
    pub(crate) missing: bool,
    /// Whether of a repeated attribute only the first counts; else one that fails is enough.
    pub(crate) first_counts: bool,
}

const HEAD_NAME_LEN: u32 = 0;
/// Of no text, if it compares integers.
const HEAD_TEXT_LEN: u32 = 8;
const OF_INTS: u64 = 0xff;
/// Whether it holds for that text, or for these integers, or for others.
const HEAD_WANTED: u32 = 16;
const HEAD_HOLDS: u32 = 17;
const HEAD_FAILS: u32 = 18;
const HEAD_MISSING: u32 = 19;
const HEAD_FIRST_COUNTS: u32 = 20;

impl Sole {
    pub(crate) const NUMBERS: usize = 5;

    pub(crate) fn new(name: &Word, check: &ReadyCheck, answers: Answers) -> Option<Self> {
        let (wanted, text_len, [start, end]) = match check {
            ReadyCheck::Text { text, wanted } => (*wanted, short(text)?, text.ends()),
            ReadyCheck::Ints { ints: Ints { from, to }, wanted, .. } => {
                (*wanted, OF_INTS, [from.cast_unsigned(), to.cast_unsigned()])
            }
            ReadyCheck::OneOf { .. } | ReadyCheck::Other(_) | ReadyCheck::All(_) => return None,
        };
        let Answers { holds, fails, missing, first_counts } = answers;
        let [name_start, name_end] = name.ends();
        let head = short(name)? << HEAD_NAME_LEN
            | text_len << HEAD_TEXT_LEN
            | u64::from(wanted) << HEAD_WANTED
            | u64::from(holds) << HEAD_HOLDS
            | u64::from(fails) << HEAD_FAILS
            | u64::from(missing) << HEAD_MISSING
            | u64::from(first_counts) << HEAD_FIRST_COUNTS;
        Some(Self([head, name_start, name_end, start, end]))
    }

    pub(crate) fn numbers(self) -> [u64; Self::NUMBERS] {
        self.0
    }

    #[inline(always)]
    pub(crate) fn of(numbers: [u64; Self::NUMBERS]) -> Self {
        Self(numbers)
    }

    /// The flag's answer; `None`: the whole flag has to be asked.
    #[inline(always)]
    pub(crate) fn answer<A: Attributes + ?Sized>(self, attributes: &A) -> Option<bool> {
        if attributes.is_empty() {
            return None;
        }
        let Some(first) = self.place_in(attributes, 0) else { return Some(self.has(HEAD_MISSING)) };
        if !self.holds(attributes, first)? {
            return Some(self.has(HEAD_FAILS));
        }
        if !self.has(HEAD_FIRST_COUNTS) {
            let mut last = first;
            while let Some(next) = self.place_in(attributes, last + 1) {
                if !self.holds(attributes, next)? {
                    return Some(self.has(HEAD_FAILS));
                }
                last = next;
            }
        }
        Some(self.has(HEAD_HOLDS))
    }

    #[inline(always)]
    fn place_in<A: Attributes + ?Sized>(self, attributes: &A, from: usize) -> Option<usize> {
        let Self([_, start, end, ..]) = self;
        (from..attributes.len()).find(|index| is(attributes.attribute(*index).0, self.len(HEAD_NAME_LEN), [start, end]))
    }

    #[inline(always)]
    fn holds<A: Attributes + ?Sized>(self, attributes: &A, index: usize) -> Option<bool> {
        let Self([_, _, _, start, end]) = self;
        let text_len = self.len(HEAD_TEXT_LEN);
        let is_it = match attributes.attribute(index).1 {
            Value::Str(given) if text_len <= SHORT => is(given, text_len, [start, end]),
            Value::Int(given) if text_len > SHORT => {
                Ints { from: start.cast_signed(), to: end.cast_signed() }.contain(given)
            }
            _ => return None,
        };
        Some(is_it == self.has(HEAD_WANTED))
    }

    #[inline(always)]
    fn has(self, bit: u32) -> bool {
        self.0[0] >> bit & 1 != 0
    }

    #[inline(always)]
    fn len(self, place: u32) -> usize {
        usize::from((self.0[0] >> place).to_le_bytes()[0])
    }
}

fn short(word: &Word) -> Option<u64> {
    let len = word.as_str().len();
    (len <= SHORT).then_some(len as u64)
}

#[inline(always)]
fn is(text: &str, len: usize, wanted: [u64; 2]) -> bool {
    text.len() == len && ends(text.as_bytes()) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conditions::Operator;
    use crate::conditions::compare::by_order;
    use crate::json::Json;

    const OF_CONDITION: Answers = Answers { holds: true, fails: false, missing: true, first_counts: false };
    const OF_RULE: Answers = Answers { holds: false, fails: true, missing: true, first_counts: true };

    fn sole(operator: Operator, value: impl Into<Json>, answers: Answers) -> Option<Sole> {
        let sole = Sole::new(&Word::new("plan"), &ReadyCheck::new(operator, &value.into()), answers)?;
        assert_eq!(Sole::of(sole.numbers()), sole);
        Some(sole)
    }

    #[test]
    fn answers_as_the_comparison_does() {
        let texts = ["", "p", "pro", "free", "exactly16letters"];
        for (wanted, given) in texts.iter().flat_map(|wanted| texts.map(|given| (*wanted, given))) {
            for answers in [OF_CONDITION, OF_RULE] {
                let answer = |operator| sole(operator, wanted, answers).unwrap().answer(&[("plan", Value::Str(given))]);
                let expected = |holds| Some(if holds { answers.holds } else { answers.fails });
                assert_eq!(answer(Operator::Eq), expected(wanted == given));
                assert_eq!(answer(Operator::Ne), expected(wanted != given));
            }
        }
        for (wanted, given) in [(7, 7), (7, 8), (8, 7), (-1, 1), (i64::MIN, i64::MAX)] {
            for operator in [Operator::Eq, Operator::Ne, Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte] {
                let answer = sole(operator, wanted, OF_CONDITION).unwrap().answer(&[("plan", Value::Int(given))]);
                assert_eq!(answer, by_order(given.cmp(&wanted), operator), "{given} {operator} {wanted}");
            }
        }
    }

    #[test]
    fn without_the_attribute_and_with_several() {
        let plan = |text| ("plan", Value::Str(text));
        for answers in [OF_CONDITION, OF_RULE] {
            let sole = sole(Operator::Eq, "pro", answers).unwrap();
            assert_eq!(sole.answer::<[(&str, Value<'_>); 0]>(&[]), None);
            assert_eq!(sole.answer(&[("plans", Value::Str("pro"))]), Some(answers.missing));
            let first = if answers.first_counts { answers.holds } else { answers.fails };
            assert_eq!(sole.answer(&[plan("pro"), plan("free")]), Some(first));
            assert_eq!(sole.answer(&[plan("free"), plan("pro")]), Some(answers.fails));
            assert_eq!(sole.answer(&[("x", Value::Null), plan("pro")]), Some(answers.holds));
            assert_eq!(
                sole.answer(&[plan("pro"), ("plan", Value::Int(1))]),
                answers.first_counts.then_some(answers.holds)
            );
            assert_eq!(sole.answer(&[("plan", Value::Int(1))]), None, "of another type");
        }
    }

    #[test]
    fn others_are_not_kept() {
        assert_eq!(sole(Operator::Eq, "seventeen letters", OF_CONDITION), None);
        assert_eq!(sole(Operator::In, Json::from(vec![Json::from(1)]), OF_CONDITION), None);
        assert_eq!(sole(Operator::Eq, Json::Null, OF_CONDITION), None);
        assert_eq!(sole(Operator::Lt, "b", OF_CONDITION), None);
        let long = Word::new("an_attribute_of_this_length");
        assert_eq!(Sole::new(&long, &ReadyCheck::new(Operator::Eq, &1.into()), OF_CONDITION), None);
    }
}
