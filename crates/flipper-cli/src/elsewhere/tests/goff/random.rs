//! Flags of GO Feature Flag made by chance, answered by its own engine and by our rules.

use serde_json::{Value, json};

use super::super::engines::{Random, compare};
use super::*;

const FLAGS: usize = 600;
const KEYS: [&str; 4] = ["ann", "Bea", "cem", "dan"];
const TEXTS: [&str; 5] = ["a", "AB", "b", "ba", "é"];
const INTEGERS: [i64; 5] = [-2, -1, 0, 1, 3];
const DECIMALS: [&str; 5] = ["-1.0", "0.5", "1.0", "3.0", "5.5"];
const VERSIONS: [&str; 4] = ["1.0.0", "2.0.0-rc.1", "2.0.0", "2.1.0"];
const PAST: [&str; 3] = ["2020-01-01T00:00:00Z", "2020-01-02T00:00:00+02:00", "2021-01-01T00:00:00Z"];
const FUTURE: [&str; 2] = ["2040-01-01T00:00:00Z", "2041-01-01T00:00:00Z"];

impl Random {
    fn list<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
        (0..=self.below(2)).map(|_| self.one(of)).collect()
    }

    fn compare_by(&mut self) -> &'static str {
        self.one(&["eq", "ne", "gt", "lt", "ge", "le", "==", "!=", ">", "<", ">=", "<=", "EQ", "NE", "GT"])
    }

    fn comparison(&mut self) -> String {
        let equal = self.one(&["eq", "ne", "NE", "!="]);
        let place = self.one(&["co", "sw", "ew", "CO"]);
        let compare = self.compare_by();
        let text = self.one(&["text", "place.city"]);
        match self.below(16) {
            0 => format!("{text} {equal} {}", json!(self.one(&TEXTS))),
            1 | 2 => format!("{text} {place} {}", json!(self.one(&TEXTS))),
            3 => format!("{text} in {}", json!(self.list(&TEXTS))),
            4 | 5 => format!("number {compare} {}", self.one(&INTEGERS)),
            6 | 7 => format!("number {compare} {}", self.one(&DECIMALS)),
            8 => format!("number IN {}", json!(self.list(&[0, 1, 3]))),
            9 => format!("switch {equal} {}", self.one_in(2)),
            10 => format!("version {compare} {}", self.one(&VERSIONS)),
            11 => format!("{} pr", self.one(&["text", "number", "switch", "org", "anonymous", "key", "place.city"])),
            12 => format!("{} {equal} null", self.one(&["text", "number", "targetingKey"])),
            13 => format!("{} {equal} {}", self.one(&["key", "targetingKey"]), json!(self.one(&["ann", "BEA", ""]))),
            14 => format!("key in {}", json!(self.list(&KEYS))),
            _ => format!("anonymous {equal} {}", self.one_in(2)),
        }
    }

    fn query(&mut self, depth: usize) -> String {
        let join = match self.one_in(20) {
            // There these end what is read of a query.
            true => self.one(&[" and  ", " AND ", "  or "]),
            false => self.one(&[" and ", " or "]),
        };
        match self.below(if depth > 2 { 3 } else { 6 }) {
            0..=2 => self.comparison(),
            3 => format!("{} ({})", self.one(&["not", "NOT"]), self.query(depth + 1)),
            4 => format!("({}){join}{}", self.query(depth + 1), self.query(depth + 1)),
            _ => format!("{}{join}({})", self.query(depth + 1), self.query(depth + 1)),
        }
    }

    fn json_logic(&mut self, depth: usize) -> Value {
        let (text, number, key) = (json!({"var": "text"}), json!({"var": "number"}), json!({"var": "key"}));
        let several =
            |random: &mut Self| (0..=random.below(2)).map(|_| random.json_logic(depth + 1)).collect::<Vec<_>>();
        match self.below(if depth > 2 { 10 } else { 15 }) {
            0 => json!({"==": [text, self.one(&TEXTS)]}),
            1 => json!({"!=": [self.one(&TEXTS), text]}),
            2 => json!({self.one(&["<", "<=", ">", ">="]): [number, self.one(&[-1.0, 0.0, 1.0, 5.5])]}),
            3 => json!({"<": [self.one(&[-1, 0]), number, self.one(&[1, 3])]}),
            4 => json!({"in": [text, self.list(&TEXTS)]}),
            5 => json!({"in": [self.one(&["a", "b"]), {"var": "tags"}]}),
            6 => json!({"===": [number, self.one(&INTEGERS)]}),
            7 => json!({self.one(&["==", "!="]): [key, self.one(&["ann", ""])]}),
            8 => json!({"var": "switch"}),
            9 => json!({"==": [{"var": ["text", "a"]}, "a"]}),
            10 | 11 => json!({"!": [self.json_logic(depth + 1)]}),
            12 => json!({"and": several(self)}),
            13 => json!({"or": several(self)}),
            _ => json!({"if": [self.json_logic(depth + 1), self.json_logic(depth + 1), self.json_logic(depth + 1)]}),
        }
    }

    /// What is no matter of the hash.
    fn outcome(&mut self, variations: &[&str]) -> Value {
        let name = self.one(variations);
        let ends = |random: &mut Self, dates: &[&str]| {
            let (first, last) = (random.one(variations), random.one(variations));
            let initial = json!({"variation": first, "percentage": 0, "date": dates[0]});
            json!({"progressiveRollout": {"initial": initial, "end": {"variation": last, "percentage": 100, "date": dates[1]}}})
        };
        match self.below(12) {
            0 | 1 => json!({"percentage": {name: 100}}),
            2 => {
                let mut percentage: serde_json::Map<_, _> =
                    variations.iter().map(|name| ((*name).to_owned(), json!(0))).collect();
                percentage[name] = json!(100);
                json!({"percentage": percentage})
            }
            3 => ends(self, &PAST[1..]),
            4 => ends(self, &FUTURE),
            _ => json!({"variation": name}),
        }
    }

    fn flag_of_goff(&mut self) -> (Value, Value) {
        let (fallback, variations, values) = match self.one_in(2) {
            true => (json!(false), &["on", "off"][..], json!({"on": true, "off": false})),
            false => (json!("none"), &["r", "g", "b"][..], json!({"r": "red", "g": "green", "b": "blue"})),
        };
        let rule = |random: &mut Self| {
            let mut rule = random.outcome(variations);
            rule["query"] = match random.below(6) {
                0 | 1 => json!(random.json_logic(0).to_string()),
                _ => json!(random.query(0)),
            };
            if random.one_in(8) {
                rule["disable"] = json!(true);
            }
            rule
        };
        let targeting: Vec<_> = (0..self.below(4)).map(|_| rule(self)).collect();
        let mut flag = json!({"variations": values, "targeting": targeting, "defaultRule": self.outcome(variations)});
        if self.one_in(15) {
            flag["disable"] = json!(true);
        }
        if self.one_in(5) {
            flag["bucketingKey"] = json!("org");
        }
        if self.one_in(6) {
            let time = |random: &mut Self| match random.below(3) {
                0 => Value::Null,
                1 => json!(random.one(&PAST)),
                _ => json!(random.one(&FUTURE)),
            };
            flag["experimentation"] = json!({"start": time(self), "end": time(self)});
        }
        (flag, fallback)
    }
}

#[test]
fn our_rules_decide_as_go_feature_flag_does() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    if !here.join("../../.cache/clients/goff/wheel").exists() {
        flipper_testkit::skip("goff", "there is no .cache/clients/goff; scripts/setup makes it");
        return;
    }
    let mut random = Random(50);
    let mut file = json!({});
    let mut flags = Vec::new();
    for number in 0..FLAGS {
        let (flag, fallback) = random.flag_of_goff();
        file[format!("F{number}")] = flag;
        flags.push((format!("F{number}"), fallback));
    }
    let Some((counts, left_out)) = compare(Tool::Goff, "goff", &file, &flags, &callers()) else { return };
    for value in ["true", "false", "\"red\"", "\"green\"", "\"blue\"", "\"none\""] {
        assert!(counts.get(value).is_some_and(|count| *count > 1_000), "{value}: {counts:?}");
    }
    // Queries that are not read as a whole there; sets of weights and rollouts that cannot be said; experiments that end before they start.
    let reasons = [
        "GO Feature Flag ignores",
        "GO Feature Flag may ignore",
        "has several",
        "only one from false to true",
        "is out of order",
    ];
    let others: Vec<_> = left_out.iter().filter(|line| !reasons.iter().any(|reason| line.contains(reason))).collect();
    assert_eq!(others, [] as [&String; 0]);
    assert!(left_out.len() < FLAGS / 4, "{left_out:#?}");
}

/// Each attribute may be missing; a given one is of the type that the rules compare, as docs/coming-from.md demands.
fn callers() -> Vec<Value> {
    let mut random = Random(60);
    let mut caller = || {
        // There an attribute in another one, here a name with a point.
        let mut caller = json!({"place": {}});
        for (name, values) in [
            ("targetingKey", json!(["ann", "bea", "cem", ""])),
            ("text", json!(["a", "A", "ab", "ba", "c", "É", ""])),
            ("number", json!([-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 5.5, 7])),
            ("switch", json!([true, false])),
            ("version", json!(["1.0.0", "2.0.0-rc.1", "2.0.0", "2.1.3", "x"])),
            ("anonymous", json!([true, false])),
            ("org", json!(["one", "two", ""])),
            ("tags", json!([["a"], ["b", "c"], []])),
            ("place.city", json!(["a", "Ab", "B"])),
        ] {
            if !random.one_in(5) {
                caller[name] = random.one(values.as_array().unwrap());
            }
        }
        if let Some(city) = caller.get("place.city").cloned() {
            caller["place"]["city"] = city;
        }
        caller
    };
    (0..60).map(|_| caller()).collect()
}
