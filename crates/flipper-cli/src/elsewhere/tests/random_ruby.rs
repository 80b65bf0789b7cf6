//! Features of Flipper in Ruby made by chance, answered by the library itself and by our rules.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::engines::{Random, ask, context, print, with_client};
use super::*;

const FEATURES: usize = 600;
const ACTORS: usize = 60;

fn actor(number: usize) -> Value {
    match number {
        0 => json!(7),
        1 => json!("7"),
        2 => json!("8"),
        3 => json!(""),
        4 => json!("Größe;1"),
        5 => json!("07"),
        number => json!(format!("User;{number}")),
    }
}

impl Random {
    fn percentage(&mut self) -> Value {
        match self.below(8) {
            0 => json!(0),
            1 => json!(100),
            2 => json!(self.one(&[0.00001, 0.5, 12.345, 99.9, 100.0])),
            _ => json!(self.below(101)),
        }
    }

    /// A call of the library.
    fn call(&mut self, name: &str) -> Value {
        match self.below(24) {
            0 => json!(["enable", name]),
            1 => json!(["disable", name]),
            2..=9 => json!(["enable_actor", name, actor(self.below(ACTORS / 4))]),
            10 => json!(["disable_actor", name, actor(self.below(ACTORS / 4))]),
            11..=15 => json!(["enable_percentage_of_actors", name, self.percentage()]),
            16 => json!(["disable_percentage_of_actors", name]),
            17..=19 => json!(["enable_percentage_of_time", name, self.percentage()]),
            20 => json!(["disable_percentage_of_time", name]),
            21 | 22 => json!(["enable_group", name, self.one(&["even", "unregistered"])]),
            _ => json!(["disable_group", name, "even"]),
        }
    }
}

/// How many of those whom a hash or chance decides about find a feature on, and how many should.
#[derive(Default)]
struct Tally {
    checks: usize,
    there: usize,
    here: usize,
    expected: f64,
    variance: f64,
}

impl Tally {
    fn add(&mut self, share: f64, there: bool, here: bool) {
        self.checks += 1;
        self.there += usize::from(there);
        self.here += usize::from(here);
        self.expected += share;
        self.variance += share * (1.0 - share);
    }

    /// Chance goes further once in a thousand million runs.
    fn check(&self, what: &str) -> String {
        let Self { checks, there, here, expected, variance } = self;
        let line = format!("{what}: {checks} checks, on for {there} there, {here} here, {expected:.0} expected");
        for on in [there, here] {
            assert!((*on as f64 - expected).abs() < 6.0 * variance.sqrt(), "{line}");
        }
        line
    }
}

fn share(gates: &Value, gate: &str) -> f64 {
    gates[gate].as_str().map_or(0.0, |percent| percent.parse::<f64>().unwrap() / 100.0)
}

fn is_part(share: f64) -> bool {
    0.0 < share && share < 1.0
}

#[test]
fn our_rules_decide_as_flipper_in_ruby_does() {
    let has_flipper = Command::new("ruby").args(["-e", "require 'flipper'"]).stderr(Stdio::null()).status();
    if !has_flipper.is_ok_and(|status| status.success()) {
        return flipper_testkit::skip("flipper-ruby", "there is no Ruby with its Flipper; scripts/setup installs both");
    }
    let mut random = Random(50);
    let mut calls = Vec::new();
    for number in 0..FEATURES {
        let name = random.one(&["F", "new page ", "Größe::", "team/"]);
        let name = if random.one_in(4) { format!("{name}{number}") } else { format!("F{number}") };
        calls.push(json!(["add", name]));
        calls.extend((0..random.below(6)).map(|_| random.call(&name)));
    }
    let callers: Vec<_> = std::iter::once(Value::Null).chain((0..ACTORS).map(actor)).collect();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engines/answers.rb");
    let answers = ask(Command::new("ruby").arg(program), &json!({"calls": calls, "callers": callers}));

    let read = json(Tool::FlipperRuby, &answers["export"].to_string());
    let features = answers["export"]["features"].as_object().unwrap();
    assert_eq!(features.len(), FEATURES);
    let left_out: BTreeSet<_> = read.elsewhere.left_out.iter().map(|left_out| &*left_out.flag).collect();
    for (name, gates) in features {
        let (actors, time) = (share(gates, "percentage_of_actors"), share(gates, "percentage_of_time"));
        let is_on = gates["boolean"] == json!("true") || time >= 1.0;
        let is_in_group = gates["groups"] != json!([]) && actors < 1.0;
        let has_unsaid = !is_on && (is_in_group || is_part(actors) && is_part(time));
        let cannot_be_said = has_unsaid || name.contains('/');
        assert_eq!(left_out.contains(&**name), cannot_be_said, "{name}: {gates}");
    }

    let (mut decided, mut wrong) = ([0, 0], Vec::new());
    let (mut of_actors, mut of_time) = (Tally::default(), Tally::default());
    with_client(&read.records, |client| {
        for (caller, row) in callers.iter().zip(answers["answers"].as_array().unwrap()) {
            let context = context(&if caller.is_null() { json!({}) } else { json!({"flipper_id": caller}) });
            for (name, gates) in features.iter().filter(|(name, _)| !left_out.contains(&***name)) {
                let here = client.is_enabled_with(name, &context);
                let (actors, time) = (share(gates, "percentage_of_actors"), share(gates, "percentage_of_time"));
                let gate = row[name].as_str();
                let there = match gate {
                    Some("percentage_of_actors") => actors >= 1.0,
                    Some("percentage_of_time") => time >= 1.0,
                    gate => gate.is_some(),
                };
                if !there && is_part(actors) && !caller.is_null() {
                    of_actors.add(actors, gate.is_some(), here);
                } else if !there && is_part(time) {
                    of_time.add(time, gate.is_some(), here);
                } else {
                    decided[usize::from(there)] += 1;
                    if here != there {
                        let shown = format!("{gates}\n{:#?}", read.shown(name));
                        wrong.push(format!("{name} {caller}: {here}, not {there}\n{shown}"));
                    }
                }
            }
        }
    });
    assert!(wrong.is_empty(), "{} answers differ, first:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    assert!(decided.iter().all(|count| *count > 2_000), "{decided:?}");
    let agree: usize = decided.iter().sum();
    print(&format!("flipper-ruby: {agree} answers agree; {} features cannot be said", left_out.len()));
    print(&of_actors.check("percentage_of_actors"));
    print(&of_time.check("percentage_of_time"));
}
