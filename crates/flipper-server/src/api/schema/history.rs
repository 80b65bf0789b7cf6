use utoipa::ToSchema;

use super::{Flag, Segment};

#[derive(ToSchema)]
pub(crate) struct HistoryPage {
    /// The newest first.
    entries: Vec<HistoryEntry>,
    /// The `before` of the next page.
    next: Option<String>,
}

/// One change of one flag.
#[derive(ToSchema)]
pub(crate) struct HistoryEntry {
    id: String,
    name: String,
    /// RFC 3339, by the clock of the store or its writer. Clocks go back: the order of the entries is their place.
    at: String,
    actor: Option<String>,
    /// What was done: `create`, `enable`, `set_conditions` and so on.
    verb: String,
    reason: Option<String>,
    /// From where: `api`, `page`, `command`, `program`, or `outside` if not by Flipper, in PostgreSQL with the program's name, as in `outside: psql`.
    source: String,
    /// The fields of the stored flag that differ, as they were; null if there was no flag.
    #[schema(value_type = Option<Object>)]
    before: Option<()>,
    /// As they are since; null if the flag is gone.
    #[schema(value_type = Option<Object>)]
    after: Option<()>,
}

/// Which change to undo.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Restore {
    name: String,
    /// Of the entry.
    id: String,
}

#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum Restored {
    Flag(Box<Flag>),
    Segment(Segment),
}
