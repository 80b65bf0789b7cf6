use flipper::evaluation::{Evaluation, Reason};
use flipper::targeting::Serve;
use flipper::{Condition, FlagRecord};

use crate::describe::hashed;
use crate::suggest;
use crate::text::{plain, quoted};

/// An attribute that a flag uses and a check does not give.
pub(crate) struct Missing<'a> {
    pub(crate) name: &'a str,
    /// A similar name among the given attributes that the flag does not use.
    pub(crate) meant: Option<&'a str>,
}

impl Missing<'_> {
    /// `did you mean user_id by userid?`
    pub(crate) fn question(&self) -> Option<String> {
        self.meant.map(|meant| format!("did you mean {} by {}?", plain(self.name), plain(meant)))
    }
}

pub(crate) fn missing<'a>(record: &'a FlagRecord, evaluation: &'a Evaluation, given: &[&'a str]) -> Vec<Missing<'a>> {
    let conditions = record.deny_conditions().iter().chain(record.conditions());
    let mut looked_at: Vec<&str> = conditions.flat_map(Condition::checks).map(|(variable, ..)| variable).collect();
    looked_at.extend(hashed(record.bucketer()));
    let of_rules = asked(record, evaluation);
    looked_at.extend(&of_rules);
    let unused = || given.iter().copied().filter(|given| !looked_at.contains(given));
    let mut names: Vec<&str> = evaluation.not_given.iter().map(String::as_str).collect();
    names.extend(of_rules.into_iter().filter(|name| !given.contains(name)));
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| Missing { name, meant: suggest::like(name, unused()) }).collect()
}

/// The attributes of the rules that were asked: without them a rule does not hold.
fn asked<'a>(record: &'a FlagRecord, evaluation: &Evaluation) -> Vec<&'a str> {
    let asked = match evaluation.reason {
        Reason::Rule { index, .. } => index + 1,
        Reason::Disabled | Reason::Scheduled { .. } | Reason::Prerequisite { .. } | Reason::Denied { .. } => 0,
        _ => record.rules().len(),
    };
    let mut names = Vec::new();
    for rule in record.rules().iter().take(asked) {
        rule.when.iter().for_each(|when| when.each_attribute(&mut |name| names.push(name)));
        if let Serve::Share { by, .. } = &rule.serve {
            // A share is asked only where the rule holds.
            names.extend(Some(by.as_str()).filter(|_| matches!(evaluation.reason, Reason::Rule { .. })));
        }
    }
    names
}

pub(crate) fn note(flag: &str, missing: &[Missing<'_>]) -> Option<String> {
    let was = match missing.len() {
        0 => return None,
        1 => "was",
        _ => "were",
    };
    let names: Vec<_> = missing.iter().map(|missing| plain(missing.name)).collect();
    let note = format!("{} looks at {}, which {was} not given", quoted(flag), names.join(", "));
    Some(std::iter::once(note).chain(missing.iter().filter_map(Missing::question)).collect::<Vec<_>>().join("; "))
}
