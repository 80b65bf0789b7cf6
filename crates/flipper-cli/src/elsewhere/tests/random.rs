//! Decisions of flagd made by chance, answered by its own engine and by our rules.

use serde_json::{Value, json};

use super::engines::{Random, compare};
use super::*;

const FLAGS: usize = 400;
const EVALUATORS: usize = 5;
const TEXTS: [&str; 4] = ["a", "ab", "b", "ba"];
const NUMBERS: [f64; 5] = [-1.0, 0.0, 1.0, 3.0, 5.5];
const VERSIONS: [&str; 4] = ["1.0.0", "2.0.0-rc.1", "2.0.0", "2.1.0"];

impl Random {
    fn several(&mut self, depth: usize) -> Vec<Value> {
        (0..=self.below(3)).map(|_| self.logic(depth + 1)).collect()
    }

    fn logic(&mut self, depth: usize) -> Value {
        let (text, number) = (json!({"var": "text"}), json!({"var": "number"}));
        match self.below(if depth > 3 { 12 } else { 18 }) {
            0 => json!({"==": [text, self.one(&TEXTS)]}),
            1 => json!({"!=": [self.one(&TEXTS), text]}),
            2 => json!({"<": [number, self.one(&NUMBERS)]}),
            3 => json!({"<=": [self.one(&NUMBERS), {"var": ["number"]}]}),
            4 => json!({"<": [self.one(&NUMBERS), number, self.one(&NUMBERS)]}),
            5 => json!({"in": [text, (0..=self.below(3)).map(|_| self.one(&TEXTS)).collect::<Vec<_>>()]}),
            6 => json!({"in": [self.one(&TEXTS), text]}),
            7 => json!({"starts_with": [text, self.one(&TEXTS)]}),
            8 => json!({"ends_with": [text, self.one(&TEXTS)]}),
            9 => json!({"===": [number, self.one(&NUMBERS)]}),
            10 => {
                let operator = self.one(&["=", "!=", "<", "<=", ">", ">=", "^", "~"]);
                json!({"sem_ver": [{"var": "version"}, operator, self.one(&VERSIONS)]})
            }
            11 => json!({"var": "switch"}),
            12 | 13 => json!({"!": [self.logic(depth + 1)]}),
            14 => json!({"!!": [self.logic(depth + 1)]}),
            15 => json!({"and": self.several(depth)}),
            16 => json!({"or": self.several(depth)}),
            // Only flags refer, so that there is no circle.
            _ if depth == 0 => json!({"$ref": format!("e{}", self.below(EVALUATORS))}),
            _ => json!({"if": [self.logic(depth + 1), self.logic(depth + 1), self.logic(depth + 1)]}),
        }
    }

    fn decision(&mut self, variants: &[&str], depth: usize) -> Value {
        match self.below(if depth > 2 { 4 } else { 8 }) {
            0..=2 => json!(self.one(variants)),
            3 => Value::Null,
            _ => {
                let arms = (0..=self.below(2)).flat_map(|_| [self.logic(0), self.decision(variants, depth + 1)]);
                let mut parts: Vec<_> = arms.collect();
                parts.push(self.decision(variants, depth + 1));
                json!({"if": parts})
            }
        }
    }

    fn flag(&mut self) -> (Value, Value) {
        let (fallback, variants, values) = match self.one_in(2) {
            true => (json!(false), &["on", "off"][..], json!({"on": true, "off": false})),
            false => (json!("none"), &["r", "g", "b"][..], json!({"r": "red", "g": "green", "b": "blue"})),
        };
        let default = if self.one_in(5) { Value::Null } else { json!(self.one(variants)) };
        let state = if self.one_in(20) { "DISABLED" } else { "ENABLED" };
        let targeting = json!({"if": [true, self.decision(variants, 0)]});
        let flag = json!({"state": state, "variants": values, "defaultVariant": default, "targeting": targeting});
        (flag, fallback)
    }
}

#[test]
fn our_rules_decide_as_flagd_does() {
    let mut random = Random(20);
    let mut file = json!({"flags": {}, "$evaluators": {}});
    for number in 0..EVALUATORS {
        file["$evaluators"][format!("e{number}")] = random.logic(1);
    }
    let mut flags = Vec::new();
    for number in 0..FLAGS {
        let (flag, fallback) = random.flag();
        file["flags"][format!("F{number}")] = flag;
        flags.push((format!("F{number}"), fallback));
    }
    let Some((counts, left_out)) = compare(Tool::Flagd, "flagd", &file, &flags, &callers()) else { return };
    assert_eq!(left_out, [] as [&str; 0]);
    for value in ["true", "false", "\"red\"", "\"green\"", "\"blue\"", "\"none\""] {
        assert!(counts.get(value).is_some_and(|count| *count > 1_000), "{value}: {counts:?}");
    }
}

/// Each attribute may be missing.
fn callers() -> Vec<Value> {
    let mut callers = Vec::new();
    let mut turn = 0;
    for text in [None, Some("a"), Some("ab"), Some("ba"), Some("c")] {
        for number in [None, Some(-1.0), Some(0.0), Some(2.0), Some(5.5)] {
            for switch in [None, Some(false), Some(true)] {
                let mut caller = json!({"text": text, "number": number, "switch": switch});
                caller["version"] = json!([None, Some("1.0.0"), Some("2.0.0"), Some("2.1.3"), Some("x")][turn % 5]);
                turn += 1;
                caller.as_object_mut().unwrap().retain(|_, value| !value.is_null());
                callers.push(caller);
            }
        }
    }
    callers
}
