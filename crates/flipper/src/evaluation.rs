//! stub
use crate::clock::*;
use crate::context::Attributes;
use crate::record::FlagRecord;
use crate::store::Corrupt;
use std::sync::Arc;
#[derive(Debug)]
pub(crate) struct Plan(bool);
impl Plan {
    pub(crate) fn new(r: &FlagRecord) -> Self {
        Self(r.is_enabled())
    }
    pub(crate) fn settled_without_context(&self) -> Option<bool> {
        Some(self.0)
    }
    pub(crate) fn settled_with_context(&self) -> Option<bool> {
        Some(self.0)
    }
    pub(crate) fn is_enabled(&self, _n: &str, _c: &dyn Attributes, _e: &Environment) -> bool {
        self.0
    }
    pub(crate) fn evaluate(&self, _n: &str, _c: &dyn Attributes, _e: &Environment) -> Evaluation {
        Evaluation::new(self.0, Reason::Disabled)
    }
}
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
}
#[derive(Debug)]
pub struct Evaluation {
    pub enabled: bool,
    pub reason: Reason,
}
impl Evaluation {
    pub(crate) fn new(enabled: bool, reason: Reason) -> Self {
        Self { enabled, reason }
    }
}
#[derive(Debug, PartialEq)]
pub enum Reason {
    Disabled,
    NoSuchFlag,
    Corrupt(Corrupt),
}
