use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use super::check::Made;
use super::world::{Failed, World, turn};
use super::{Kind, NAMES};

const WAIT: Duration = Duration::from_secs(5);

pub(super) type Flags = [Made; NAMES.len()];

#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub(super) index: u64,
    pub(super) flags: Flags,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Push {
    Name(usize),
    All,
}

#[derive(Default)]
pub(super) struct Pushes(pub(super) RefCell<VecDeque<Push>>);

pub(super) struct Store {
    kind: Kind,
    past: Vec<Listing>,
    applied: usize,
    /// How many more requests it answers with "loading".
    loading: Cell<u32>,
    pub(super) generation: u64,
    followers: Vec<Rc<Pushes>>,
    /// When its count went back for good.
    pub(super) counts_since: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// By a server known to be up to date.
    Confirmed,
    Default,
}

impl Store {
    pub(super) fn new(kind: Kind) -> Self {
        let past = vec![Listing { index: 1, flags: [0; NAMES.len()] }];
        Self {
            kind,
            past,
            applied: 0,
            loading: Cell::new(0),
            generation: 1,
            followers: Vec::new(),
            counts_since: Duration::ZERO,
        }
    }

    pub(super) fn present(&self) -> Listing {
        self.past[self.past.len() - 1]
    }

    fn is_whole(&self) -> bool {
        self.applied + 1 == self.past.len()
    }

    fn answers(&self) -> Result<(), Failed> {
        let left = self.loading.get();
        self.loading.set(left.saturating_sub(1));
        if left == 0 { Ok(()) } else { Err(Failed::Refused) }
    }

    pub(super) fn list(&self, read: Read) -> Result<Listing, Failed> {
        self.answers()?;
        match read {
            Read::Confirmed if !self.is_whole() => Err(Failed::Refused),
            _ => Ok(self.past[self.applied]),
        }
    }

    pub(super) fn follow(&mut self) -> Result<Rc<Pushes>, Failed> {
        self.answers()?;
        let pushes = Rc::new(Pushes::default());
        self.followers.push(pushes.clone());
        Ok(pushes)
    }

    fn set(&mut self, index: u64, flags: Flags) {
        self.past.push(Listing { index, flags });
        self.applied = self.past.len() - 1;
    }

    fn push(&self, push: Push) {
        for follower in &self.followers {
            follower.0.borrow_mut().push_back(push);
        }
    }

    fn restart(&mut self) {
        self.generation += 1;
        self.followers.clear();
    }
}

pub(super) fn write(world: &World, name: usize, present: bool) -> Result<Made, Failed> {
    let store = &mut *world.store.borrow_mut();
    store.answers()?;
    if !store.is_whole() {
        return Err(Failed::Lost);
    }
    let mut now = store.present();
    let mut truth = world.truth.borrow_mut();
    if !present && !truth.is_present(now.flags[name]) {
        return Err(Failed::Refused);
    }
    now.index += 1 + world.below(2) as u64;
    // Sometimes with the content of a former state.
    let fresh = truth.next();
    let content = match (present, world.setup.repeats && world.below(2) == 0) {
        (false, _) => 0,
        (true, true) => 1_000_000 + 10 * name + world.below(2),
        (true, false) => fresh,
    };
    now.flags[name] = truth.add(name, content, now.index, world.now());
    store.set(now.index, now.flags);
    store.push(Push::Name(name));
    world.note(|| format!("store: {} is {:?}", NAMES[name], truth.get(now.flags[name])));
    Ok(now.flags[name])
}

pub(super) async fn wait(world: Rc<World>, index: u64) -> Result<Listing, Failed> {
    let deadline = world.now() + WAIT;
    loop {
        let found = world.store.borrow().list(Read::Default)?;
        if found.index != index || world.now() >= deadline {
            return Ok(found);
        }
        turn().await;
    }
}

/// On purpose.
pub(super) fn flush(world: &World) {
    let store = &mut *world.store.borrow_mut();
    if !store.is_whole() || store.loading.get() > 0 {
        return;
    }
    let mut now = store.present();
    now.index += 1;
    let index = now.index;
    empty(world, &mut now, |_| true, index);
    store.set(now.index, now.flags);
    store.push(Push::All);
    world.note(|| "store: all flags are deleted".to_owned());
}

fn empty(world: &World, now: &mut Listing, mut is_gone: impl FnMut(usize) -> bool, index: u64) {
    let mut truth = world.truth.borrow_mut();
    for (name, flag) in now.flags.iter_mut().enumerate() {
        if truth.is_present(*flag) && is_gone(name) {
            *flag = truth.add(name, 0, index, world.now());
        }
    }
}

/// With all acknowledged writes. One kind first answers from its past, the other reports that it loads.
pub(super) fn restart(world: &World) {
    let store = &mut *world.store.borrow_mut();
    store.restart();
    come_back(world, store);
    world.note(|| format!("store: restarted with its data, at {} of {}", store.applied + 1, store.past.len()));
}

fn come_back(world: &World, store: &mut Store) {
    match store.kind {
        Kind::Counting => store.applied = world.below(store.past.len()),
        Kind::Content => store.loading.set(world.below(6) as u32),
    }
}

/// To an old backup, for good.
pub(super) fn set_back(world: &World) {
    let store = &mut *world.store.borrow_mut();
    store.restart();
    let mut back = store.past[world.below(store.past.len())];
    let before = store.present();
    let mut truth = world.truth.borrow_mut();
    for name in 0..NAMES.len() {
        let (old, new) = (truth.get(back.flags[name]), truth.get(before.flags[name]));
        back.flags[name] = match (old.content, old.number) == (new.content, new.number) {
            true => before.flags[name],
            // The old state is the newest now.
            false => truth.add(name, old.content, old.number, world.now()),
        };
    }
    store.past.retain(|past| past.index < back.index);
    store.counts_since = world.now();
    store.set(back.index, back.flags);
    come_back(world, store);
    world.note(|| format!("store: restarted from a backup with index {}", back.index));
}

pub(super) fn lose_flags(world: &World) {
    let store = &mut *world.store.borrow_mut();
    store.restart();
    let (mut now, all) = (store.present(), world.below(2) == 0);
    let gone: [bool; NAMES.len()] = std::array::from_fn(|_| all || world.below(2) == 0);
    // It counts on from its remaining flags.
    let kept =
        (0..NAMES.len()).filter(|name| !gone[*name]).map(|name| world.truth.borrow().get(now.flags[name]).number);
    now.index = kept.max().unwrap_or(1).max(1);
    let index = now.index;
    empty(world, &mut now, |name| gone[name], index);
    store.past.clear();
    store.counts_since = world.now();
    store.set(now.index, now.flags);
    world.note(|| format!("store: restarted without {} flags", if all { "any" } else { "some" }));
}

pub(super) async fn apply_log(world: Rc<World>) {
    loop {
        let is_whole = world.store.borrow().is_whole();
        if !is_whole && (world.is_calm.get() || world.below(6) == 0) {
            world.store.borrow_mut().applied += 1;
            world.hop().await;
        } else {
            turn().await;
        }
    }
}
