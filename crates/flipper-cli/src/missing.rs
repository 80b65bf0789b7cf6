//! Attributes that a flag looks at, and that a check does not give.

use flipper::{Bucketer, FlagRecord};

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

/// Those of a flag, in order.
pub(crate) fn missing<'a>(record: &'a FlagRecord, given: &[&'a str]) -> Vec<Missing<'a>> {
    let conditions = record.deny_conditions().iter().chain(record.conditions());
    let mut wanted: Vec<&str> =
        conditions.flat_map(|condition| condition.checks().map(|(variable, ..)| variable)).collect();
    // Conditions decide alone where a check gives attributes.
    match record.bucketer() {
        _ if !record.conditions().is_empty() && !given.is_empty() => {}
        Bucketer::ConsistentHash(hash) => wanted.extend(hash.keys()),
        Bucketer::Salted(salted) => wanted.push(salted.bucket_by()),
        _ => {}
    }
    wanted.sort_unstable();
    wanted.dedup();
    let unused = || given.iter().copied().filter(|given| !wanted.contains(given));
    wanted
        .iter()
        .filter(|name| !given.contains(name))
        .map(|name| Missing { name, meant: suggest::like(name, unused()) })
        .collect()
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

#[cfg(test)]
mod tests {
    use flipper::{Condition, ConsistentHashPercentageBucketer};

    use super::*;

    #[test]
    fn what_is_not_given_is_told() {
        let mut record = FlagRecord::new("X", 0);
        record.add_condition(Condition::new().eq("plan", "pro"));
        record.set_bucketer(ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["user_id"]).into());
        let note = |given: &[&str]| note("X", &missing(&record, given));
        assert_eq!(note(&["plan", "other"]), None);
        assert_eq!(note(&["Plan"]).unwrap(), "X looks at plan, which was not given; did you mean plan by Plan?");
        assert_eq!(note(&[]).unwrap(), "X looks at plan, user_id, which were not given");
    }
}
