use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwapOption, Guard};

use crate::conditions::Sole;
use crate::context::Attributes;
use crate::evaluation::{Environment, Evaluation, Links, Plan, Reason};
use crate::inline_text::InlineText;
use crate::record::{FlagRecord, Kept};
use crate::state::{Corrupt, Stored, Version};
use crate::targeting::{Targeting, segment_of};

/// A check by one atomic load. An integer, to be read without a branch, which the CPU would mispredict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer(u8);

/// The top bits have the answers with attributes: they need no mask.
const WITH_CONTEXT: u8 = 6;
const HAS_CONDITIONS: u8 = 1 << 2;
const HAS_SOLE: u8 = 1 << 3;

impl Answer {
    /// Missing or unreadable: use the default.
    pub(crate) const ABSENT: Self = Self(0);
    pub(crate) const OFF: Self = Self(1);
    pub(crate) const ON: Self = Self(2);
    /// It depends on attributes, time or randomness, or is being changed.
    pub(crate) const EVALUATE: Self = Self(3);

    fn settled(answer: Option<bool>) -> Self {
        match answer {
            Some(true) => Self::ON,
            Some(false) => Self::OFF,
            None => Self::EVALUATE,
        }
    }

    const fn pair(without_context: Self, with_context: Self) -> u8 {
        without_context.0 | (with_context.0 << WITH_CONTEXT)
    }

    /// By a table of bits: fewer instructions than two comparisons.
    #[inline]
    pub(crate) fn is_on(self, default: bool) -> bool {
        ((1 << Self::ON.0) | (u8::from(default) << Self::ABSENT.0)) >> self.0 & 1 != 0
    }
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) version: Version,
    pub(crate) state: State,
}

#[derive(Debug)]
pub(crate) enum State {
    /// Deleted; the version recognises an older state that arrives late.
    Absent,
    Present {
        record: Kept,
        plan: Arc<Plan>,
    },
    Corrupt(Corrupt),
}

impl State {
    pub(super) fn kept(&self) -> Option<Result<Kept, Corrupt>> {
        match self {
            Self::Absent => None,
            Self::Present { record, .. } => Some(Ok(record.clone())),
            Self::Corrupt(corrupt) => Some(Err(corrupt.clone())),
        }
    }

    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Absent => "gone",
            Self::Present { record, .. } if record.is_enabled() => "on",
            Self::Present { .. } => "off",
            Self::Corrupt(_) => "unreadable",
        }
    }
}

impl Entry {
    pub(super) fn new(
        name: &str,
        version: Version,
        record: Result<Arc<FlagRecord>, Corrupt>,
        strict: bool,
        links: &dyn Links,
    ) -> Self {
        let state = match record {
            Ok(record) => {
                let plan = Plan::of(name, &record, strict, links);
                State::Present { record: Kept::new(name, record), plan }
            }
            Err(corrupt) => State::Corrupt(corrupt),
        };
        Self { version, state }
    }

    pub(super) const fn absent(version: Version) -> Self {
        Self { version, state: State::Absent }
    }

    /// Whether they differ in their versions at most.
    pub(super) fn is_same_state(&self, other: &Self) -> bool {
        match (&self.state, &other.state) {
            (State::Absent, State::Absent) => true,
            (State::Present { record, .. }, State::Present { record: other, .. }) => record == other,
            (State::Corrupt(corrupt), State::Corrupt(other)) => corrupt == other,
            _ => false,
        }
    }

    /// If it is of this record.
    pub(crate) fn plan_of(&self, record: &Arc<FlagRecord>) -> Option<&Arc<Plan>> {
        match &self.state {
            State::Present { record: kept, plan } => kept.is(record).then_some(plan),
            State::Absent | State::Corrupt(_) => None,
        }
    }

    /// `None` also for a plain flag.
    pub(super) fn whole(&self) -> Option<&FlagRecord> {
        match &self.state {
            State::Present { record, .. } => record.whole(),
            State::Absent | State::Corrupt(_) => None,
        }
    }

    pub(super) fn sole(&self) -> Option<Sole> {
        match &self.state {
            State::Present { plan, .. } => plan.sole(),
            State::Absent | State::Corrupt(_) => None,
        }
    }

    pub(super) const fn is_absent(&self) -> bool {
        matches!(self.state, State::Absent)
    }

    pub(crate) fn to_stored(&self, name: &str) -> Option<Stored> {
        let record = self.state.kept()?.map(|record| record.record(name));
        Some(Stored { name: name.to_owned(), version: self.version.clone(), record })
    }

    /// `default` if the flag is missing or unreadable.
    pub(crate) fn evaluate(
        entry: Option<&Self>,
        name: &str,
        attributes: &(impl Attributes + ?Sized),
        environment: &Environment,
        default: bool,
    ) -> Evaluation {
        match entry.map(|entry| &entry.state) {
            Some(State::Present { plan, .. }) => plan.evaluate(name, attributes, environment),
            Some(State::Corrupt(_)) => Evaluation::of(default, Reason::Corrupt),
            Some(State::Absent) | None => Evaluation::of(default, Reason::NoSuchFlag),
        }
    }

    fn answers(&self) -> u8 {
        match &self.state {
            State::Absent | State::Corrupt(_) => Answer::pair(Answer::ABSENT, Answer::ABSENT),
            State::Present { plan, .. } => {
                let without_context = Answer::settled(plan.settled_by_links(false));
                let with_context = Answer::settled(plan.settled_by_links(true));
                let has = |what: bool, bit| if what { bit } else { 0 };
                Answer::pair(without_context, with_context)
                    | has(plan.has_conditions(), HAS_CONDITIONS)
                    // So a check that loads this byte once more, for the comparison, finds the same state or a later one that has one, too.
                    | has(with_context == Answer::EVALUATE && plan.sole().is_some(), HAS_SOLE)
            }
        }
    }
}

/// The state of one name.
///
/// An entry is set in four steps: `answers` becomes `EVALUATE`, `entry` is replaced, then the sole comparison, if the new one has any, and
/// `answers` becomes the new answers. So a check may find a newer entry or comparison than its `answers`, never an older one, and no reader of
/// the new ones then gets the old `answers`.
/// `tests/table_model.rs` tries all orders.
///
/// A cache line: that of the index and this one are all that a search by name reads.
#[repr(align(64))]
pub(crate) struct Slot {
    answers: AtomicU8,
    /// None yet in the last slots of a chunk.
    begun: OnceLock<Begun>,
}

/// So a slot takes 64 bytes.
const SHORT_NAME: usize = 38;

/// Made at once: a store into an `ArcSwapOption` looks through all threads that read any.
struct Begun {
    name: InlineText<SHORT_NAME>,
    entry: ArcSwapOption<Entry>,
}

impl Slot {
    pub(super) const fn new() -> Self {
        Self { answers: AtomicU8::new(Answer::pair(Answer::ABSENT, Answer::ABSENT)), begun: OnceLock::new() }
    }

    /// For [`SlotRef`](super::SlotRef).
    pub(super) fn begin(&self, name: &str, entry: Option<Arc<Entry>>) {
        self.answers.store(answers(entry.as_deref()), Ordering::Relaxed);
        self.begun.get_or_init(|| Begun { name: name.into(), entry: ArcSwapOption::new(entry) });
    }

    pub(super) fn has_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    pub(crate) fn name(&self) -> &str {
        self.begun.get().map_or("", |begun| begun.name.as_str())
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.name() == name
    }

    /// As [`has_name`](Self::has_name), for a name of a usual length, without a call.
    #[inline]
    pub(super) fn has_short_name(&self, name: &str) -> bool {
        self.begun.get().is_some_and(|begun| are_equal_and_short(begun.name.as_bytes(), name.as_bytes()))
    }

    pub(crate) fn exists(&self) -> bool {
        self.entry().as_ref().is_some_and(|entry| !entry.is_absent())
    }

    #[inline]
    pub(crate) fn answer_without_context(&self) -> Answer {
        Answer(self.answers.load(Ordering::Acquire) & 3)
    }

    #[inline]
    pub(crate) fn answer_with_context(&self) -> Answer {
        Answer(self.answers.load(Ordering::Acquire) >> WITH_CONTEXT)
    }

    #[inline]
    pub(super) fn has_sole(&self) -> bool {
        self.answers.load(Ordering::Acquire) & HAS_SOLE != 0
    }

    #[cfg(feature = "tower")]
    pub(crate) fn has_conditions(&self) -> bool {
        self.answers.load(Ordering::Acquire) & HAS_CONDITIONS != 0
    }

    /// Whether it is a segment, which is stored beside the flags.
    pub(crate) fn is_segment(&self) -> bool {
        match self.entry().as_ref().map(|entry| &entry.state) {
            Some(State::Present { record, .. }) => record.whole().is_some_and(|record| record.segment().is_some()),
            // The name is all that is left of it.
            Some(State::Corrupt(_)) => segment_of(self.name()).is_some(),
            Some(State::Absent) | None => false,
        }
    }

    pub(super) fn has_links(&self) -> bool {
        let entry = self.entry();
        let record = entry.as_deref().and_then(Entry::whole);
        record.and_then(FlagRecord::targeting).is_some_and(Targeting::has_links)
    }

    pub(crate) fn entry(&self) -> Guard<Option<Arc<Entry>>> {
        self.begun.get().map_or_else(|| Guard::from_inner(None), |begun| begun.entry.load())
    }

    /// While a flag changes that this one needs. One writer at a time.
    pub(super) fn evaluate_meanwhile(&self) {
        self.answers.store(Answer::pair(Answer::EVALUATE, Answer::EVALUATE), Ordering::Release);
    }

    /// Sets the answers to what the flags that this one needs make of it; returns whether they changed. One writer at a time.
    pub(super) fn settle(&self) -> bool {
        let answers = answers(self.entry().as_deref());
        self.answers.swap(answers, Ordering::Release) != answers
    }

    /// For [`SlotRef`](super::SlotRef).
    pub(super) fn set(&self, entry: Option<Arc<Entry>>, put_sole: impl FnOnce()) {
        let answers = answers(entry.as_deref());
        self.answers.store(Answer::pair(Answer::EVALUATE, Answer::EVALUATE), Ordering::Release);
        if let Some(begun) = self.begun.get() {
            begun.entry.store(entry);
        }
        put_sole();
        self.answers.store(answers, Ordering::Release);
    }

    pub(super) fn read(&self, with: &mut dyn FnMut(Option<&Plan>)) {
        with(match self.entry().as_ref().map(|entry| &entry.state) {
            Some(State::Present { plan, .. }) => Some(plan),
            Some(State::Absent | State::Corrupt(_)) | None => None,
        });
    }

    #[inline]
    pub(super) fn settled(&self, with_attributes: bool) -> Option<bool> {
        match if with_attributes { self.answer_with_context() } else { self.answer_without_context() } {
            Answer::EVALUATE => None,
            answer => Some(answer == Answer::ON),
        }
    }
}

fn answers(entry: Option<&Entry>) -> u8 {
    entry.map_or(Answer::pair(Answer::ABSENT, Answer::ABSENT), Entry::answers)
}

#[inline]
fn are_equal_and_short(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    // Both ends may overlap.
    if let (Some(start), Some(end)) = (one.first_chunk::<16>(), one.last_chunk::<16>())
        && let (Some(other_start), Some(other_end)) = (other.first_chunk::<16>(), other.last_chunk::<16>())
    {
        let middle = match (one.get(16..32), other.get(16..32)) {
            (Some(middle), Some(other)) => middle == other,
            _ => true,
        };
        return one.len() <= 48 && middle && start == other_start && end == other_end;
    }
    if let (Some(start), Some(end)) = (one.first_chunk::<8>(), one.last_chunk::<8>())
        && let (Some(other_start), Some(other_end)) = (other.first_chunk::<8>(), other.last_chunk::<8>())
    {
        return start == other_start && end == other_end;
    }
    if let (Some(start), Some(end)) = (one.first_chunk::<4>(), one.last_chunk::<4>())
        && let (Some(other_start), Some(other_end)) = (other.first_chunk::<4>(), other.last_chunk::<4>())
    {
        return start == other_start && end == other_end;
    }
    let letters = |name: &[u8]| (name.first().copied(), name.get(name.len() / 2).copied(), name.last().copied());
    letters(one) == letters(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_all_lengths_are_kept() {
        for length in 0..=300 {
            for letter in ["x", "ü"] {
                let name = letter.repeat(length);
                let slot = Slot::new();
                slot.begin(&name, None);
                assert_eq!(slot.name(), name);
                assert!(slot.has_name(&name));
                assert!(!slot.has_name(&format!("{name}y")));
                assert_eq!(slot.has_short_name(&name), name.len() <= 48);
                for place in 0..name.len() {
                    let mut other = name.clone().into_bytes();
                    other[place] = b'y';
                    assert!(!are_equal_and_short(name.as_bytes(), &other), "{place} of {length}");
                }
            }
        }
    }

    #[test]
    fn a_slot_takes_one_cache_line() {
        assert_eq!((size_of::<Slot>(), size_of::<Entry>()), (64, 48));
    }
}
