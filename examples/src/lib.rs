//! The examples of `docs/in-application.md`, which are tests. The programs are in `src/bin`:
//!
//! ```sh
//! cargo run --package flipper-examples --bin axum_handlers
//! ```

/// They need more crates than the library's own.
#[cfg(doctest)]
#[doc = include_str!("../../docs/in-application.md")]
struct InApplication;
