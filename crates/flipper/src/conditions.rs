//! stub
use crate::{Json, Result};
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Condition;
impl Condition {
    pub fn new() -> Self {
        Self
    }
    pub fn eq(self, _k: &str, _v: impl Into<Json>) -> Self {
        self
    }
    pub(crate) fn from_json(_: &Json) -> Result<Self> {
        Ok(Self)
    }
    pub(crate) fn to_json(&self) -> Json {
        Json::Object(Default::default())
    }
}
