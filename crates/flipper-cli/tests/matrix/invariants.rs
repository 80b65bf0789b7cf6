//! What must hold in a soak, and which of it an error is about.

use crate::cells::list;

list! {
    Invariant {
        Kept = "no acknowledged write is lost that the store kept",
        Forward = "no flag goes back to an older state",
        Timely = "no check is wrong longer than the bound",
        Live = "nothing old is called live",
        Entered = "each acknowledged write is in the history once",
        Dependent = "a flag that needs another one answers by it",
        Alive = "no task is dead",
        Memory = "memory is flat",
        Files = "open files are flat",
        Threads = "threads are flat",
        Other = "all else works",
    }
}

impl Invariant {
    pub(crate) fn is_growth(self) -> bool {
        matches!(self, Self::Memory | Self::Files | Self::Threads)
    }

    pub(crate) fn of(error: &str) -> Self {
        const SIGNS: &[(&str, Invariant)] = &[
            ("history", Invariant::Entered),
            ("was acknowledged, and the store has", Invariant::Kept),
            ("went back from", Invariant::Forward),
            ("vanished after", Invariant::Forward),
            ("which is no state that was written", Invariant::Forward),
            ("was announced, and a read returned", Invariant::Forward),
            ("not seen within", Invariant::Timely),
            ("were never seen", Invariant::Timely),
            ("p99 is", Invariant::Timely),
            ("DAMAGED is not", Invariant::Timely),
            ("live with", Invariant::Live),
            ("after the store was lost", Invariant::Live),
            ("] answer ", Invariant::Dependent),
            ("no longer as it was written", Invariant::Dependent),
            ("not current", Invariant::Alive),
            ("the watch ended", Invariant::Alive),
            ("panicked", Invariant::Alive),
            ("did not end", Invariant::Alive),
            ("the memory of", Invariant::Memory),
            ("the open files of", Invariant::Files),
            ("the threads of", Invariant::Threads),
        ];
        SIGNS.iter().find(|(sign, _)| error.contains(sign)).map_or(Self::Other, |(_, invariant)| *invariant)
    }
}
