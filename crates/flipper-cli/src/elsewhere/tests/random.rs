//! Random decisions of flagd, answered by a small evaluator of JsonLogic and by our rules.

use flipper::store::{FeatureFlagStore, Precondition};
use flipper::{Context, FeatureFlagClient, MemoryFeatureFlagStore};

use super::*;

const FLAGS: usize = 400;
const TEXTS: [&str; 4] = ["a", "ab", "b", "ba"];
const NUMBERS: [f64; 5] = [-1.0, 0.0, 1.0, 3.0, 5.5];

/// A caller: each attribute may be missing.
#[derive(Clone, Copy, Debug)]
struct Caller {
    text: Option<&'static str>,
    number: Option<f64>,
    switch: Option<bool>,
}

enum Decision {
    Variant(Option<bool>),
    If(Vec<(Logic, Decision)>, Box<Decision>),
}

enum Logic {
    Equal(&'static str, bool),
    Less(f64),
    AtLeast(f64),
    Between(f64, f64),
    OneOf(Vec<&'static str>),
    Contains(&'static str),
    Starts(&'static str),
    Switch,
    Not(Box<Logic>),
    All(Vec<Logic>),
    Any(Vec<Logic>),
}

/// Repeatable: a linear congruence.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn text(&mut self) -> &'static str {
        TEXTS[self.below(TEXTS.len())]
    }

    fn number(&mut self) -> f64 {
        NUMBERS[self.below(NUMBERS.len())]
    }

    fn several(&mut self, depth: usize) -> Vec<Logic> {
        (0..=self.below(3)).map(|_| self.logic(depth + 1)).collect()
    }

    fn logic(&mut self, depth: usize) -> Logic {
        match self.below(if depth > 3 { 8 } else { 12 }) {
            0 => Logic::Equal(self.text(), self.below(2) == 0),
            1 => Logic::Less(self.number()),
            2 => Logic::AtLeast(self.number()),
            3 => Logic::Between(self.number(), self.number()),
            4 => Logic::OneOf((0..=self.below(3)).map(|_| self.text()).collect()),
            5 => Logic::Contains(self.text()),
            6 => Logic::Starts(self.text()),
            7 => Logic::Switch,
            8 | 9 => Logic::Not(Box::new(self.logic(depth + 1))),
            10 => Logic::All(self.several(depth)),
            _ => Logic::Any(self.several(depth)),
        }
    }

    fn decision(&mut self, depth: usize) -> Decision {
        match self.below(if depth > 2 { 3 } else { 6 }) {
            0 => Decision::Variant(Some(true)),
            1 => Decision::Variant(Some(false)),
            2 => Decision::Variant(None),
            _ => {
                let arms = (0..=self.below(2)).map(|_| (self.logic(0), self.decision(depth + 1))).collect();
                Decision::If(arms, Box::new(self.decision(depth + 1)))
            }
        }
    }
}

impl Logic {
    /// As JsonLogic has it: what is missing is null, and null is 0 where it is compared by size.
    fn holds(&self, caller: Caller) -> bool {
        let number = caller.number.unwrap_or(0.0);
        match self {
            Self::Equal(text, equal) => (caller.text == Some(*text)) == *equal,
            Self::Less(than) => number < *than,
            Self::AtLeast(than) => number >= *than,
            Self::Between(from, to) => *from < number && number < *to,
            Self::OneOf(texts) => caller.text.is_some_and(|text| texts.contains(&text)),
            Self::Contains(part) => caller.text.is_some_and(|text| text.contains(part)),
            Self::Starts(part) => caller.text.is_some_and(|text| text.starts_with(part)),
            Self::Switch => caller.switch.unwrap_or_default(),
            Self::Not(part) => !part.holds(caller),
            Self::All(parts) => parts.iter().all(|part| part.holds(caller)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(caller)),
        }
    }

    fn json(&self) -> String {
        let list = |parts: &[Self]| parts.iter().map(Self::json).collect::<Vec<_>>().join(",");
        match self {
            Self::Equal(text, true) => format!(r#"{{"==": [{{"var": "text"}}, "{text}"]}}"#),
            Self::Equal(text, false) => format!(r#"{{"!=": ["{text}", {{"var": "text"}}]}}"#),
            Self::Less(than) => format!(r#"{{"<": [{{"var": "number"}}, {than}]}}"#),
            Self::AtLeast(than) => format!(r#"{{"<=": [{than}, {{"var": ["number"]}}]}}"#),
            Self::Between(from, to) => format!(r#"{{"<": [{from}, {{"var": "number"}}, {to}]}}"#),
            Self::OneOf(texts) => format!(r#"{{"in": [{{"var": "text"}}, {texts:?}]}}"#),
            Self::Contains(part) => format!(r#"{{"in": ["{part}", {{"var": "text"}}]}}"#),
            Self::Starts(part) => format!(r#"{{"starts_with": [{{"var": "text"}}, "{part}"]}}"#),
            Self::Switch => r#"{"var": "switch"}"#.to_owned(),
            Self::Not(part) => format!(r#"{{"!": [{}]}}"#, part.json()),
            Self::All(parts) => format!(r#"{{"and": [{}]}}"#, list(parts)),
            Self::Any(parts) => format!(r#"{{"or": [{}]}}"#, list(parts)),
        }
    }
}

impl Decision {
    fn is_on(&self, caller: Caller, default: bool) -> bool {
        match self {
            Self::Variant(variant) => variant.unwrap_or(default),
            Self::If(arms, last) => {
                let arm = arms.iter().find(|(logic, _)| logic.holds(caller)).map(|(_, decision)| decision);
                arm.unwrap_or(last).is_on(caller, default)
            }
        }
    }

    fn json(&self) -> String {
        match self {
            Self::Variant(None) => "null".to_owned(),
            Self::Variant(Some(on)) => format!(r#""{}""#, if *on { "on" } else { "off" }),
            Self::If(arms, last) => {
                let arms = arms.iter().map(|(logic, decision)| format!("{}, {}, ", logic.json(), decision.json()));
                format!(r#"{{"if": [{}{}]}}"#, arms.collect::<String>(), last.json())
            }
        }
    }
}

#[test]
fn our_rules_decide_as_flagd_does() {
    let mut random = Random(20);
    let decisions: Vec<Decision> = (0..FLAGS).map(|_| random.decision(0)).collect();
    let flags = decisions.iter().enumerate().map(|(index, decision)| {
        let default = if index % 2 == 0 { "on" } else { "off" };
        let targeting = format!(r#"{{"if": [true, {}]}}"#, decision.json());
        format!(r#""{index}": {{"state": "ENABLED", "variants": {{"on": true, "off": false}}, "defaultVariant": "{default}", "targeting": {targeting}}}"#)
    });
    let text = format!(r#"{{"flags": {{{}}}}}"#, flags.collect::<Vec<_>>().join(","));
    let read = json(Tool::Flagd, &text);
    assert_eq!(read.left_out(), [] as [&str; 0]);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryFeatureFlagStore::new();
        for record in &read.records {
            store.put(record, Precondition::Any.into()).await.unwrap();
        }
        let client = FeatureFlagClient::new(store);
        client.ready().await.unwrap();
        let mut on = 0;
        for caller in callers() {
            let mut context = Context::new();
            caller.text.into_iter().for_each(|text| context.insert("text", text));
            caller.number.into_iter().for_each(|number| context.insert("number", number));
            caller.switch.into_iter().for_each(|switch| context.insert("switch", switch));
            for (index, decision) in decisions.iter().enumerate() {
                let expected = decision.is_on(caller, index % 2 == 0);
                let answer = client.is_enabled_with(&index.to_string(), &context);
                assert_eq!(answer, expected, "{caller:?}\n{}\n{:#?}", decision.json(), read.shown(&index.to_string()));
                on += usize::from(answer);
            }
        }
        assert!(on > FLAGS * 20, "{on}");
    });
}

fn callers() -> Vec<Caller> {
    let texts = [None, Some("a"), Some("ab"), Some("ba"), Some("c")];
    let numbers = [None, Some(-1.0), Some(0.0), Some(2.0), Some(5.5)];
    let mut callers = Vec::new();
    for text in texts {
        for number in numbers {
            callers.extend([None, Some(false), Some(true)].map(|switch| Caller { text, number, switch }));
        }
    }
    callers
}
