use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::node::Node;
use super::world::World;
use super::{Kind, NAMES};
use crate::record::FlagRecord;
use crate::state::{Health, Stored, Version};

/// Of a state, in order of creation; 0: the flag never existed.
pub(super) type Made = usize;

/// For each part of the chain, without a confirmation by the store.
const LIVE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// At rest a mirror has the store's flags.
    AtRest,
    /// A mirror never shows an older state than before.
    GoesBack,
    /// An own write is visible when it returns.
    OwnWrite,
    /// An announced state can be read.
    Announced,
    /// Every change before the store's last confirmation is visible.
    LastWord,
    /// Flags are live only if the store has confirmed them recently.
    Live,
    /// Flags in doubt are kept.
    Kept,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    name: usize,
    pub(super) content: usize,
    pub(super) number: u64,
    at: Duration,
}

#[derive(Default)]
pub(super) struct Truth {
    states: Vec<State>,
    by_name: [Vec<Made>; NAMES.len()],
}

impl Truth {
    pub(super) fn next(&self) -> Made {
        self.states.len() + 1
    }

    pub(super) fn add(&mut self, name: usize, content: usize, number: u64, at: Duration) -> Made {
        let made = self.next();
        self.states.push(State { name, content, number, at });
        self.by_name[name].push(made);
        made
    }

    pub(super) fn get(&self, made: Made) -> State {
        let never = State { name: 0, content: 0, number: 0, at: Duration::ZERO };
        made.checked_sub(1).map_or(never, |at| self.states[at])
    }

    pub(super) fn is_present(&self, made: Made) -> bool {
        self.get(made).content > 0
    }

    fn first(&self, name: usize, content: usize, from: Made) -> Option<Made> {
        if from == 0 && content == 0 {
            return Some(0);
        }
        let states = &self.by_name[name];
        let begin = states.partition_point(|made| *made < from);
        states[begin..].iter().copied().find(|made| self.get(*made).content == content)
    }

    fn before(&self, name: usize, time: Duration) -> Made {
        let states = &self.by_name[name];
        let end = states.partition_point(|made| self.get(*made).at < time);
        end.checked_sub(1).map_or(0, |at| states[at])
    }

    pub(super) fn stored(&self, kind: Kind, made: Made) -> Option<Stored> {
        let State { name, content, number, .. } = self.get(made);
        (content > 0).then(|| Stored {
            name: NAMES[name].to_owned(),
            version: match kind {
                Kind::Counting => Version::ordered(number),
                Kind::Content => Version::opaque(content.to_be_bytes()),
            },
            record: Ok(record(name, content)),
        })
    }
}

fn record(name: usize, content: usize) -> Arc<FlagRecord> {
    thread_local!(static RECORDS: RefCell<HashMap<(usize, usize), Arc<FlagRecord>>> = RefCell::default());
    RECORDS.with_borrow_mut(|records| {
        let make = || Arc::new(FlagRecord::new(NAMES[name], content as i64));
        records.entry((name, content)).or_insert_with(make).clone()
    })
}

/// 0 for a missing flag.
pub(super) fn content(flag: Option<&Stored>) -> usize {
    let record = flag.and_then(|flag| flag.record.as_ref().ok());
    record.and_then(|record| record.created_date()).map_or(0, |content| content as usize)
}

#[derive(Default)]
pub(super) struct Past {
    /// The oldest states that the contents shown may be.
    shown: [Made; NAMES.len()],
    own: [Made; NAMES.len()],
    kept: [Option<Duration>; NAMES.len()],
}

impl World {
    pub(super) fn check(&self, node: &Node) {
        let past = &mut *node.past.borrow_mut();
        let truth = self.truth.borrow();
        // When a store counts from a lower number, its numbers mean nothing until its list has arrived.
        if self.setup.kind == Kind::Counting && self.store.borrow().counts_since >= node.listed.get() {
            (past.shown, past.own) = Default::default();
        }
        let status = node.shared.present_status();
        let word = status.last_sync.map(|time| self.since_start(time));
        // Pending events belong together: flags, and how long they are live.
        if status.health == Health::Live && node.events.borrow().is_empty() {
            let age = word.map(|word| self.now().saturating_sub(word));
            if age.is_none_or(|age| age > LIVE * node.level as u32) {
                self.breaks(Rule::Live, format!("mirror {} is live, and the last word was {age:?} ago", node.level));
            }
        }
        for (name, text) in NAMES.into_iter().enumerate() {
            let flag = node.shared.table.get(text);
            let content = content(flag.as_ref());
            let described = |what: &str| format!("{text} at mirror {} is {content} {what}", node.level);
            let newest = *truth.by_name[name].last().unwrap_or(&0);
            let shown = truth.first(name, content, past.shown[name]);
            let last = past.shown[name];
            match shown {
                Some(shown) => past.shown[name] = shown,
                None => {
                    self.breaks(Rule::GoesBack, described(&format!("after {last}, newest {newest}")));
                    past.shown[name] = truth.first(name, content, 0).unwrap_or(0);
                }
            }
            if truth.first(name, content, past.own[name]).is_none() {
                self.breaks(Rule::OwnWrite, described(&format!("after an own write made {}", past.own[name])));
                past.own[name] = 0;
            }
            if let Some(word) = word {
                let stood = truth.before(name, word);
                if truth.first(name, content, stood).is_none() && content != truth.get(stood).content {
                    self.breaks(Rule::LastWord, described(&format!("and {stood} stood at the last word, {word:?}")));
                }
            }
            if let Some(until) = past.kept[name]
                && content == 0
            {
                past.kept[name] = None;
                if self.now() < until {
                    self.breaks(Rule::Kept, described(&format!("though it was to be kept until {until:?}")));
                }
            }
        }
    }

    pub(super) fn acknowledged(&self, node: &Node, made: Made) {
        let name = self.truth.borrow().get(made).name;
        {
            let past = &mut *node.past.borrow_mut();
            past.own[name] = past.own[name].max(made);
            past.kept[name] = None;
        }
        self.check(node);
    }

    pub(super) fn announced(&self, node: &Node, text: &str, content: usize) {
        let Some(name) = index_of(text) else { return };
        let truth = self.truth.borrow();
        let here = self::content(node.shared.table.get(text).as_ref());
        let announced = truth.first(name, content, 0).unwrap_or(0);
        if here != content && truth.first(name, here, announced).is_none() {
            self.breaks(
                Rule::Announced,
                format!("{text} at server {} is {here}, and {content} is announced", node.level),
            );
        }
    }

    pub(super) fn heard_of(&self, node: &Node, text: &str) {
        if let Some(name) = index_of(text) {
            node.past.borrow_mut().kept[name] = None;
        }
    }

    pub(super) fn before_reset(&self, node: &Node, flags: &[Stored], after_loss: bool) {
        let held = node.shared.table.list();
        let missing: Vec<_> = held.iter().filter(|held| !flags.iter().any(|flag| flag.name == held.name)).collect();
        let past = &mut *node.past.borrow_mut();
        let before = std::mem::take(&mut past.kept);
        let until = before.iter().copied().flatten().next().unwrap_or(self.now() + super::DOUBT);
        let lacks_most = after_loss && missing.len() * 2 > held.len();
        for name in missing.into_iter().filter_map(|flag| index_of(&flag.name)) {
            past.kept[name] = (lacks_most || before[name].is_some()).then_some(until);
        }
    }

    pub(super) fn difference(&self) -> Option<String> {
        let (truth, store) = (self.truth.borrow(), self.store.borrow().present());
        let nodes = self.nodes.borrow();
        nodes.iter().find_map(|node| {
            let status = node.shared.present_status();
            let differs = |name: &usize| {
                content(node.shared.table.get(NAMES[*name]).as_ref()) != truth.get(store.flags[*name]).content
            };
            let other = (0..NAMES.len()).find(differs).map(|name| {
                let (here, there) = (node.shared.table.get(NAMES[name]), truth.get(store.flags[name]));
                format!(
                    "{} at mirror {} ends as {}, and the store has {there:?}",
                    NAMES[name],
                    node.level,
                    content(here.as_ref())
                )
            });
            let stale = || {
                (status.health != Health::Live).then(|| format!("mirror {} ends as {:?}", node.level, status.health))
            };
            other.or_else(stale)
        })
    }
}

fn index_of(text: &str) -> Option<usize> {
    NAMES.iter().position(|name| *name == text)
}
