//! stub
use crate::{Json, Result};
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Bucketer;
impl Bucketer {
    pub(crate) fn from_json(_: &Json) -> Result<Self> {
        Ok(Self)
    }
    pub(crate) fn to_json(&self) -> Json {
        Json::parse(r#"{"type": "NoOpBucketer"}"#).unwrap()
    }
}
