//! Each behaviour of the conformance suite finds a store that is correct but for one fault.

mod faulty;
mod faulty_local;

use std::panic::{AssertUnwindSafe, catch_unwind};

use faulty::Faulty;
use flipper::conformance as suite;

// The control: without a fault every behaviour passes.
flipper::local_store_conformance_tests!(without_a_fault, async || Faulty::new(Fault::None));
flipper::local_corrupt_conformance_tests!(
    without_a_fault_but_with_values_that_are_no_flags,
    async || Faulty::new(Fault::None),
    async |store: &Faulty, name: &str, value: &[u8]| store.plant(name, value),
);

flipper::reopened_conformance_tests!(
    without_a_fault_reopened,
    async || Faulty::kept(Fault::None),
    Faulty::reopen(Fault::None)
);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    GetErrorsOnMissing,
    GetLosesUnknownFields,
    GetLags,
    GetErrorsOnForeignName,
    GetHangs,
    GetCachedHasNothing,
    PutAnyCreatesOnly,
    PutIgnoresAbsent,
    PutIgnoresUnchanged,
    PutOfTheSameConflicts,
    PutReturnsAnotherVersion,
    PutChecksThenWrites,
    PutDeletesFirst,
    PutIgnoresInvalidNames,
    PutTouchesOthers,
    VersionIsConstant,
    VersionCountsPerLife,
    NamesIgnoreCase,
    LargeRecordsAreCut,
    DeleteDoesNothing,
    DeleteErrorsOnMissing,
    DeleteIgnoresUnchanged,
    DeleteIgnoresAbsent,
    DeleteChecksThenWrites,
    DeleteLeavesATombstone,
    DeleteHitsLongerNames,
    DeleteErrorsOnForeignName,
    DroppedDeleteComesLate,
    ListErrorsOnEmpty,
    ListHidesSlashes,
    ListIsReversed,
    ListHasOneTwice,
    ListLags,
    ListHasOnePage,
    WatchBeginsWithoutReset,
    WatchIsSilentOfPuts,
    WatchIsSilentOfDeletes,
    WatchBeginsLate,
    WatchListsThenWaits,
    WatchRemovesBeforeChanges,
    WatchIsOneBehind,
    WatchIsShared,
    WatchEnds,
    PutAllStopsAtAnError,
    PutAllIsReversed,
    StreamHasOnePage,
    StreamHasOneTwice,
    HistoryLosesDeletes,
    HistoryForgetsWhy,
    HistoryOfAllIsOneEntry,
    HistoryOfOneHasAll,
    HistoryRepeatsPages,
    HistoryIgnoresSince,
    HistoryIsReordered,
    HistoryIsHidden,
    TableIsAnother,
    TableIsEmpty,
    TableKeepsDeleted,
    TableForgetsPutAll,
    TableLags,
    StatusHasNoSync,
    ReadyOnce,
    CloseForgetsFlags,
    CloseTakesWrites,
    CloseIsLive,
    CloseTwiceFails,
    NeverSaves,
    VersionsStartOver,
    CorruptIsHidden,
    CorruptIsAbsent,
    CorruptCannotBeDeleted,
    CorruptFailsTheList,
    CorruptEndsTheStream,
    CorruptIsNotInTheTable,
    CorruptIsNotInTheStatus,
}

fn assert_found(behavior: &str, fault: Fault, run: impl FnOnce()) {
    let found = catch_unwind(AssertUnwindSafe(run)).is_err();
    assert!(found, "{behavior} does not find the fault {fault:?}");
}

macro_rules! faults {
    ($module:ident: $run:ident $([$($plant:tt)+])? $($behavior:ident: $fault:ident,)+) => {
        mod $module {
            pub(super) const FOUND: &[&str] = &[$(stringify!($behavior)),+];
            faults!(@tests $run [$($($plant)+)?] $($behavior: $fault,)+);
        }
    };
    (@tests $run:ident $plant:tt $($behavior:ident: $fault:ident,)+) => {$(
        #[test]
        fn $behavior() {
            faults!(@one $run $plant $behavior $fault);
        }
    )+};
    (@one $run:ident [$($plant:tt)*] $behavior:ident $fault:ident) => {
        let fault = crate::Fault::$fault;
        crate::assert_found(stringify!($behavior), fault, || {
            let make = async move || crate::Faulty::new(fault);
            crate::suite::$run(stringify!($behavior), make, $($plant)* crate::suite::$behavior);
        })
    };
}

faults! { store_suite_finds: run
    get_missing: GetErrorsOnMissing,
    get_after_put: GetLosesUnknownFields,
    get_is_authoritative: GetLags,
    get_is_whole: PutDeletesFirst,
    get_foreign_name: GetErrorsOnForeignName,
    put_any: PutAnyCreatesOnly,
    put_absent: PutIgnoresAbsent,
    put_unchanged: PutIgnoresUnchanged,
    put_same_again: PutOfTheSameConflicts,
    put_version_is_read_back: PutReturnsAnotherVersion,
    put_new_version: VersionIsConstant,
    put_ordered_versions: VersionCountsPerLife,
    put_aba: VersionCountsPerLife,
    put_is_atomic: PutChecksThenWrites,
    put_no_lost_update: PutChecksThenWrites,
    put_invalid_name: PutIgnoresInvalidNames,
    put_names_of_python: ListHidesSlashes,
    put_touches_one: PutTouchesOthers,
    put_unicode_and_long_names: NamesIgnoreCase,
    put_large_record: LargeRecordsAreCut,
    put_dropped: PutDeletesFirst,
    delete_existing: DeleteDoesNothing,
    delete_missing: DeleteErrorsOnMissing,
    delete_unchanged: DeleteIgnoresUnchanged,
    delete_absent: DeleteIgnoresAbsent,
    delete_aba: VersionCountsPerLife,
    delete_is_atomic: DeleteChecksThenWrites,
    delete_then_create: DeleteLeavesATombstone,
    delete_touches_one: DeleteHitsLongerNames,
    delete_foreign_name: DeleteErrorsOnForeignName,
    delete_dropped: DroppedDeleteComesLate,
    list_empty: ListErrorsOnEmpty,
    list_ordered: ListIsReversed,
    list_agrees_with_get: ListHasOneTwice,
    list_is_authoritative: ListLags,
    list_is_complete: PutDeletesFirst,
    list_many: ListHasOnePage,
    watch_begins_with_reset: WatchBeginsWithoutReset,
    watch_removes_nothing_else: WatchRemovesBeforeChanges,
    watch_never_ends: WatchEnds,
    get_cached_asks_the_store: GetCachedHasNothing,
    put_all_each: PutAllStopsAtAnError,
    put_all_results: PutAllIsReversed,
    stream_agrees_with_list: StreamHasOnePage,
    stream_is_complete: StreamHasOneTwice,
    history_each_write: HistoryLosesDeletes,
    history_cause: HistoryForgetsWhy,
    history_put_all: HistoryOfAllIsOneEntry,
    history_of_one: HistoryOfOneHasAll,
    history_pages: HistoryRepeatsPages,
    history_since: HistoryIgnoresSince,
    history_replays: HistoryIsReordered,
    history_unsupported: HistoryIsHidden,
    close_twice: CloseTwiceFails,
}

faults! { local_suite_finds: run_local
    table_is_one: TableIsAnother,
    table_shows_put: TableIsEmpty,
    table_shows_delete: TableKeepsDeleted,
    table_shows_put_all: TableForgetsPutAll,
    table_agrees_with_list: ListIsReversed,
    table_keeps_order: TableLags,
    status_is_live: StatusHasNoSync,
    ready_again: ReadyOnce,
    close_keeps_flags: CloseForgetsFlags,
    close_refuses_writes: CloseTakesWrites,
    close_is_stale: CloseIsLive,
}

mod reopened_suite_finds {
    use super::{Fault, Faulty, assert_found, suite};

    pub(super) const FOUND: &[&str] = &["reopen_keeps_flags", "reopen_keeps_versions", "reopen_keeps_history"];

    #[test]
    fn reopen_keeps_flags() {
        let fault = Fault::NeverSaves;
        assert_found("reopen_keeps_flags", fault, || {
            let (make, reopen) = (async move || Faulty::kept(fault), Faulty::reopen(fault));
            suite::run_reopened("reopen_keeps_flags", make, reopen, suite::reopen_keeps_flags);
        });
    }

    #[test]
    fn reopen_keeps_history() {
        let fault = Fault::NeverSaves;
        assert_found("reopen_keeps_history", fault, || {
            let (make, reopen) = (async move || Faulty::kept(fault), Faulty::reopen(fault));
            suite::run_reopened("reopen_keeps_history", make, reopen, suite::reopen_keeps_history);
        });
    }

    #[test]
    fn reopen_keeps_versions() {
        let fault = Fault::VersionsStartOver;
        assert_found("reopen_keeps_versions", fault, || {
            let (make, reopen) = (async move || Faulty::kept(fault), Faulty::reopen(fault));
            suite::run_reopened("reopen_keeps_versions", make, reopen, suite::reopen_keeps_versions);
        });
    }
}

faults! { corrupt_suite_finds: run_corrupt [async |store: &crate::Faulty, name: &str, value: &[u8]| store.plant(name, value),]
    corrupt_get: CorruptIsHidden,
    corrupt_put: CorruptIsAbsent,
    corrupt_delete: CorruptCannotBeDeleted,
    corrupt_list: CorruptFailsTheList,
    corrupt_stream: CorruptEndsTheStream,
}

/// These wait ten seconds for what never happens, so they run concurrently.
mod in_time_suite_finds {
    pub(super) const FOUND: &[&str] = &[
        "watch_put",
        "watch_delete",
        "watch_no_gap",
        "watch_no_gap_at_start",
        "watch_last_state",
        "watch_is_independent",
        "corrupt_table",
        "corrupt_status",
    ];

    #[test]
    fn what_does_not_happen() {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                faults!(@one run [] get_missing GetHangs);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_put WatchIsSilentOfPuts);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_delete WatchIsSilentOfDeletes);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_no_gap WatchBeginsLate);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_no_gap_at_start WatchListsThenWaits);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_last_state WatchIsOneBehind);
            });
            scope.spawn(|| {
                faults!(@one run [] watch_is_independent WatchIsShared);
            });
            scope.spawn(|| {
                faults!(@one run_local_corrupt [async |store: &crate::Faulty, name: &str, value: &[u8]| store.plant(name, value),]
                    corrupt_table CorruptIsNotInTheTable);
            });
            scope.spawn(|| {
                faults!(@one run_local_corrupt [async |store: &crate::Faulty, name: &str, value: &[u8]| store.plant(name, value),]
                    corrupt_status CorruptIsNotInTheStatus);
            });
        });
    }
}

#[test]
fn every_behavior_finds_a_fault() {
    let found = [
        store_suite_finds::FOUND,
        local_suite_finds::FOUND,
        reopened_suite_finds::FOUND,
        corrupt_suite_finds::FOUND,
        in_time_suite_finds::FOUND,
    ];
    let stated: [&[&str]; 5] = [
        flipper::__store_behaviors!(names),
        flipper::__reopened_behaviors!(names),
        flipper::__local_behaviors!(names),
        flipper::__corrupt_behaviors!(names),
        flipper::__local_corrupt_behaviors!(names),
    ];
    let [found, stated] =
        [found, stated].map(|names| names.concat().into_iter().collect::<std::collections::BTreeSet<_>>());
    assert_eq!(found, stated);
}
