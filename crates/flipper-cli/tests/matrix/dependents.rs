//! Flags that depend on the ones that are written: by a segment in a rule, by a variant, by a prerequisite. Nothing writes them during a scene.

use flipper::client::{Local, Remote};
use flipper::json::Object;
use flipper::store::{Precondition, Stored};
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};
use flipper::{FeatureFlagClient, FlagRecord, context};

use crate::backends::{Backend, futures_executor};
use crate::ledger::{flag_of, name};
use crate::watcher::{View, number};

const CALLER: u64 = 7;
/// One in this many flags is a segment, and another one a prerequisite.
const EACH: usize = 4;

pub(crate) fn is_segment(flag: usize) -> bool {
    flag % EACH == EACH - 1
}

/// Whom the segment is about after this write.
fn whom(number: u64) -> When {
    let user = if number.is_multiple_of(2) { CALLER } else { CALLER + 1 };
    format!("user = {user}").parse().unwrap()
}

/// Writes what a flag or segment is after this write.
pub(crate) fn set(record: &mut FlagRecord, number: u64) {
    let data: Object = [("n", number)].into_iter().collect();
    record.set_client_data(data);
    match flag_of(record.name()).is_some_and(is_segment) {
        true => record.set_segment(Some(whom(number))),
        false => record.set_enabled(number.is_multiple_of(2)),
    }
}

/// Whether the record is that of one write as a whole. The Python library does not keep a segment.
pub(crate) fn is_whole(record: &FlagRecord, number: u64) -> bool {
    match record.segment() {
        Some(when) => *when == whom(number),
        None => record.is_enabled() == number.is_multiple_of(2),
    }
}

/// What callers get of a flag that others need, or of a segment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Yes,
    No,
    /// Of a segment that is missing, or has become a flag.
    Unknown,
}

impl Answer {
    fn of(flag: usize, stored: Option<&Stored>) -> Self {
        let record = stored.and_then(|stored| stored.record.as_ref().ok());
        let number = stored.and_then(|stored| number(stored).ok());
        match (record, number) {
            (Some(record), Some(_)) if is_segment(flag) && record.segment().is_none() => Self::Unknown,
            (Some(_), Some(number)) if number.is_multiple_of(2) => Self::Yes,
            (Some(_), Some(_)) => Self::No,
            _ if is_segment(flag) => Self::Unknown,
            _ => Self::No,
        }
    }
}

/// The dependents of one segment and one prerequisite.
struct Group {
    needed: usize,
    segment: usize,
}

impl Group {
    fn all(flags: usize) -> impl Iterator<Item = Self> {
        (0..flags).filter(|flag| is_segment(*flag)).map(|segment| Self { needed: segment - 1, segment })
    }

    fn records(&self) -> [FlagRecord; 3] {
        let [needs, within, both] = self.names().map(|name| {
            let mut record = FlagRecord::new(name, 1_700_000_000);
            record.set_enabled(true);
            record
        });
        let (mut needs, mut within, mut both) = (needs, within, both);
        needs.set_prerequisites(vec![Prerequisite::new(name(self.needed))]);
        let segment = name(self.segment).replace("segments/", "");
        let rule = |when: String, serve| Rule::new(serve).when(when.parse::<When>().unwrap());
        within
            .set_variants(Some(Variants::new("user").with(Variant::new("red", 50.0)).with(Variant::new("blue", 50.0))));
        within.set_rules(vec![
            rule(format!("in segment {segment}"), Serve::Variant("red".into())),
            rule(format!("not in segment {segment}"), Serve::Variant("blue".into())),
            Rule::new(Serve::Off),
        ]);
        let red = Prerequisite::new(within.name()).with_variant("red");
        both.set_prerequisites(vec![Prerequisite::new(needs.name()), red]);
        [needs, within, both]
    }

    fn names(&self) -> [String; 3] {
        [format!("NEEDS_{}", self.needed), format!("WITHIN_{}", self.segment), format!("BOTH_{}", self.segment)]
    }

    /// By the states of the segment and the prerequisite alone: whether each dependent is on, and the variant of the one that has some.
    fn expected(needed: Answer, segment: Answer) -> ([bool; 3], &'static str) {
        let (needs, within) = (needed == Answer::Yes, segment != Answer::Unknown);
        let variant = match segment {
            Answer::Yes => "red",
            Answer::No => "blue",
            Answer::Unknown => "none",
        };
        ([needs, within, needs && segment == Answer::Yes], variant)
    }

    fn answers(&self, features: &FeatureFlagClient<Local>) -> ([bool; 3], String) {
        let caller = context! { user: CALLER };
        let names = self.names();
        let variant = features.variant(&names[1], &caller, String::from("none"));
        (names.map(|name| features.is_enabled_with(&name, &caller)), variant)
    }
}

/// Writes all that are missing.
pub(crate) fn create(backend: &Backend, flags: usize) -> Vec<String> {
    let features = FeatureFlagClient::remote(backend.direct());
    let records: Vec<_> = Group::all(flags).flat_map(|group| group.records()).collect();
    let done = futures_executor(features.put_all(&records, Precondition::Any));
    done.into_iter().filter_map(|done| Some(format!("a dependent could not be written: {}", done.err()?))).collect()
}

/// In memory a dependent's answer is always that of the states beside it, also while the store is away.
pub(crate) fn check(features: &FeatureFlagClient<Local>, view: &View, flags: usize) -> Option<String> {
    let table = view.local.as_ref()?.table();
    let held = |flag| table.get(&name(flag));
    let number_of = |stored: &Option<Stored>| stored.as_ref().map(number).transpose().ok().flatten();
    Group::all(flags).find_map(|group| {
        let before = (held(group.needed), held(group.segment));
        if group.names().iter().any(|name| table.get(name).is_none()) {
            return None;
        }
        let answers = group.answers(features);
        let after = (held(group.needed), held(group.segment));
        if (number_of(&before.0), number_of(&before.1)) != (number_of(&after.0), number_of(&after.1)) {
            return None;
        }
        let states = (Answer::of(group.needed, before.0.as_ref()), Answer::of(group.segment, before.1.as_ref()));
        let (on, variant) = Group::expected(states.0, states.1);
        let is_right = answers.0 == on && answers.1 == variant;
        (!is_right).then(|| format!("{:?} answer {answers:?} beside {states:?}", group.names()))
    })
}

/// What the store has at the end is what was written, and each layer answers by it.
pub(crate) struct Finally {
    groups: Vec<(Group, [bool; 3])>,
}

impl Finally {
    pub(crate) fn read(backend: &Backend, flags: usize) -> Result<Self, String> {
        let groups = Group::all(flags).map(|group| {
            for record in group.records() {
                let kept = backend.record(record.name())?.and_then(|stored| stored.record.ok());
                if kept.as_deref() != Some(&record) {
                    return Err(format!("{} is no longer as it was written: {kept:?}", record.name()));
                }
            }
            let needed = Answer::of(group.needed, backend.record(&name(group.needed))?.as_ref());
            let segment = Answer::of(group.segment, backend.record(&name(group.segment))?.as_ref());
            let (on, _) = Group::expected(needed, segment);
            Ok((group, on))
        });
        groups.collect::<Result<_, _>>().map(|groups| Self { groups })
    }

    /// What the layer answers otherwise.
    pub(crate) fn differs(&self, view: &View) -> Option<String> {
        let features: FeatureFlagClient<Remote> = FeatureFlagClient::remote(view.store.clone());
        self.groups.iter().find_map(|(group, on)| {
            let caller = context! { user: CALLER };
            let answers = group.names().map(|name| futures_executor(features.fetch_enabled(&name, &caller)).ok());
            (answers != on.map(Some)).then(|| format!("{:?} answer {answers:?} at the end, not {on:?}", group.names()))
        })
    }
}

/// For checks in memory; `None` of a layer that asks the store.
pub(crate) fn client(view: &View) -> Option<FeatureFlagClient<Local>> {
    view.local.clone().map(FeatureFlagClient::new)
}
