use flipper::evaluation::Evaluation;
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

pub(crate) fn missing<'a>(record: &FlagRecord, evaluation: &'a Evaluation, given: &[&'a str]) -> Vec<Missing<'a>> {
    let conditions = record.deny_conditions().iter().chain(record.conditions());
    let mut looked_at: Vec<&str> = conditions.flat_map(Condition::checks).map(|(variable, ..)| variable).collect();
    looked_at.extend(hashed(record.bucketer()));
    let unused = || given.iter().copied().filter(|given| !looked_at.contains(given));
    evaluation.not_given.iter().map(|name| Missing { name, meant: suggest::like(name, unused()) }).collect()
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
