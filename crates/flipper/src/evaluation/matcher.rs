use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use regex::Regex;
use semver::Version;

use super::link::{Linked, Links, Visit};
use crate::conditions::compare::by_order;
use crate::conditions::{AllChecks, Operator, ReadyCheck, Word, text_of};
use crate::context::operand::Operand;
use crate::context::{Attributes, Value};
use crate::json::Json;
use crate::targeting::{self, Network, Place, Test, When};

/// A `When`, ready to be asked.
#[derive(Clone, Debug)]
pub(super) enum Matcher {
    All {
        /// Comparisons, if there are several: in one pass over the attributes.
        checks: Option<Box<AllChecks>>,
        rest: Vec<Matcher>,
    },
    Any(Vec<Matcher>),
    Not(Box<Matcher>),
    Segment(Arc<dyn Linked>),
    Check {
        attribute: Word,
        tester: Tester,
    },
}

impl Matcher {
    pub(super) fn of(when: &When, links: &dyn Links) -> Self {
        let all = |parts: &[When]| parts.iter().map(|part| Self::of(part, links)).collect();
        match when {
            When::All(parts) => {
                let checks: Vec<_> = parts.iter().filter_map(comparison).take(AllChecks::MOST_NEEDED).collect();
                if checks.len() < 2 {
                    return Self::All { checks: None, rest: all(parts) };
                }
                let (mut left, checks) = (checks.len(), AllChecks::of(checks));
                let rest = parts.iter().filter(|part| {
                    let taken = left > 0 && comparison(part).is_some();
                    left -= usize::from(taken);
                    !taken
                });
                Self::All { checks: Some(Box::new(checks)), rest: rest.map(|part| Self::of(part, links)).collect() }
            }
            When::Any(parts) => Self::Any(all(parts)),
            When::Not(part) => Self::Not(Box::new(Self::of(part, links))),
            When::Segment(name) => Self::Segment(links.link(&targeting::stored_name(name))),
            When::Check { attribute, test } => {
                Self::Check { attribute: Word::new(attribute), tester: Tester::of(test) }
            }
        }
    }

    /// If it is nothing else.
    pub(super) fn comparison(&self) -> Option<(&Word, &ReadyCheck)> {
        match self {
            Self::Check { attribute, tester: Tester::Compare(check) } => Some((attribute, check)),
            _ => None,
        }
    }

    /// Most rules are one check, which is inlined.
    #[inline(always)]
    pub(super) fn holds<A: Attributes + ?Sized>(&self, attributes: &A, visit: &Visit<'_>) -> bool {
        match self {
            Self::Check { attribute, tester } => tester.holds_for(attribute, attributes),
            joined => joined.truth(attributes, visit) == Some(true),
        }
    }

    /// `None` where it hangs on a segment that is missing, unreadable or within itself: so `not` of that holds for no caller.
    fn truth<A: Attributes + ?Sized>(&self, attributes: &A, visit: &Visit<'_>) -> Option<bool> {
        match self {
            Self::All { checks, rest } => match checks {
                Some(checks) if !checks.hold_for_first(attributes) => Some(false),
                _ => joined(rest.iter().map(|part| part.truth(attributes, visit)), false),
            },
            Self::Any(parts) => joined(parts.iter().map(|part| part.truth(attributes, visit)), true),
            Self::Not(part) => part.truth(attributes, visit).map(|holds| !holds),
            Self::Segment(segment) => truth_of_segment(&**segment, attributes, visit),
            Self::Check { attribute, tester } => Some(tester.holds_for(attribute, attributes)),
        }
    }
}

/// The comparison of this part. One that cannot be compared does not hold, as without the attribute.
fn comparison(part: &When) -> Option<(&str, Operator, &Json)> {
    match part {
        When::Check { attribute, test: Test::Compare(operator, value) } => Some((attribute, *operator, value)),
        _ => None,
    }
}

/// One part that `decides` is enough; else one that is not known leaves all unknown.
#[inline]
fn joined(parts: impl Iterator<Item = Option<bool>>, decides: bool) -> Option<bool> {
    let mut all = Some(!decides);
    for part in parts {
        match part {
            Some(holds) if holds == decides => return part,
            Some(_) => {}
            None => all = None,
        }
    }
    all
}

/// Not generic over what it is called from, or the compiler would inline without end.
fn truth_of_segment<A: Attributes + ?Sized>(segment: &dyn Linked, attributes: &A, visit: &Visit<'_>) -> Option<bool> {
    let mut truth = None;
    segment.read(&mut |plan| {
        let Some(plan) = plan else { return };
        let Some(segment) = plan.segment() else { return };
        if let Ok(visit) = visit.enter(plan) {
            truth = segment.truth(attributes, &visit);
        }
    });
    truth
}

/// A `Test`, ready to be asked.
#[derive(Clone, Debug)]
pub(super) enum Tester {
    Compare(ReadyCheck),
    Text {
        place: Place,
        values: Vec<Box<str>>,
        ignore_case: bool,
    },
    Matches(Box<Regex>),
    Semver(Operator, Box<Version>),
    Date(Operator, Timestamp),
    Networks(Vec<Network>),
    Exists,
    /// It was refused when the flag was read, so no flag has it.
    Never,
}

impl Tester {
    fn of(test: &Test) -> Self {
        let ready = match test {
            Test::Compare(operator, value) => Some(Self::Compare(ReadyCheck::new(*operator, value))),
            Test::Text { place, values, ignore_case } => {
                let value = |value: &String| if *ignore_case { folded(value) } else { value.clone() };
                let values = values.iter().map(|each| value(each).into()).collect();
                Some(Self::Text { place: *place, values, ignore_case: *ignore_case })
            }
            Test::Matches(pattern) => targeting::pattern(pattern).ok().map(|regex| Self::Matches(Box::new(regex))),
            Test::Semver(operator, text) => {
                targeting::version(text).map(|version| Self::Semver(*operator, Box::new(version)))
            }
            Test::Date(operator, text) => targeting::date(text).map(|date| Self::Date(*operator, date)),
            Test::Network(texts) => {
                texts.iter().map(|text| targeting::network(text)).collect::<Option<_>>().map(Self::Networks)
            }
            Test::Exists => Some(Self::Exists),
        };
        ready.unwrap_or(Self::Never)
    }

    #[inline(always)]
    fn holds_for<A: Attributes + ?Sized>(&self, attribute: &Word, attributes: &A) -> bool {
        let Some(index) = attribute.place_in(attributes) else { return false };
        match self {
            Self::Compare(check) => check.holds(attributes, index),
            other => other.holds(attributes.attribute(index).1),
        }
    }

    fn holds(&self, value: Value<'_>) -> bool {
        match self {
            Self::Compare(check) => check.holds(&[("", value)], 0),
            Self::Text { place, values, ignore_case } => text_holds(*place, values, *ignore_case, value),
            Self::Matches(regex) => text_of(value).is_some_and(|text| regex.is_match(text)),
            Self::Semver(operator, version) => text_of(value)
                .and_then(targeting::version)
                .is_some_and(|given| decided(given.cmp_precedence(version), *operator)),
            Self::Date(operator, date) => time(value).is_some_and(|given| decided(given.cmp(date), *operator)),
            Self::Networks(networks) => text_of(value)
                .and_then(|text| text.parse::<IpAddr>().ok())
                .is_some_and(|address| networks.iter().any(|network| network.contains(address))),
            Self::Exists => !matches!(Operand::from(value), Operand::Null),
            Self::Never => false,
        }
    }
}

fn decided(ordering: Ordering, operator: Operator) -> bool {
    by_order(ordering, operator).unwrap_or_default()
}

fn time(value: Value<'_>) -> Option<Timestamp> {
    match Operand::from(value) {
        Operand::Str(text) => targeting::date_of_text(text),
        Operand::Int(seconds) => Timestamp::from_second(i64::try_from(seconds).ok()?).ok(),
        Operand::Float(seconds) => targeting::date_of_seconds(seconds),
        _ => None,
    }
}

fn text_holds(place: Place, wanted: &[Box<str>], ignore_case: bool, value: Value<'_>) -> bool {
    match text_of(value) {
        Some(text) if ignore_case => {
            let text = folded(text);
            wanted.iter().any(|wanted| is_there(place, &text, wanted))
        }
        Some(text) => wanted.iter().any(|wanted| is_there(place, text, wanted)),
        None => place == Place::Anywhere && list_has(wanted, ignore_case, value),
    }
}

fn is_there(place: Place, text: &str, wanted: &str) -> bool {
    match place {
        Place::Start => text.starts_with(wanted),
        Place::End => text.ends_with(wanted),
        Place::Anywhere => text.contains(wanted),
    }
}

fn list_has(wanted: &[Box<str>], ignore_case: bool, value: Value<'_>) -> bool {
    let Operand::List(items) = Operand::from(value) else { return false };
    items.iter().any(|item| match item {
        Operand::Str(item) if ignore_case => wanted.contains(&folded(item).into()),
        Operand::Str(item) => wanted.iter().any(|wanted| **wanted == *item),
        _ => false,
    })
}

/// For comparisons without regard to case, of letters of any language. It is independent of the machine's.
fn folded(text: &str) -> String {
    text.to_lowercase()
}
