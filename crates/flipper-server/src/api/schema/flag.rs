use utoipa::ToSchema;

use super::{Prerequisite, RuleInput, Schedule, Stale, Status, StoredRule, Variants};

/// A flag. An unreadable one has only `name`, `version` and `unreadable`.
#[derive(ToSchema)]
pub(crate) struct Flag {
    pub(crate) name: String,
    /// Which of the flag's states this is; its `ETag`.
    version: String,
    /// Why the stored flag cannot be read.
    #[schema(required = false)]
    unreadable: Option<String>,
    #[schema(required = false)]
    enabled: Option<bool>,
    #[schema(required = false, value_type = Option<Object>)]
    client_data: Option<()>,
    /// All must hold. Each has checks by the name of a variable.
    #[schema(required = false)]
    conditions: Option<Vec<StoredCondition>>,
    /// None may hold.
    #[schema(required = false)]
    deny_conditions: Option<Vec<StoredCondition>>,
    /// A condition on an attribute that a check lacks does not hold.
    #[schema(required = false)]
    strict: Option<bool>,
    #[schema(required = false)]
    bucketer: Option<Bucketer>,
    /// In order: the first whose `when` holds decides.
    #[schema(required = false)]
    rules: Option<Vec<StoredRule>>,
    /// The values that callers get; null for a flag that is only on or off.
    #[schema(required = false)]
    variants: Option<Variants>,
    /// Flags that must be on.
    #[schema(required = false)]
    prerequisites: Option<Vec<Prerequisite>>,
    /// When the enabled flag is on.
    #[schema(required = false)]
    schedule: Option<Schedule>,
    /// Unix time in seconds.
    #[schema(required = false)]
    created_date: Option<i64>,
    /// While the store cannot be followed: then this is the last known state.
    #[schema(required = false, nullable = false)]
    stale: Option<Stale>,
}

/// The checks of a condition, by variable.
#[derive(ToSchema)]
#[schema(value_type = Object)]
pub(crate) struct StoredCondition(std::collections::BTreeMap<String, Vec<Check>>);

/// One check of a condition.
#[derive(ToSchema)]
pub(crate) struct Check {
    variable: String,
    /// `=`, `!=`, `>`, `>=`, `<`, `<=`, `in`, `not in`.
    operator: Option<String>,
    #[schema(value_type = Value)]
    value: (),
}

/// Which share of the callers gets the feature; its other fields depend on the type.
#[derive(ToSchema)]
pub(crate) struct Bucketer {
    /// `NoOpBucketer`, `PercentageBucketer`, `ConsistentHashPercentageBucketer`, `SaltedPercentageBucketer`, or one of your own.
    r#type: String,
}

#[derive(ToSchema)]
pub(crate) struct FlagPage {
    flags: Vec<Flag>,
    /// The `after` of the next page.
    next: Option<String>,
    status: Status,
}

/// A condition, stored or as text: `plan in pro, team`.
#[derive(ToSchema)]
#[serde(untagged)]
pub(crate) enum ConditionInput {
    Text(String),
    Stored(StoredCondition),
}

/// A body with fields of its own, then those of a flag that a client may set.
macro_rules! edit {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(utoipa::ToSchema)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            $($own)*
            #[schema(required = false, nullable = false)]
            enabled: Option<bool>,
            #[schema(required = false, nullable = false, value_type = Object)]
            client_data: Option<()>,
            #[schema(required = false, nullable = false)]
            conditions: Option<Vec<ConditionInput>>,
            #[schema(required = false, nullable = false)]
            deny_conditions: Option<Vec<ConditionInput>>,
            #[schema(required = false, nullable = false)]
            strict: Option<bool>,
            #[schema(required = false)]
            bucketer: Option<Bucketer>,
            #[schema(required = false, nullable = false)]
            rules: Option<Vec<RuleInput>>,
            /// Null for none. A variant that grows takes callers only from those that shrink.
            #[schema(required = false)]
            variants: Option<Variants>,
            #[schema(required = false, nullable = false)]
            prerequisites: Option<Vec<Prerequisite>>,
            /// Null for none. New times must not have passed.
            #[schema(required = false)]
            schedule: Option<Schedule>,
        }
    };
}
pub(super) use edit;

edit! {
    /// Fields of a flag.
    Edit {}
}

edit! {
    /// A new flag, disabled unless it is enabled.
    NewFlag {
        /// 1 to 255 bytes, without `/` and control characters.
        #[schema(min_length = 1, max_length = 255)]
        name: String,
    }
}
