use super::compare::by_order;
use super::word::{SHORT, ends};
use super::{Operator, ReadyCheck, Word};
use crate::context::{Attributes, Value};

/// The one comparison that decides a flag, as numbers that a table can keep in atomics. For a short name, with a short text or an integer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sole {
    what: What,
    name_len: u8,
    text_len: u8,
    answers: Answers,
    name: [u64; 2],
    /// Of a text both ends, else the integer.
    value: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Text { wanted: bool },
    Int(Operator),
}

/// What the comparison says of the flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answers {
    pub(crate) holds: bool,
    pub(crate) fails: bool,
    /// Without the attribute.
    pub(crate) missing: bool,
    /// Whether of a repeated attribute only the first counts; else one that fails is enough.
    pub(crate) first_counts: bool,
}

const INTS: [Operator; 6] = [Operator::Eq, Operator::Ne, Operator::Gt, Operator::Gte, Operator::Lt, Operator::Lte];
const TEXT: u8 = 1;
const NOT_TEXT: u8 = 2;
const FIRST_INT: u8 = 3;

impl Sole {
    pub(crate) const NUMBERS: usize = 5;

    pub(crate) fn new(name: &Word, check: &ReadyCheck, answers: Answers) -> Option<Self> {
        let (what, text_len, value) = match check {
            ReadyCheck::Text { text, wanted } => (What::Text { wanted: *wanted }, short(text)?, text.ends()),
            ReadyCheck::Int { value, operator } if INTS.contains(operator) => {
                (What::Int(*operator), 0, [value.cast_unsigned(), 0])
            }
            ReadyCheck::Int { .. } | ReadyCheck::OneOf { .. } | ReadyCheck::Other(_) => return None,
        };
        Some(Self { what, name_len: short(name)?, text_len, answers, name: name.ends(), value })
    }

    /// The first is never 0.
    pub(crate) fn to_numbers(self) -> [u64; Self::NUMBERS] {
        let Answers { holds, fails, missing, first_counts } = self.answers;
        let answers = [holds, fails, missing, first_counts].into_iter().rev();
        let answers = answers.fold(0, |bits, answer| bits << 1 | u8::from(answer));
        let what = match self.what {
            What::Text { wanted: true } => TEXT,
            What::Text { wanted: false } => NOT_TEXT,
            What::Int(operator) => {
                (FIRST_INT..).zip(INTS).find(|(_, each)| *each == operator).map_or(0, |(number, _)| number)
            }
        };
        let head = u64::from_le_bytes([what, self.name_len, self.text_len, answers, 0, 0, 0, 0]);
        [head, self.name[0], self.name[1], self.value[0], self.value[1]]
    }

    #[inline(always)]
    pub(crate) fn from_numbers([head, name_start, name_end, start, end]: [u64; Self::NUMBERS]) -> Option<Self> {
        let [what, name_len, text_len, answers, ..] = head.to_le_bytes();
        let what = match what {
            TEXT | NOT_TEXT => What::Text { wanted: what == TEXT },
            _ => What::Int(*INTS.get(usize::from(what.wrapping_sub(FIRST_INT)))?),
        };
        let answers = Answers {
            holds: answers & 1 != 0,
            fails: answers & 2 != 0,
            missing: answers & 4 != 0,
            first_counts: answers & 8 != 0,
        };
        Some(Self { what, name_len, text_len, answers, name: [name_start, name_end], value: [start, end] })
    }

    /// The flag's answer; `None`: the whole flag has to be asked.
    #[inline(always)]
    pub(crate) fn answer<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<bool> {
        if attributes.is_empty() {
            return None;
        }
        let mut answer = self.answers.missing;
        for index in 0..attributes.len() {
            if !is(attributes.attribute(index).0, self.name_len, self.name) {
                continue;
            }
            let holds = match (self.what, attributes.attribute(index).1) {
                (What::Text { wanted }, Value::Str(given)) => is(given, self.text_len, self.value) == wanted,
                (What::Int(operator), Value::Int(given)) => {
                    by_order(given.cmp(&self.value[0].cast_signed()), operator)?
                }
                _ => return None,
            };
            if !holds {
                return Some(self.answers.fails);
            }
            answer = self.answers.holds;
            if self.answers.first_counts {
                break;
            }
        }
        Some(answer)
    }
}

fn short(word: &Word) -> Option<u8> {
    u8::try_from(word.as_str().len()).ok().filter(|len| usize::from(*len) <= SHORT)
}

#[inline(always)]
fn is(text: &str, len: u8, wanted: [u64; 2]) -> bool {
    text.len() == usize::from(len) && ends(text.as_bytes()) == wanted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    const OF_CONDITION: Answers = Answers { holds: true, fails: false, missing: true, first_counts: false };
    const OF_RULE: Answers = Answers { holds: false, fails: true, missing: true, first_counts: true };

    fn sole(operator: Operator, value: impl Into<Json>, answers: Answers) -> Option<Sole> {
        let sole = Sole::new(&Word::new("plan"), &ReadyCheck::new(operator, &value.into()), answers)?;
        assert_eq!(Sole::from_numbers(sole.to_numbers()), Some(sole));
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
            for operator in INTS {
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
