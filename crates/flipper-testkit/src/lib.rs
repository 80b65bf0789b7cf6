//! Test support for Flipper.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "in tests a panic is the report")]

pub mod python;
pub mod redis;
mod skip;

pub use skip::{program, skip};
