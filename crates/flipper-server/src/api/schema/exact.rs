//! For stores over this server.

use utoipa::ToSchema;

/// One of `get`, `known`, `history`, `put` and `delete`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RecordOperation {
    #[schema(required = false, nullable = false)]
    get: Option<String>,
    #[schema(required = false, nullable = false)]
    known: Option<String>,
    /// `name`, `since_ns` (since 1970), `before` (an entry's id) and `limit`, all optional.
    #[schema(required = false, nullable = false, value_type = Object)]
    history: Option<()>,
    /// The text of a record.
    #[schema(required = false, nullable = false)]
    put: Option<String>,
    #[schema(required = false, nullable = false)]
    delete: Option<String>,
    #[schema(required = false, value_type = Value)]
    when: Option<()>,
}

#[derive(ToSchema)]
pub(crate) struct RecordResult {
    #[schema(required = false)]
    name: Option<String>,
    /// `o` and a number, `t` and text, `x` and hexadecimal digits, or `=`: the record's text.
    #[schema(required = false)]
    version: Option<String>,
    #[schema(required = false)]
    record: Option<String>,
    #[schema(required = false)]
    unreadable: Option<String>,
    #[schema(required = false)]
    absent: Option<bool>,
    /// Of a history, to the byte.
    #[schema(required = false, value_type = Option<Vec<Object>>)]
    entries: Option<()>,
    /// The `before` of the next page.
    #[schema(required = false)]
    next: Option<String>,
    #[schema(required = false, value_type = Object)]
    error: Option<()>,
}
