//! Proves that a store is correct: one macro makes a test of each sentence under `# Behavior` of [`FeatureFlagStore`] and
//! [`LocalFeatureFlagStore`].
//!
//! ```
//! // tests/my_store.rs, with `flipper-client = { version = "…", features = ["conformance"] }` under [dev-dependencies]
//! use flipper::MemoryFeatureFlagStore;
//!
//! flipper::store_conformance_tests!(memory, async || MemoryFeatureFlagStore::new());
//! ```
//!
//! makes the tests `memory::get_missing` and so on. [`prove`] runs all in one call:
//!
//! ```
//! # use flipper::MemoryFeatureFlagStore;
//! flipper::conformance::prove(async || MemoryFeatureFlagStore::new());
//! ```
//!
//! The closure is called for each test, in a tokio runtime, and returns **a store of its own, without flags**, or `(store, guard)` with
//! what must live as long, or an `Option`, if a server may be missing; see [`TestStore`]. The tests need no runtime and no other
//! dependency.
//!
//! A store that hangs fails the named test: a call has [10 seconds](CALL_LIMIT), a test [two minutes](TEST_LIMIT). A `watch` should poll
//! well below that.
//!
//! # What to run
//!
//! - [`store_conformance_tests!`](crate::store_conformance_tests): for every store.
//! - The same over [`TwoConnections`] to one place: if several processes share it.
//! - [`reopened_conformance_tests!`](crate::reopened_conformance_tests): if flags outlive its process.
//! - [`local_store_conformance_tests!`](crate::local_store_conformance_tests): instead of the first, for a [`LocalFeatureFlagStore`].
//! - [`corrupt_conformance_tests!`](crate::corrupt_conformance_tests) and
//!   [`local_corrupt_conformance_tests!`](crate::local_corrupt_conformance_tests): if other programs can store unreadable values.
//!
//! [`FeatureFlagStore`]: crate::FeatureFlagStore
//! [`LocalFeatureFlagStore`]: crate::store::LocalFeatureFlagStore

mod close;
mod connections;
mod corrupt;
mod delete;
mod get;
mod history;
mod list;
mod local;
mod macros;
mod put;
mod put_all;
mod race;
mod reopen;
mod run;
mod stream;
mod subject;
mod watch;

pub use self::close::close_twice;
pub use self::connections::TwoConnections;
pub use self::corrupt::{corrupt_delete, corrupt_get, corrupt_list, corrupt_put, corrupt_status, corrupt_table};
pub use self::delete::{
    delete_aba, delete_absent, delete_existing, delete_foreign_name, delete_missing, delete_then_create,
    delete_touches_one, delete_unchanged,
};
pub use self::get::{get_after_put, get_cached_asks_the_store, get_foreign_name, get_is_authoritative, get_missing};
pub use self::history::{
    history_cause, history_each_write, history_of_one, history_pages, history_put_all, history_replays, history_since,
    history_unsupported,
};
pub use self::list::{list_agrees_with_get, list_empty, list_is_authoritative, list_many, list_ordered};
pub use self::local::{
    close_is_stale, close_keeps_flags, close_refuses_writes, ready_again, status_is_live, table_agrees_with_list,
    table_is_one, table_keeps_order, table_shows_delete, table_shows_put, table_shows_put_all,
};
pub use self::put::{
    put_aba, put_absent, put_any, put_invalid_name, put_large_record, put_names_of_python, put_new_version,
    put_ordered_versions, put_same_again, put_touches_one, put_unchanged, put_unicode_and_long_names,
    put_version_is_read_back,
};
pub use self::put_all::{put_all_each, put_all_results};
pub use self::race::{
    delete_dropped, delete_is_atomic, get_is_whole, list_is_complete, put_dropped, put_is_atomic, put_no_lost_update,
};
pub use self::reopen::{Reopen, reopen_keeps_flags, reopen_keeps_history, reopen_keeps_versions};
pub use self::run::{
    Plant, TEST_LIMIT, TestStore, failures, local_failures, prove, prove_local, run, run_corrupt, run_local,
    run_local_corrupt, run_reopened,
};
pub use self::stream::{corrupt_stream, stream_agrees_with_list, stream_is_complete};
pub use self::subject::CALL_LIMIT;
pub use self::watch::{
    watch_begins_with_reset, watch_delete, watch_is_independent, watch_last_state, watch_never_ends, watch_no_gap,
    watch_no_gap_at_start, watch_put, watch_removes_nothing_else,
};
