use flipper::__words::{Changed, difference};
use flipper::FlagRecord;
use flipper::history::Entry;

use crate::follow::State;
use crate::output::{NOTE, OFF, ON, styled};
use crate::text::plain;
pub(crate) use flipper::__words::{callers, choice, fields, hashed, rollout, rules, share_of, targeting, unknown};

/// A sign and what differs, on one line.
pub(crate) fn change(before: Option<&State>, after: Option<&State>) -> (String, String) {
    match (before, after) {
        (_, None) => (styled(OFF, "-"), "destroyed".to_owned()),
        (_, Some(Err(why))) => (styled(NOTE, "!"), format!("cannot be read any more: {}", plain(why.reason()))),
        (Some(Ok(before)), Some(Ok(after))) => ("~".to_owned(), changes(before, after)),
        (_, Some(Ok(after))) => {
            let all = fields(after).into_iter().filter(|(what, _)| what != "created");
            (styled(ON, "+"), all.map(|(what, how)| format!("{what}: {how}")).collect::<Vec<_>>().join(", "))
        }
    }
}

fn changes(before: &FlagRecord, after: &FlagRecord) -> String {
    let changes: Vec<_> = difference(Some(before), Some(after)).into_iter().map(one).collect();
    if changes.is_empty() { "the same, with another spelling".to_owned() } else { changes.join(", ") }
}

fn one(Changed { what, before, after }: Changed) -> String {
    match (before, after) {
        (Some(before), Some(after)) => format!("{what}: {before} -> {after}"),
        (Some(before), None) => format!("{what} removed: {before}"),
        (None, after) => format!("{what}: {}", after.unwrap_or_default()),
    }
}

/// `by alice (command): incident 42`
pub(crate) fn who(entry: &Entry) -> String {
    if entry.cause.is_none() {
        return styled(NOTE, "changed outside");
    }
    let actor = entry.actor().map(|actor| format!("by {} ", plain(actor))).unwrap_or_default();
    let reason = entry.reason().map(|reason| format!(": {}", plain(reason))).unwrap_or_default();
    format!("{actor}({}){reason}", plain(entry.source()))
}
