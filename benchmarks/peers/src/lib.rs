//! Checks of feature flags, by Flipper and by other libraries. `README.md` has the method.

pub mod measure;
pub mod peer;
pub mod peers;
pub mod report;
pub mod rows;
pub mod scenario;
pub mod svg;
pub mod versions;

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
