//! OFREP, asked by real clients and byte by byte.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

mod cors;
mod failures;
mod large;
mod nginx;
mod page;
mod raw;
mod refused;
mod sdks;
mod stale;
mod stream;
mod support;
mod targeting;
mod web;
