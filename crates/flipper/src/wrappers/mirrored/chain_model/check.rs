//! What must hold.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::node::Node;
use super::world::World;
use super::{Kind, NAMES};
use crate::record::FlagRecord;
use crate::state::{Health, Stored, Version};

/// The number of a state, in the order in which they were made; 0: there never was such a flag.
pub(super) type Made = usize;

/// For how long flags are called live without a word of the store, for each part of the chain.
const LIVE: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rule {
    /// At rest a mirror has what the store has.
    AtRest,
    /// A mirror never shows an older state than it showed.
    GoesBack,
    /// An own write is there when it returns.
    OwnWrite,
    /// What is announced can be read.
    Announced,
    /// All that changed before the last word of the store is there.
    LastWord,
    /// Live is called what the store has confirmed lately.
    Live,
    /// Flags in doubt stay.
    Kept,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct State {
    name: usize,
    /// 0: there is no flag.
    pub(super) content: usize,
    pub(super) number: u64,
    at: Duration,
}

/// All states that ever were, and which of them stood when.
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

    /// The first state from there on that looks so.
    fn first(&self, name: usize, content: usize, from: Made) -> Option<Made> {
        if from == 0 && content == 0 {
            return Some(0);
        }
        let states = &self.by_name[name];
        let begin = states.partition_point(|made| *made < from);
        states[begin..].iter().copied().find(|made| self.get(*made).content == content)
    }

    /// What stood before that moment.
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

/// 0 for no flag.
pub(super) fn content(flag: Option<&Stored>) -> usize {
    let record = flag.and_then(|flag| flag.record.as_ref().ok());
    record.and_then(|record| record.created_date()).map_or(0, |content| content as usize)
}

/// What is known of a mirror's past.
#[derive(Default)]
pub(super) struct Past {
    /// The oldest states that they may have been.
    shown: [Made; NAMES.len()],
    /// The last own writes that were acknowledged.
    own: [Made; NAMES.len()],
    /// Until when the flag is to be kept.
    kept: [Option<Duration>; NAMES.len()],
}

impl World {
    /// Looks at a mirror after anything was done to it.
    pub(super) fn check(&self, node: &Node) {
        let past = &mut *node.past.borrow_mut();
        let truth = self.truth.borrow();
        // Of a store that counts anew the numbers say nothing until its list is here.
        if self.setup.kind == Kind::Counting && self.store.borrow().counts_since >= node.listed.get() {
            (past.shown, past.own) = Default::default();
        }
        let status = node.shared.present_status();
        let word = status.last_sync.map(|time| self.since_start(time));
        // What is under way belongs together: flags, and for how long they may be called live.
        if status.health == Health::Live && node.events.borrow().is_empty() {
            let age = word.map(|word| self.now().saturating_sub(word));
            if age.is_none_or(|age| age > LIVE * node.level as u32) {
                self.breaks(Rule::Live, format!("mirror {} is live, and the last word was {age:?} ago", node.level));
            }
        }
        for (name, text) in NAMES.into_iter().enumerate() {
            let flag = node.shared.table.get(text);
            let content = content(flag.as_ref());
            let told = |what: &str| format!("{text} at mirror {} is {content} {what}", node.level);
            let newest = *truth.by_name[name].last().unwrap_or(&0);
            let shown = truth.first(name, content, past.shown[name]);
            let last = past.shown[name];
            match shown {
                Some(shown) => past.shown[name] = shown,
                None => {
                    self.breaks(Rule::GoesBack, told(&format!("after {last}, newest {newest}")));
                    past.shown[name] = truth.first(name, content, 0).unwrap_or(0);
                }
            }
            if truth.first(name, content, past.own[name]).is_none() {
                self.breaks(Rule::OwnWrite, told(&format!("after an own write made {}", past.own[name])));
                past.own[name] = 0;
            }
            if let Some(word) = word {
                let stood = truth.before(name, word);
                if truth.first(name, content, stood).is_none() && content != truth.get(stood).content {
                    self.breaks(Rule::LastWord, told(&format!("and {stood} stood at the last word, {word:?}")));
                }
            }
            if let Some(until) = past.kept[name]
                && content == 0
            {
                past.kept[name] = None;
                if self.now() < until {
                    self.breaks(Rule::Kept, told(&format!("though it was to be kept until {until:?}")));
                }
            }
        }
    }

    /// An own write has returned.
    pub(super) fn acknowledged(&self, node: &Node, made: Made) {
        let name = self.truth.borrow().get(made).name;
        {
            let past = &mut *node.past.borrow_mut();
            past.own[name] = past.own[name].max(made);
            past.kept[name] = None;
        }
        self.check(node);
    }

    /// A server takes in that a flag is in this state, and will report it.
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

    /// Something is reported of a flag.
    pub(super) fn heard_of(&self, node: &Node, text: &str) {
        if let Some(name) = index_of(text) {
            node.past.borrow_mut().kept[name] = None;
        }
    }

    /// Before the list of all flags is taken in.
    pub(super) fn before_reset(&self, node: &Node, flags: &[Stored], after_loss: bool) {
        let held = node.shared.table.list();
        let missing: Vec<_> = held.iter().filter(|held| !flags.iter().any(|flag| flag.name == held.name)).collect();
        let past = &mut *node.past.borrow_mut();
        let doubt = past.kept.iter().copied().flatten().next();
        past.kept = [None; NAMES.len()];
        if after_loss && missing.len() * 2 > held.len() {
            let until = doubt.unwrap_or(self.now() + super::DOUBT);
            for name in missing.into_iter().filter_map(|flag| index_of(&flag.name)) {
                past.kept[name] = Some(until);
            }
        }
    }

    /// What is not as in the store.
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
