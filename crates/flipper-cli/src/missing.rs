//! Attributes that a flag looks at, and that a check does not give.

use flipper::evaluation::Evaluation;
use flipper::{Bucketer, Condition, FlagRecord};

use crate::suggest;
use crate::text::{plain, quoted};

/// One of them.
pub(crate) struct Missing<'a> {
    pub(crate) name: &'a str,
    /// An attribute that is given, that no one looks at, and that is written much like it.
    pub(crate) meant: Option<&'a str>,
}

impl Missing<'_> {
    /// `did you mean user_id by userid?`
    pub(crate) fn question(&self) -> Option<String> {
        self.meant.map(|meant| format!("did you mean {} by {}?", plain(self.name), plain(meant)))
    }
}

/// Those of a check, in order.
pub(crate) fn missing<'a>(record: &FlagRecord, evaluation: &'a Evaluation, given: &[&'a str]) -> Vec<Missing<'a>> {
    let conditions = record.deny_conditions().iter().chain(record.conditions());
    let mut looked_at: Vec<&str> = conditions.flat_map(Condition::checks).map(|(variable, ..)| variable).collect();
    match record.bucketer() {
        Bucketer::ConsistentHash(hash) => looked_at.extend(hash.keys()),
        Bucketer::Salted(salted) => looked_at.push(salted.bucket_by()),
        _ => {}
    }
    let unused = || given.iter().copied().filter(|given| !looked_at.contains(given));
    evaluation.not_given.iter().map(|name| Missing { name, meant: suggest::like(name, unused()) }).collect()
}

/// What to say of them to who checks the flag.
pub(crate) fn note(flag: &str, missing: &[Missing<'_>]) -> Option<String> {
    let names: Vec<_> = missing.iter().map(|missing| plain(missing.name)).collect();
    let (first, ..) = names.split_first()?;
    let what = if names.len() == 1 { first.to_string() } else { names.join(", ") };
    let was = if names.len() == 1 { "was" } else { "were" };
    let mut note = format!("{} looks at {what}, which {was} not given", quoted(flag));
    for question in missing.iter().filter_map(Missing::question) {
        note.push_str("; ");
        note.push_str(&question);
    }
    Some(note)
}
