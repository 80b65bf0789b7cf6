//! The rows of the report.

use std::collections::HashSet;

use crate::peer::Batch;
use crate::scenario::{PERCENT, PRO, Rule, Scenario, VARIANTS};

pub struct Row {
    pub key: &'static str,
    pub title: &'static str,
    pub threads: usize,
    pub scenario: fn() -> Scenario,
    /// How many times as fast as the fastest peer Flipper has to be.
    pub goal: f64,
}

const fn row(key: &'static str, title: &'static str, scenario: fn() -> Scenario) -> Row {
    Row { key, title, threads: 1, scenario, goal: 1.0 }
}

impl Row {
    const fn goal(mut self, times: f64) -> Self {
        self.goal = times;
        self
    }

    const fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}

/// The row that memory is measured with.
pub const MEMORY: &str = "plain-10000";
/// A check of the second may take so many times one of the first.
pub const FLAT: (&str, &str, f64) = ("plain-10", "plain-10000", 2.0);

pub const ROWS: [Row; 11] = [
    row("plain-10", "check by name, 10 flags", || Scenario::plain(10)).goal(5.0),
    row("plain-1000", "check by name, 1,000 flags", || Scenario::plain(1_000)).goal(5.0),
    row(MEMORY, "check by name, 10,000 flags", || Scenario::plain(10_000)).goal(5.0),
    row("threads-10", "check by name, 10 flags, two threads", || Scenario::plain(10)).threads(2),
    row("threads-1000", "check by name, 1,000 flags, two threads", || Scenario::plain(1_000)).threads(2),
    row("threads-10000", "check by name, 10,000 flags, two threads", || Scenario::plain(10_000)).threads(2),
    row("missing", "missing flag, 1,000 flags", || Scenario::missing(1_000)).goal(4.0),
    row("one-rule", "one rule on an attribute", || Scenario::with(Rule::One)).goal(4.0),
    row("twenty-rules", "twenty rules, all of which hold", || Scenario::with(Rule::Twenty)),
    row("percentage", "25 % of users", || Scenario::with(Rule::Percentage)).goal(4.0),
    row("variants", "three variants, by user", || Scenario::with(Rule::Variants)),
];

/// Whether the answers are right, as far as all libraries agree: they choose different users, but as many.
pub fn verify(scenario: &Scenario, check: &Batch) -> Result<(), String> {
    // Some libraries need milliseconds for a check of many flags.
    let most = if scenario.rule == Rule::None { 50 } else { usize::MAX };
    let answers: Vec<usize> = (0..scenario.period().min(most)).map(|turn| check(turn, 1)).collect();
    let share = |answer: usize| answers.iter().filter(|found| **found == answer).count() as f64 / answers.len() as f64;
    // Three standard deviations, for those that do not hash the flag's name and so ask each user ten times.
    let near = |answer: usize, expected: f64| (share(answer) - expected).abs() < 0.13;
    let on: HashSet<&str> = scenario.flags.iter().filter(|flag| flag.on).map(|flag| &*flag.name).collect();
    let right = match scenario.rule {
        Rule::None => {
            scenario.names.iter().zip(&answers).all(|(name, answer)| *answer == usize::from(on.contains(&**name)))
        }
        Rule::One => scenario.users.iter().cycle().zip(&answers).all(|(user, answer)| {
            let on = user.attributes.iter().any(|(_, value)| *value == PRO);
            *answer == usize::from(on)
        }),
        Rule::Twenty => answers.iter().all(|answer| *answer == 1),
        Rule::Percentage => {
            let on = f64::from(PERCENT) / 100.0;
            near(1, on) && near(0, 1.0 - on)
        }
        Rule::Variants => VARIANTS.iter().all(|variant| near(variant.len(), 1.0 / 3.0)),
    };
    if right { Ok(()) } else { Err(format!("wrong answers: {:?}", &answers[..answers.len().min(40)])) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::peer::batch;
    use crate::peers;

    #[test]
    fn every_contestant_is_right_in_every_row() {
        for row in &ROWS {
            let scenario = Arc::new((row.scenario)());
            let found = peers::all().into_iter().filter(|peer| {
                let batch = peer.prepare(&scenario).unwrap();
                batch.iter().for_each(|batch| verify(&scenario, batch).unwrap());
                batch.is_some()
            });
            assert!(found.count() > 10, "{}", row.key);
        }
    }

    #[test]
    fn wrong_answers_are_found() {
        for row in &ROWS {
            let scenario = Arc::new((row.scenario)());
            for answer in [0, 1, 3] {
                let same = batch(&scenario, vec![()], move |_, ()| answer);
                let right = match scenario.rule {
                    Rule::None => row.key == "missing" && answer == 0,
                    Rule::Twenty => answer == 1,
                    Rule::One | Rule::Percentage | Rule::Variants => false,
                };
                assert_eq!(verify(&scenario, &same).is_ok(), right, "{}: {answer}", row.key);
            }
        }
    }
}
