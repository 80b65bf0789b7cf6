//! Writes of many flags.

use utoipa::ToSchema;

use super::flag::edit;
use super::{Bucketer, ConditionInput, Prerequisite, Problem, RuleInput, Schedule, Variants};

edit! {
    /// A write of a flag.
    Operation {
        op: OperationKind,
        name: String,
        /// The version that the flag must have.
        #[schema(required = false, nullable = false)]
        if_version: Option<String>,
    }
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OperationKind {
    Create,
    Change,
    Replace,
    Destroy,
}

#[derive(ToSchema)]
pub(crate) struct Results {
    results: Vec<OperationResult>,
}

#[derive(ToSchema)]
pub(crate) struct OperationResult {
    name: String,
    /// As the status of a request with this operation alone.
    status: u16,
    #[schema(required = false)]
    version: Option<String>,
    #[schema(required = false, nullable = false)]
    error: Option<Problem>,
}

#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ImportMode {
    Merge,
    Replace,
}

/// A flag as it is stored.
#[derive(ToSchema)]
pub(crate) struct Record {
    feature_name: String,
    is_enabled: bool,
    #[schema(value_type = Object)]
    meta: (),
}

#[derive(ToSchema)]
pub(crate) struct Imported {
    dry_run: bool,
    created: u64,
    changed: u64,
    destroyed: u64,
    unchanged: u64,
    failed: Vec<Failed>,
}

#[derive(ToSchema)]
pub(crate) struct Failed {
    name: String,
    error: Problem,
}
