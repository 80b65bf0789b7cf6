//! Real PostgreSQL servers, standbys and pools. Each has a free port and its own directory, and is ended when dropped. They run as another
//! user if this process is root's, as they refuse to run as root.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

mod files;
mod pool;
mod server;

pub use pool::{Pool, PoolMode};
pub use server::{PostgresOptions, PostgresServer};

/// Of the superuser `postgres`.
pub const PASSWORD: &str = "s3cr3t";
