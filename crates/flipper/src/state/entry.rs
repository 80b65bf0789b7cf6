//! One write in a store's history, and how a history is asked for.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{Cause, Corrupt};
use crate::json::{Json, Object};
use crate::record::FlagRecord;

/// The flag at one time: `None` if it is missing, an error if it is unreadable.
pub type FlagState = Option<Result<Arc<FlagRecord>, Corrupt>>;

/// One write of one flag.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Entry {
    /// The place in the history.
    pub id: EntryId,
    /// The flag.
    pub name: String,
    /// When, by the clock of the store or its writer. Clocks go back: the order of the entries is their place, never this.
    pub at: SystemTime,
    /// What was done: `create`, `enable`, `set_conditions` and so on.
    pub verb: Arc<str>,
    /// Who, why and from where; `None` if the flag was changed outside of this library, and the store knows no more of it.
    pub cause: Option<Arc<Cause>>,
    /// The flag before.
    pub before: FlagState,
    /// The flag after.
    pub after: FlagState,
}

impl Entry {
    /// The source of what another program changed.
    pub(crate) const OUTSIDE: &str = "outside";

    /// A write without a cause. Its verb is what it did: `create`, `destroy`, or for one field `enable`, `disable`, `set_client_data`,
    /// `set_conditions` or `set_bucketer`, else `update`.
    #[must_use]
    pub fn new(id: EntryId, name: impl Into<String>, at: SystemTime, before: FlagState, after: FlagState) -> Self {
        Self::of(None, id, name, at, before, after)
    }

    /// A write without a cause, with this verb if there is one.
    #[must_use]
    pub fn of(
        verb: Option<&str>,
        id: EntryId,
        name: impl Into<String>,
        at: SystemTime,
        before: FlagState,
        after: FlagState,
    ) -> Self {
        let verb = verb.unwrap_or_else(|| match (&before, &after) {
            (None, _) => "create",
            (Some(_), None) => "destroy",
            (Some(Ok(before)), Some(Ok(after))) => verb_between(before, after),
            (Some(_), Some(_)) => UPDATE,
        });
        Self { id, name: name.into(), at, verb: verb.into(), cause: None, before, after }
    }

    /// Sets the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: Option<Arc<Cause>>) -> Self {
        self.cause = cause;
        self
    }

    /// Who, if that is known.
    #[must_use]
    pub fn actor(&self) -> Option<&str> {
        self.cause.as_ref()?.actor()
    }

    /// Why, if a reason was given.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        self.cause.as_ref()?.reason()
    }

    /// From where: `outside` if not by this library, with the program's name if the store knows it, as in `outside: psql`.
    #[must_use]
    pub fn source(&self) -> &str {
        self.cause.as_ref().map_or(Self::OUTSIDE, |cause| cause.source())
    }

    /// The flag before and after, as stored, but only the fields that differ; `null` where it is missing.
    ///
    /// ```
    /// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    /// # use futures_util::StreamExt;
    /// # futures_executor::block_on(async {
    /// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// features.create("CHECKOUT").await?;
    /// features.enable("CHECKOUT").await?;
    ///
    /// let last = features.history("CHECKOUT").next().await.unwrap()?;
    /// let (before, after) = last.differences();
    /// assert_eq!(before.to_string(), r#"{"is_enabled": false}"#);
    /// assert_eq!(after.to_string(), r#"{"is_enabled": true}"#);
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn differences(&self) -> (Json, Json) {
        let (before, after) = (shown(&self.before), shown(&self.after));
        match (before, after) {
            (Json::Object(before), Json::Object(after)) => {
                let (before, after) = differing(&before, &after);
                (before.into(), after.into())
            }
            whole => whole,
        }
    }
}

const UPDATE: &str = "update";

fn verb_between(before: &FlagRecord, after: &FlagRecord) -> &'static str {
    let becomes = |change: &dyn Fn(&mut FlagRecord)| {
        let mut changed = before.clone();
        change(&mut changed);
        changed == *after
    };
    let set_data = |record: &mut FlagRecord| {
        if let Json::Object(data) = after.client_data() {
            record.set_client_data(data.clone());
        }
    };
    if before == after {
        UPDATE
    } else if becomes(&|record| record.set_enabled(after.is_enabled())) {
        if after.is_enabled() { "enable" } else { "disable" }
    } else if becomes(&set_data) {
        "set_client_data"
    } else if becomes(&|record| record.set_conditions(after.conditions().to_vec())) {
        "set_conditions"
    } else if becomes(&|record| record.set_bucketer(after.bucketer().clone())) {
        "set_bucketer"
    } else {
        UPDATE
    }
}

fn shown(state: &FlagState) -> Json {
    match state {
        None => Json::Null,
        Some(Err(corrupt)) => [("unreadable", Json::from(corrupt.reason()))].into_iter().collect::<Object>().into(),
        // What a record writes is JSON.
        Some(Ok(record)) => record.to_json().parse().unwrap_or(Json::Null),
    }
}

/// Objects are compared field by field, anything else as a whole.
fn differing(before: &Object, after: &Object) -> (Object, Object) {
    let (mut old, mut new) = (Object::new(), Object::new());
    for (key, value) in before.iter() {
        match (value, after.get(key)) {
            (value, Some(same)) if value == same => {}
            (Json::Object(value), Some(Json::Object(other))) => {
                let (value, other) = differing(value, other);
                old.insert(key, value);
                new.insert(key, other);
            }
            (value, other) => {
                old.insert(key, value.clone());
                if let Some(other) = other {
                    new.insert(key, other.clone());
                }
            }
        }
    }
    for (key, value) in after.iter().filter(|(key, _)| before.get(key).is_none()) {
        new.insert(key, value.clone());
    }
    (old, new)
}

/// Ends no store's notation.
const GAP: char = '+';

/// The place of an entry in a store's history, as the store writes it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EntryId(Arc<str>);

impl EntryId {
    /// In the store's own notation.
    #[must_use]
    pub fn new(id: impl Into<Arc<str>>) -> Self {
        Self(id.into())
    }

    /// Of a change after the entry `older` that the store did not see. It is no place to read on from.
    pub(crate) fn of_gap(older: &Self) -> Self {
        Self::new(format!("{older}{GAP}"))
    }

    /// Whether this stands for a change that the store did not see, between two entries or after the newest.
    #[must_use]
    pub fn is_gap(&self) -> bool {
        self.0.ends_with(GAP)
    }

    /// The notation.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which entries of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryQuery {
    /// Of this flag alone.
    pub name: Option<String>,
    /// Whose time is not before this. A thousand older ones in a row may end the search.
    pub since: Option<SystemTime>,
    /// Older than this entry of the store.
    pub before: Option<EntryId>,
    /// At most so many.
    pub limit: usize,
}

/// A clock that was wrong for a while hides nothing, and a long history need not be read to its end.
const OLD_IN_A_ROW: usize = 1000;

/// Which entries, read one after the other, are recent enough.
pub(crate) struct Recent {
    since: Option<SystemTime>,
    old: usize,
}

impl Recent {
    pub(crate) fn new(since: Option<SystemTime>) -> Self {
        Self { since, old: 0 }
    }

    pub(crate) fn takes(&mut self, at: SystemTime) -> bool {
        let takes = self.since.is_none_or(|since| at >= since);
        self.old = if takes { 0 } else { self.old + 1 };
        takes
    }

    pub(crate) fn is_over(&self) -> bool {
        self.old >= OLD_IN_A_ROW
    }
}

/// A query's greatest limit.
const LONGEST_PAGE: usize = 1000;

impl HistoryQuery {
    /// The newest hundred entries of all flags.
    #[must_use]
    pub fn all() -> Self {
        Self { name: None, since: None, before: None, limit: 100 }
    }

    /// The newest hundred entries of this flag.
    #[must_use]
    pub fn of(name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..Self::all() }
    }

    /// Leaves out entries whose time is before this.
    #[must_use]
    pub fn since(mut self, time: Option<SystemTime>) -> Self {
        self.since = time;
        self
    }

    /// Whether an entry of this flag and time is meant.
    #[must_use]
    pub fn takes(&self, name: &str, at: SystemTime) -> bool {
        self.name.as_ref().is_none_or(|wanted| wanted == name) && self.since.is_none_or(|since| at >= since)
    }

    /// Only entries older than this one.
    #[must_use]
    pub fn before(mut self, id: Option<EntryId>) -> Self {
        self.before = id;
        self
    }

    /// Another limit than a hundred: 1 to 1000.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.clamp(1, LONGEST_PAGE);
        self
    }
}

/// Entries of a history, the newest first.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct HistoryPage {
    /// In the store's order.
    pub entries: Vec<Entry>,
    /// If older ones may follow: what to ask for, as [`HistoryQuery::before`].
    pub next: Option<EntryId>,
}

impl HistoryPage {
    /// A page.
    #[must_use]
    pub fn new(entries: Vec<Entry>, next: Option<EntryId>) -> Self {
        Self { entries, next }
    }
}

/// How much of its history a store keeps.
///
/// ```
/// use flipper::history::HistoryLimits;
/// use std::time::Duration;
///
/// let year = HistoryLimits::default().entries(100_000).age(Duration::from_secs(365 * 86_400));
/// assert_eq!(year.kept_entries(), 100_000);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HistoryLimits {
    entries: u32,
    age: Duration,
}

/// The last 10,000 entries, of 90 days.
impl Default for HistoryLimits {
    fn default() -> Self {
        Self { entries: 10_000, age: Duration::from_secs(90 * 86_400) }
    }
}

impl HistoryLimits {
    /// The greatest number of entries of all flags together, at least one.
    #[must_use]
    pub fn entries(mut self, entries: u32) -> Self {
        self.entries = entries.max(1);
        self
    }

    /// The greatest age of an entry.
    #[must_use]
    pub fn age(mut self, age: Duration) -> Self {
        self.age = age;
        self
    }

    /// See [`entries`](Self::entries).
    #[must_use]
    pub fn kept_entries(&self) -> u32 {
        self.entries
    }

    /// See [`age`](Self::age).
    #[must_use]
    pub fn kept_age(&self) -> Duration {
        self.age
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bucketing::PercentageBucketer;
    use crate::conditions::Condition;

    fn state(text: &str) -> FlagState {
        Some(FlagRecord::from_json(text.as_bytes()).map(Arc::new).map_err(|error| Corrupt::new(error.to_string())))
    }

    fn differences(before: FlagState, after: FlagState) -> (String, String) {
        let entry = Entry::new(EntryId::new("1"), "F", SystemTime::UNIX_EPOCH, before, after);
        let (before, after) = entry.differences();
        (before.to_string(), after.to_string())
    }

    #[test]
    fn the_verb_is_what_was_done() {
        let verb = |change: &dyn Fn(&mut FlagRecord)| {
            let before = FlagRecord::new("F", 1);
            let mut after = before.clone();
            change(&mut after);
            let (before, after) = (Some(Ok(Arc::new(before))), Some(Ok(Arc::new(after))));
            Entry::new(EntryId::new("1"), "F", SystemTime::UNIX_EPOCH, before, after).verb.to_string()
        };
        assert_eq!(verb(&|record| record.set_enabled(true)), "enable");
        assert_eq!(verb(&|record| record.set_client_data([("a", 1)].into_iter().collect())), "set_client_data");
        assert_eq!(verb(&|record| record.set_conditions(vec![Condition::new().eq("plan", "pro")])), "set_conditions");
        assert_eq!(verb(&|record| record.set_bucketer(PercentageBucketer::new(0.5).into())), "set_bucketer");
        let both = |record: &mut FlagRecord| {
            record.set_enabled(true);
            record.set_strict(true);
        };
        assert_eq!(verb(&both), "update");
        assert_eq!(verb(&|_| ()), "update");
    }

    #[test]
    fn only_what_differs_is_shown() {
        let text = |enabled: bool, data: &str| {
            format!(
                r#"{{"feature_name": "F", "is_enabled": {enabled}, "meta": {{"client_data": {data}, "created_date": 1, "conditions": [], "bucketer": {{"type": "NoOpBucketer"}}}}}}"#
            )
        };
        let old = state(&text(false, r#"{"a": 1, "gone": [1, 2], "same": {"x": 1}}"#));
        let new = state(&text(false, r#"{"a": 2, "same": {"x": 1}, "new": null}"#));
        let (before, after) = differences(old.clone(), new);
        assert_eq!(before, r#"{"meta": {"client_data": {"a": 1, "gone": [1, 2]}}}"#);
        assert_eq!(after, r#"{"meta": {"client_data": {"a": 2, "new": null}}}"#);
        assert_eq!(differences(old.clone(), old.clone()), ("{}".to_owned(), "{}".to_owned()));
        let (before, after) = differences(old, None);
        assert!(before.starts_with(r#"{"feature_name": "F", "is_enabled": false, "meta": "#));
        assert_eq!(after, "null");
        let (_, after) = differences(None, state("{"));
        assert!(after.starts_with(r#"{"unreadable": "#), "{after}");
    }
}
