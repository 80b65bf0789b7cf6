//! Flags and segments of LaunchDarkly made by chance, answered by its own engine and by our rules.

use serde_json::{Value, json};

use super::engines::{Random, compare};
use super::*;

const FLAGS: usize = 400;
const SEGMENTS: usize = 6;
const KEYS: [&str; 4] = ["ann", "bea", "cem", "dan"];
const TEXTS: [&str; 4] = ["a", "ab", "b", "ba"];
const NUMBERS: [f64; 4] = [-1.0, 0.0, 2.0, 5.5];
const TIMES: [&str; 3] = ["2026-01-01T00:00:00Z", "2026-06-01T12:00:00+02:00", "2027-01-01T00:00:00.5Z"];

impl Random {
    fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        (0..=self.below(2)).map(|_| self.one(of)).collect()
    }

    fn clause(&mut self, segments: usize) -> Value {
        let (attribute, op, values) = match self.below(if segments > 0 { 13 } else { 12 }) {
            0 => ("text", "in", json!(self.some(&TEXTS))),
            1 => ("number", "in", json!(self.some(&NUMBERS))),
            2 => ("switch", "in", json!([self.one_in(2)])),
            3 => ("key", "in", json!(self.some(&KEYS))),
            4 | 5 => ("text", self.one(&["startsWith", "endsWith", "contains"]), json!(self.some(&TEXTS))),
            6 => ("text", "matches", json!(self.some(&["^a", "b$", "a.*b", "[c-z]"]))),
            7 | 8 => {
                let op = self.one(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
                ("number", op, json!(self.some(&NUMBERS)))
            }
            9 => ("joined", self.one(&["before", "after"]), json!(self.some(&TIMES))),
            10 => ("joined", self.one(&["before", "after"]), json!([1_780_000_000_000_u64])),
            11 => {
                let op = self.one(&["semVerEqual", "semVerLessThan", "semVerGreaterThan"]);
                ("version", op, json!(self.some(&["1.0.0", "2", "2.1.0-beta.1"])))
            }
            _ => ("", "segmentMatch", json!([format!("s{}", self.below(segments))])),
        };
        json!({"attribute": attribute, "op": op, "values": values, "negate": self.one_in(3)})
    }

    fn rules(&mut self, segments: usize, outcome: impl Fn(&mut Self) -> Value) -> Vec<Value> {
        let rule = |random: &mut Self| {
            let mut rule = outcome(random);
            rule["clauses"] = (0..=random.below(2)).map(|_| random.clause(segments)).collect();
            rule
        };
        (0..self.below(4)).map(|_| rule(self)).collect()
    }

    fn segment(&mut self) -> Value {
        let rules = self.rules(0, |_| json!({}));
        json!({"included": self.some(&KEYS), "excluded": self.some(&KEYS), "rules": rules})
    }

    /// `before`: flags that it may need.
    fn flag_of_sdk(&mut self, before: usize) -> (Value, Value) {
        let (fallback, values) = match self.one_in(2) {
            true => (json!(false), json!([true, false])),
            false => (json!("none"), json!(["red", "green", "blue"])),
        };
        let count = values.as_array().unwrap().len();
        // One of all callers is no matter of the hash.
        let outcome = |random: &mut Self| match random.one_in(4) {
            true => json!({"rollout": {"variations": [{"variation": random.below(count), "weight": 100_000}]}}),
            false => json!({"variation": random.below(count)}),
        };
        let target = |random: &mut Self| json!({"values": random.some(&KEYS), "variation": random.below(count)});
        let targets: Vec<_> = (0..self.below(2)).map(|_| target(self)).collect();
        let needs = |random: &mut Self| json!({"key": format!("F{}", random.below(before)), "variation": 0});
        let prerequisites: Vec<_> = (0..usize::from(before > 0 && self.one_in(5))).map(|_| needs(self)).collect();
        let off = if count == 2 { json!(1) } else { json!(self.below(count)) };
        let flag = json!({
            "on": !self.one_in(10), "variations": values, "offVariation": off, "targets": targets, "prerequisites": prerequisites,
            "rules": self.rules(SEGMENTS, outcome), "fallthrough": outcome(self), "salt": "salt",
        });
        (flag, fallback)
    }
}

#[test]
fn our_rules_decide_as_launchdarkly_does() {
    let mut random = Random(30);
    let mut file = json!({"flags": {}, "segments": {}});
    for number in 0..SEGMENTS {
        let name = format!("s{number}");
        file["segments"][&name] = random.segment();
        file["segments"][&name]["key"] = json!(name);
        file["segments"][&name]["version"] = json!(1);
    }
    let mut flags = Vec::new();
    for number in 0..FLAGS {
        let name = format!("F{number}");
        let (flag, fallback) = random.flag_of_sdk(number.min(40));
        file["flags"][&name] = flag;
        file["flags"][&name]["key"] = json!(name);
        file["flags"][&name]["version"] = json!(1);
        flags.push((name, fallback));
    }
    let Some((counts, left_out)) = compare(Tool::Launchdarkly, "launchdarkly", &file, &flags, &callers()) else {
        return;
    };
    for value in ["true", "false", "\"red\"", "\"green\"", "\"blue\""] {
        assert!(counts.get(value).is_some_and(|count| *count > 1_000), "{value}: {counts:?}");
    }
    assert!(left_out.len() < FLAGS / 4, "{left_out:#?}");
}

/// Each attribute but the key may be missing; a given one is of the type that the rules compare, as docs/coming-from.md demands.
fn callers() -> Vec<Value> {
    let mut random = Random(40);
    let mut caller = || {
        let mut caller = json!({"kind": "user", "key": random.one(&KEYS)});
        for (name, values) in [
            ("text", json!(["a", "ab", "ba", "c"])),
            ("number", json!([-1.0, 0.0, 2.0, 5.5])),
            ("switch", json!([true, false])),
            (
                "joined",
                json!([
                    "2025-01-01T00:00:00Z",
                    "2026-06-01T10:00:00Z",
                    "2026-06-01T10:00:00.5Z",
                    "2030-01-01T00:00:00Z"
                ]),
            ),
            ("version", json!(["1.0.0", "2.0.0", "2.1.0-beta.1", "2.1.0"])),
        ] {
            if !random.one_in(5) {
                caller[name] = random.one(values.as_array().unwrap());
            }
        }
        caller
    };
    (0..60).map(|_| caller()).collect()
}
