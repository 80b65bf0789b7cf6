//! One test for each behaviour and store: the only list of the behaviours.

/// Makes a module of tests, one for each behaviour of every store. The closure returns a store without flags; see
/// [`conformance`](crate::conformance).
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
///
/// flipper::store_conformance_tests!(memory, async || MemoryFeatureFlagStore::new());
/// ```
#[macro_export]
macro_rules! store_conformance_tests {
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression may name what is outside of the module")]
            use super::*;
            $crate::__store_behaviors!(tests run $make);
        }
    };
}

/// As [`store_conformance_tests!`](crate::store_conformance_tests), with those of a
/// [`LocalFeatureFlagStore`](crate::store::LocalFeatureFlagStore).
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
///
/// flipper::local_store_conformance_tests!(memory, async || MemoryFeatureFlagStore::new());
/// ```
#[macro_export]
macro_rules! local_store_conformance_tests {
    ($name:ident, $make:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the expression may name what is outside of the module")]
            use super::*;
            $crate::__store_behaviors!(tests run $make);
            $crate::__local_behaviors!(tests run_local $make);
        }
    };
}

/// Tests with unreadable values. The first closure is as in [`store_conformance_tests!`](crate::store_conformance_tests). The second writes
/// bytes to the place of a flag by the driver, as another program would.
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
/// use flipper::store::{LocalFeatureFlagStore, Stored, Version};
///
/// flipper::corrupt_conformance_tests!(
///     memory_with_values_that_are_no_flags,
///     async || MemoryFeatureFlagStore::new(),
///     async |store: &MemoryFeatureFlagStore, name: &str, value: &[u8]| {
///         store.table().apply(Stored::from_json(name, Version::ordered(0), value));
///     },
/// );
/// ```
#[macro_export]
macro_rules! corrupt_conformance_tests {
    ($name:ident, $make:expr, $plant:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the expressions may name what is outside of the module")]
            use super::*;
            $crate::__corrupt_behaviors!(tests run_corrupt $make, $plant);
        }
    };
}

/// As [`corrupt_conformance_tests!`](crate::corrupt_conformance_tests), with those of a
/// [`LocalFeatureFlagStore`](crate::store::LocalFeatureFlagStore).
#[macro_export]
macro_rules! local_corrupt_conformance_tests {
    ($name:ident, $make:expr, $plant:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the expressions may name what is outside of the module")]
            use super::*;
            $crate::__corrupt_behaviors!(tests run_corrupt $make, $plant);
            $crate::__local_corrupt_behaviors!(tests run_local_corrupt $make, $plant);
        }
    };
}

/// Tests of a store that is opened again. The first closure returns a store and what holds its flags, as
/// [`conformance`](crate::conformance) explains. The second opens it again after the store was dropped.
///
/// ```
/// use flipper::MemoryFeatureFlagStore;
///
/// flipper::reopened_conformance_tests!(
///     memory_kept,
///     async || {
///         // Instead of a folder: clones share their flags.
///         let folder = MemoryFeatureFlagStore::new();
///         (folder.clone(), folder)
///     },
///     async |folder: &MemoryFeatureFlagStore| folder.clone(),
/// );
/// ```
#[macro_export]
macro_rules! reopened_conformance_tests {
    ($name:ident, $make:expr, $reopen:expr $(,)?) => {
        mod $name {
            #[allow(unused_imports, reason = "the expressions may name what is outside of the module")]
            use super::*;
            $crate::__reopened_behaviors!(tests run_reopened $make, $reopen);
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __reopened_behaviors {
    ($($how:tt)*) => {
        $crate::__behaviors! { [$($how)*] reopen_keeps_flags reopen_keeps_versions reopen_keeps_history }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __store_behaviors {
    ($($how:tt)*) => {
        $crate::__behaviors! { [$($how)*]
            get_missing get_after_put get_is_authoritative get_is_whole get_foreign_name
            put_any put_absent put_unchanged put_same_again put_version_is_read_back put_new_version put_ordered_versions put_aba put_is_atomic
            put_no_lost_update put_invalid_name put_names_of_python put_touches_one put_unicode_and_long_names put_large_record put_dropped
            delete_existing delete_missing delete_unchanged delete_absent delete_aba delete_is_atomic delete_then_create
            delete_touches_one delete_foreign_name delete_dropped
            list_empty list_ordered list_agrees_with_get list_is_authoritative list_is_complete list_many
            watch_begins_with_reset watch_put watch_delete watch_no_gap watch_no_gap_at_start watch_removes_nothing_else
            watch_last_state watch_is_independent watch_never_ends
            get_cached_asks_the_store put_all_each put_all_results stream_agrees_with_list stream_is_complete
            history_each_write history_cause history_put_all history_of_one history_pages history_since history_replays
            history_unsupported close_twice }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __local_behaviors {
    ($($how:tt)*) => {
        $crate::__behaviors! { [$($how)*]
            table_is_one table_shows_put table_shows_delete table_shows_put_all table_agrees_with_list table_keeps_order
            status_is_live ready_again close_keeps_flags close_refuses_writes close_is_stale }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __corrupt_behaviors {
    ($($how:tt)*) => {
        $crate::__behaviors! { [$($how)*] corrupt_get corrupt_put corrupt_delete corrupt_list corrupt_stream }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __local_corrupt_behaviors {
    ($($how:tt)*) => {
        $crate::__behaviors! { [$($how)*] corrupt_table corrupt_status }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __behaviors {
    ([tests $run:ident $make:expr] $($behavior:ident)+) => {$(
        #[test]
        fn $behavior() {
            $crate::conformance::$run(stringify!($behavior), $make, $crate::conformance::$behavior);
        }
    )+};
    ([tests $run:ident $make:expr, $plant:expr] $($behavior:ident)+) => {$(
        #[test]
        fn $behavior() {
            $crate::conformance::$run(stringify!($behavior), $make, $plant, $crate::conformance::$behavior);
        }
    )+};
    ([names] $($behavior:ident)+) => {
        &[$(stringify!($behavior)),+]
    };
    ([functions] $($behavior:ident)+) => {
        &[$((stringify!($behavior), |store| ::std::boxed::Box::pin($crate::conformance::$behavior(store)))),+]
    };
}
