//! A history, and the cause of a write, to and from the messages of the service.

use std::sync::Arc;

use flipper_thrift_protocol::feature_flag_store as thrift;

use super::convert::{from_state, to_state};
use crate::error::{Error, Result};
use crate::feed::history::{nanoseconds, time};
use crate::state::{Cause, Entry, EntryId, FlagState, HistoryPage, HistoryQuery, Stored, Version, WriteOptions};

/// `None` if nothing is known.
pub(super) fn to_cause(options: &WriteOptions) -> Option<thrift::WriteCause> {
    let cause = options.cause.as_deref();
    let known = options.verb.is_some() || cause.is_some();
    let text = |text: Option<&str>| text.map(str::to_owned);
    known.then(|| thrift::WriteCause {
        verb: text(options.verb),
        actor: text(cause.and_then(|cause| cause.actor())),
        reason: text(cause.and_then(|cause| cause.reason())),
        source: text(cause.map(|cause| cause.source())),
    })
}

/// Of a client that the server may know as `actor`; `None` if nothing is known.
///
/// # Errors
///
/// `InvalidInput` for what no cause can have.
pub fn from_cause(sent: Option<thrift::WriteCause>, actor: Option<&str>) -> Result<Option<Arc<Cause>>> {
    let sent = sent.unwrap_or(thrift::WriteCause { verb: None, actor: None, reason: None, source: None });
    let actor = actor.or(sent.actor.as_deref());
    if actor.is_none() && sent.reason.is_none() && sent.source.is_none() {
        return Ok(None);
    }
    let mut cause = Cause::default().with_source(sent.source.as_deref().unwrap_or("thrift"))?;
    if let Some(actor) = actor {
        cause = cause.with_actor(actor)?;
    }
    if let Some(reason) = &sent.reason {
        cause = cause.with_reason(reason)?;
    }
    Ok(Some(Arc::new(cause)))
}

/// For the other side.
pub fn to_page(page: HistoryPage) -> thrift::HistoryPage {
    let older = page.next.map(|id| id.as_str().to_owned());
    thrift::HistoryPage { entries: Some(page.entries.iter().map(to_entry).collect()), older }
}

fn to_entry(entry: &Entry) -> thrift::HistoryEntry {
    let text = |text: Option<&str>| text.map(str::to_owned);
    thrift::HistoryEntry {
        id: Some(entry.id.as_str().to_owned()),
        feature_name: Some(entry.name.clone()),
        at_ns: Some(nanoseconds(entry.at)),
        verb: Some(entry.verb.to_string()),
        actor: text(entry.actor()),
        reason: text(entry.reason()),
        source: text(entry.cause.as_ref().map(|cause| cause.source())),
        before: to_flag(&entry.before),
        after: to_flag(&entry.after),
    }
}

/// The entry has the name, and no version is known.
fn to_flag(state: &FlagState) -> Option<thrift::FlagState> {
    let record = state.clone()?;
    let sent = to_state(&Stored { name: String::new(), version: Version::opaque([]), record });
    Some(thrift::FlagState { feature_name: None, version: None, ..sent })
}

/// From the other side.
///
/// # Errors
///
/// `Unavailable` for entries without their fields.
pub(super) fn from_page(page: thrift::HistoryPage) -> Result<HistoryPage> {
    let entries = page.entries.unwrap_or_default().into_iter().map(from_entry).collect::<Result<_>>()?;
    Ok(HistoryPage::new(entries, page.older.map(EntryId::new)))
}

fn from_entry(entry: thrift::HistoryEntry) -> Result<Entry> {
    let (Some(id), Some(name), Some(at)) = (entry.id, entry.feature_name, entry.at_ns) else {
        return Err(Error::unavailable("an entry of the history has no id, name or time"));
    };
    let cause = Cause::stored(entry.source.as_deref(), entry.actor.as_deref(), entry.reason.as_deref());
    let state = |state: Option<thrift::FlagState>| -> FlagState {
        let state = thrift::FlagState { feature_name: Some(name.clone()), ..state? };
        from_state(state).map(|stored| stored.record)
    };
    let (before, after) = (state(entry.before), state(entry.after));
    let read = Entry::of(entry.verb.as_deref(), EntryId::new(id), name, time(at), before, after);
    Ok(read.with_cause(cause.map(Arc::new)))
}

/// What a call asks for. Clients in Go and C++ cannot omit an argument: theirs is empty, or 0.
///
/// # Errors
///
/// `InvalidInput` for a negative limit.
pub fn to_query(
    name: Option<String>,
    since_ns: Option<i64>,
    before: Option<String>,
    limit: Option<i64>,
) -> Result<HistoryQuery> {
    let given = |text: Option<String>| text.filter(|text| !text.is_empty());
    let since = since_ns.filter(|since| *since != 0).map(time);
    let mut query = HistoryQuery::all().since(since).before(given(before).map(EntryId::new));
    query.name = given(name);
    match limit.map(usize::try_from) {
        None | Some(Ok(0)) => Ok(query),
        Some(Ok(limit)) => Ok(query.limit(limit)),
        Some(Err(_)) => Err(Error::invalid_input("limit is negative")),
    }
}
