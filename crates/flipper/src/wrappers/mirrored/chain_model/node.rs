//! A mirror's process: the real mirror, and the tasks around it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::check::{Made, Past, content};
use super::store::{self, Read};
use super::world::{Failed, Local, PAUSE, Upstream, World, call, turn};
use super::{Kind, NAMES, follow, serve};
use crate::clock;
use crate::feed::State;
use crate::identity::Identity;
use crate::state::{Stored, Version, WatchEvent};
use crate::table::FlagTable;
use crate::wrappers::mirrored::order::Sent;
use crate::wrappers::mirrored::shared::Shared;
use crate::wrappers::mirrored::snapshot::LastKnown;
use crate::wrappers::mirrored::task;

const LOOK: Duration = Duration::from_secs(60);
/// For a receiver that is behind.
const KEPT: usize = 8;

pub(super) struct Node {
    /// How many calls it is from the store.
    pub(super) level: usize,
    pub(super) start: u64,
    is_up: Cell<bool>,
    pub(super) shared: Arc<Shared>,
    pub(super) hub: RefCell<State>,
    pub(super) events: RefCell<VecDeque<WatchEvent>>,
    /// Earlier watches are ignored.
    watch: Cell<u64>,
    pub(super) watching: Cell<u64>,
    pub(super) calling: Cell<u64>,
    is_lost: Cell<bool>,
    lists: Cell<u64>,
    /// Until then nothing is read again.
    paused: Cell<Duration>,
    pub(super) listed: Cell<Duration>,
    pub(super) past: RefCell<Past>,
    saved: RefCell<Option<(Vec<Stored>, SystemTime, SystemTime)>>,
}

impl Node {
    pub(super) fn is_up(&self) -> bool {
        self.is_up.get()
    }

    pub(super) fn upstream(&self, world: &World) -> Upstream {
        match self.level {
            1 => Upstream::Store(world.store.borrow().generation),
            level => Upstream::Node(world.node(level - 1)),
        }
    }

    pub(super) fn save(&self) {
        if let Some(synced) = self.shared.synced() {
            *self.saved.borrow_mut() = Some((self.shared.table.list(), synced, clock::time_of_day()));
        }
    }
}

pub(super) fn start(world: &Rc<World>, level: usize, saved: Option<(Vec<Stored>, SystemTime, SystemTime)>) -> Rc<Node> {
    world.starts.set(world.starts.get() + 1);
    let (start, has_server) = (world.starts.get(), level < world.setup.mirrors);
    let known = saved.clone().map(|(flags, synced, saved)| LastKnown { flags, synced, saved });
    let shared = Shared::in_table(FlagTable::keeping(KEPT), String::new(), Identity::new("store"), known, super::DOUBT);
    let node = Rc::new(Node {
        level,
        start,
        is_up: Cell::new(true),
        shared: Arc::new(shared),
        hub: RefCell::new(State::new(KEPT)),
        events: RefCell::default(),
        watch: Cell::new(0),
        watching: Cell::new(0),
        calling: Cell::new(0),
        is_lost: Cell::new(true),
        lists: Cell::new(0),
        paused: Cell::default(),
        listed: Cell::default(),
        past: RefCell::default(),
        saved: RefCell::new(saved),
    });
    world.note(|| format!("mirror {level}: starts, {} flags known", node.shared.table.list().len()));
    let (mirror, place) = (node.clone(), world.clone());
    let is_up = move |node: &Rc<Node>| {
        let node = node.clone();
        move || node.is_up()
    };
    world.spawn(is_up(&node), async move { mirror_task(place, mirror).await });
    if has_server {
        world.spawn(is_up(&node), serve::feed(world.clone(), node.clone()));
    }
    listen(world, &node);
    node
}

pub(super) fn restart(world: &Rc<World>, level: usize) {
    let old = world.node(level);
    old.is_up.set(false);
    let saved = if world.below(2) == 0 { old.saved.take() } else { None };
    let new = start(world, level, saved);
    world.nodes.borrow_mut()[level - 1] = new;
}

fn listen(world: &Rc<World>, node: &Rc<Node>) {
    let watch = node.watch.get();
    let target = node.clone();
    let is_wanted = {
        let node = node.clone();
        move || node.is_up() && node.watch.get() == watch
    };
    let emit = move |event| target.events.borrow_mut().push_back(event);
    world.spawn(is_wanted, follow::follow(world.clone(), node.clone(), Rc::new(emit)));
}

/// As `task::run`, but any ready event may be next.
async fn mirror_task(world: Rc<World>, node: Rc<Node>) {
    let mut looked = Duration::ZERO;
    loop {
        while (world.now() >= node.paused.get() || !world.is_calm.get())
            && let Some(read) = node.shared.next_read()
        {
            let (world, node, watch) = (world.clone(), node.clone(), node.watch.get());
            let is_wanted = {
                let node = node.clone();
                move || node.is_up() && node.watch.get() == watch
            };
            world.clone().spawn(is_wanted, async move {
                let lists = node.lists.get();
                let found = get_upstream(&world, &node, &read.name).await;
                world.note(|| format!("mirror {}: read {} as {:?}", node.level, read.name, shown(&found)));
                let is_current = lists == node.lists.get() && !node.is_lost.get();
                let there = found.as_ref().ok().and_then(Option::as_ref).map(|flag| content(Some(flag)));
                if !node.shared.end_read(&read, found.map_err(|_| error("read"))) {
                    node.paused.set(world.now() + PAUSE);
                }
                if is_current && there == Some(content(node.shared.table.get(&read.name).as_ref())) {
                    world.heard_of(&node, &read.name);
                }
                world.check(&node);
            });
        }
        if !node.events.borrow().is_empty() {
            // Pending until taken in: events sent together are checked together.
            world.hop().await;
            let event = node.events.borrow_mut().pop_front();
            event.into_iter().for_each(|event| take_in(&world, &node, event));
        } else if world.now() >= looked + LOOK && node.shared.is_doubt_over() {
            looked = world.now();
            // The watch is dropped, with its pending events.
            world.note(|| format!("mirror {}: the doubt is over", node.level));
            node.watch.set(node.watch.get() + 1);
            node.events.borrow_mut().clear();
            node.shared.abandon_reads();
            listen(&world, &node);
        } else {
            turn().await;
        }
    }
}

fn take_in(world: &World, node: &Node, event: WatchEvent) {
    world.note(|| format!("mirror {}: takes in {}", node.level, describe(&event)));
    match &event {
        WatchEvent::Reset { read_at, valid_for, .. } if node.shared.is_outdated(*read_at, *valid_for) => {}
        WatchEvent::Reset { flags, read_at, .. } => {
            node.listed.set(world.since(*read_at));
            node.lists.set(node.lists.get() + 1);
            world.before_reset(node, flags, node.is_lost.replace(false));
        }
        WatchEvent::Lost(_) => node.is_lost.set(true),
        WatchEvent::Changed { flag, .. } => world.heard_of(node, &flag.name),
        WatchEvent::Removed { name, .. } | WatchEvent::Hint { name } => world.heard_of(node, name),
        _ => {}
    }
    task::take_in(&node.shared, event);
    world.check(node);
}

pub(super) type GetResult = Result<Option<Stored>, Failed>;

pub(super) fn get_upstream(world: &Rc<World>, node: &Rc<Node>, name: &str) -> Local<GetResult> {
    let (place, name) = (world.clone(), name.to_owned());
    let upstream = node.upstream(world);
    let serve: Local<GetResult> = match &upstream {
        Upstream::Store(_) => Box::pin(async move {
            place.hop().await;
            let read = if place.design().believes_replays { Read::Default } else { Read::Confirmed };
            let listing = place.store.borrow().list(read)?;
            let at = NAMES.iter().position(|known| *known == name).unwrap_or_default();
            Ok(place.truth.borrow().stored(place.setup.kind, listing.flags[at]))
        }),
        Upstream::Node(above) => serve::get(place, above.clone(), name),
    };
    Box::pin(call(world.clone(), node.clone(), |node| &node.calling, upstream, serve))
}

/// `MirroredFeatureFlagStore::get`.
pub(super) fn get(world: Rc<World>, node: Rc<Node>, name: String) -> Local<GetResult> {
    Box::pin(async move {
        let (sent, lists) = (node.shared.sent(), node.lists.get());
        let found = get_upstream(&world, &node, &name).await?;
        world.note(|| format!("mirror {}: a caller read {name} as {}", node.level, content(found.as_ref())));
        take_read(&world, &node, &name, (sent, lists), found.as_ref());
        Ok(found)
    })
}

fn take_read(world: &World, node: &Node, name: &str, (sent, lists): (Sent, u64), found: Option<&Stored>) {
    node.shared.found(name, sent, found);
    let here = node.shared.table.get(name);
    // While the store is lost the mirror takes in nothing, so a doubt goes on, and no read from before its last list.
    let is_current = lists == node.lists.get() && !node.is_lost.get();
    if found.is_some() && is_current && content(here.as_ref()) == content(found) {
        world.heard_of(node, name);
    }
    world.check(node);
}

/// `MirroredFeatureFlagStore::put` and `delete`.
pub(super) fn write(world: Rc<World>, node: Rc<Node>, name: usize, present: bool) -> Local<Result<Made, Failed>> {
    Box::pin(async move {
        let shared = node.shared.clone();
        let _turn = shared.turn(NAMES[name]).await;
        let write = shared.start_write(NAMES[name]);
        let (place, upstream) = (world.clone(), node.upstream(&world));
        let serve: Local<Result<Made, Failed>> = match &upstream {
            Upstream::Store(_) => Box::pin(async move {
                place.hop().await;
                store::write(&place, name, present)
            }),
            Upstream::Node(above) => self::write(place, above.clone(), name, present),
        };
        let written = call(world.clone(), node.clone(), |node| &node.calling, upstream, serve).await;
        match written {
            Ok(made) => {
                let (flag, number) = {
                    let truth = world.truth.borrow();
                    (truth.stored(world.setup.kind, made), truth.get(made).number)
                };
                let is_unclear = match flag {
                    Some(flag) => {
                        let Ok(record) = &flag.record else { return Err(Failed::Lost) };
                        write.put(record, &flag.version)
                    }
                    None if world.setup.kind == Kind::Counting => write.deleted(&Version::ordered(number)),
                    None => write.deleted(&Version::opaque([])),
                };
                if is_unclear {
                    if !present {
                        world.heard_of(&node, NAMES[name]);
                    }
                    read_back(&world, &node, NAMES[name]).await?;
                }
                world.note(|| format!("mirror {}: own write of {} has made {made}", node.level, NAMES[name]));
                world.acknowledged(&node, made);
            }
            Err(Failed::Refused) => write.refused(),
            Err(Failed::Lost) => drop(write),
        }
        world.check(&node);
        written
    })
}

async fn read_back(world: &Rc<World>, node: &Rc<Node>, name: &str) -> Result<(), Failed> {
    for _ in 0..3 {
        let (sent, lists) = (node.shared.sent(), node.lists.get());
        let found = get_upstream(world, node, name).await?;
        take_read(world, node, name, (sent, lists), found.as_ref());
        if !node.shared.is_unclear(name, sent) {
            return Ok(());
        }
    }
    Err(Failed::Lost)
}

pub(super) fn error(what: &str) -> crate::Error {
    crate::Error::new(crate::ErrorKind::Unavailable).with_message(what)
}

fn shown(found: &GetResult) -> Result<usize, Failed> {
    found.as_ref().map(|flag| content(flag.as_ref())).map_err(|failed| *failed)
}

pub(super) fn describe(event: &WatchEvent) -> String {
    let version = |flag: &Stored| flag.version.as_ordered().map_or_else(String::new, |number| format!("@{number}"));
    let flag = |flag: &Stored| format!("{}={}{}", flag.name, content(Some(flag)), version(flag));
    match event {
        WatchEvent::Reset { flags, .. } => format!("Reset {}", flags.iter().map(flag).collect::<Vec<_>>().join(" ")),
        WatchEvent::Changed { flag: changed, read_at } => {
            format!("Changed {}{}", flag(changed), if read_at.is_some() { "" } else { " at no time" })
        }
        WatchEvent::Removed { name, version, .. } => format!("Removed {name} {version:?}"),
        WatchEvent::Lost(error) => format!("Lost: {error}"),
        WatchEvent::Confirmed { .. } => "Confirmed".to_owned(),
        other => format!("{other:?}"),
    }
}
