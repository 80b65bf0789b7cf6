//! Stores are followed as by the watches of Consul and Redis.

use std::rc::Rc;
use std::time::Duration;

use super::node::{Node, error};
use super::serve;
use super::store::{self, Listing, Push, Pushes, Read};
use super::world::{Failed, Upstream, World, call, turn};
use super::{Kind, NAMES};
use crate::state::{Version, WatchEvent};

/// Between two heartbeats, and how long a query waits.
const BEAT: Duration = Duration::from_secs(5);
/// From when the request was sent.
const VALID_FOR: Duration = Duration::from_secs(18);

pub(super) type Emit = Rc<dyn Fn(WatchEvent)>;

pub(super) async fn follow(world: Rc<World>, node: Rc<Node>, emit: Emit) {
    let mut follower = Follower { world, node, emit, is_lost: false, has_flags: false };
    if follower.node.level > 1 {
        return serve::follow(follower.world, follower.node, follower.emit).await;
    }
    loop {
        let _ = match follower.world.setup.kind {
            Kind::Counting => follower.queries().await,
            Kind::Content => follower.pushes().await,
        };
        follower.world.pause().await;
    }
}

struct Follower {
    world: Rc<World>,
    node: Rc<Node>,
    emit: Emit,
    is_lost: bool,
    has_flags: bool,
}

impl Follower {
    fn lose(&mut self, reason: &str) {
        if !std::mem::replace(&mut self.is_lost, true) {
            (self.emit)(WatchEvent::Lost(error(reason)));
        }
    }

    async fn ask<T: 'static>(
        &self,
        upstream: &Upstream,
        answer: impl AsyncFnOnce(Rc<World>) -> Result<T, Failed> + 'static,
    ) -> Result<T, Failed> {
        let world = self.world.clone();
        let serve = async move {
            world.hop().await;
            answer(world).await
        };
        call(self.world.clone(), self.node.clone(), |node| &node.watching, upstream.clone(), serve).await
    }

    fn reset(&mut self, listing: Listing, read_at: std::time::Instant) {
        if std::mem::take(&mut self.is_lost) {
            (self.emit)(WatchEvent::Restored);
        }
        self.has_flags = true;
        let truth = self.world.truth.borrow();
        let flags = listing.flags.iter().filter_map(|made| truth.stored(self.world.setup.kind, *made)).collect();
        (self.emit)(WatchEvent::Reset { flags, read_at: Some(read_at), valid_for: Some(VALID_FOR) });
    }

    fn confirm(&self, at: std::time::Instant) {
        (self.emit)(WatchEvent::Confirmed { at, valid_for: VALID_FOR });
    }

    fn change(&self, name: usize, made: usize, index: Option<u64>, read_at: Option<std::time::Instant>) {
        (self.emit)(match self.world.truth.borrow().stored(self.world.setup.kind, made) {
            Some(flag) => WatchEvent::Changed { flag, read_at },
            None => WatchEvent::Removed { name: NAMES[name].to_owned(), version: index.map(Version::ordered), read_at },
        });
    }

    async fn queries(&mut self) -> Result<(), Failed> {
        let believes = self.world.design().believes_replays;
        let mut known: Option<Listing> = None;
        loop {
            let (read_at, upstream) = (self.world.instant(), self.node.upstream(&self.world));
            let read = if believes { Read::Default } else { Read::Confirmed };
            let listing = match self.ask(&upstream, async move |world| world.store.borrow().list(read)).await {
                Ok(listing) => listing,
                Err(failed) => {
                    self.lose("all flags cannot be read");
                    return Err(failed);
                }
            };
            if !believes && known.is_some_and(|known| self.is_older(&listing, &known)) {
                self.lose("the index went back");
            }
            self.reset(listing, read_at);
            self.confirm(read_at);
            known = Some(self.changes(&upstream, listing).await);
            if believes && self.world.below(2) == 0 {
                self.lose("the connection was closed");
            }
        }
    }

    fn is_older(&self, new: &Listing, known: &Listing) -> bool {
        new.flags != known.flags && new.index <= known.index
    }

    /// Until a query fails or the index goes back; returns the last listing.
    async fn changes(&self, upstream: &Upstream, mut known: Listing) -> Listing {
        loop {
            let (asked, index) = (self.world.instant(), known.index);
            let Ok(new) = self.ask(upstream, async move |world| store::wait(world, index).await).await else {
                return known;
            };
            if new.index < known.index {
                return known;
            }
            for name in 0..NAMES.len() {
                if new.flags[name] != known.flags[name] {
                    self.change(name, new.flags[name], Some(new.index), None);
                }
            }
            self.confirm(asked);
            known = new;
        }
    }

    async fn pushes(&mut self) -> Result<(), Failed> {
        let upstream = self.node.upstream(&self.world);
        let ended = self.connection(&upstream).await;
        self.lose("the connection was closed");
        ended
    }

    async fn connection(&mut self, upstream: &Upstream) -> Result<(), Failed> {
        let number = self.node.watching.get();
        let pushes = self.ask(upstream, async |world| world.store.borrow_mut().follow()).await?;
        self.read_all(upstream).await?;
        let mut heard = self.world.now();
        loop {
            if self.node.watching.get() != number {
                return Err(Failed::Lost);
            }
            let push = next(&pushes);
            if let Some(push) = push {
                self.world.hop().await;
                self.pushed(upstream, push).await?;
            } else if self.world.now() >= heard + BEAT || self.world.fails_once_in(64) {
                // Names pushed before the answer come before it.
                let asked = self.world.instant();
                let received = pushes.clone();
                let ping = async move |world: Rc<World>| {
                    world.store.borrow().list(Read::Default)?;
                    Ok(received.0.borrow().iter().copied().collect::<Vec<_>>())
                };
                let before = self.ask(upstream, ping).await?;
                for _ in before {
                    if let Some(push) = next(&pushes) {
                        self.pushed(upstream, push).await?;
                    }
                }
                self.confirm(asked);
                heard = self.world.now();
            } else {
                let generation = self.world.store.borrow().generation;
                if !matches!(upstream, Upstream::Store(known) if *known == generation) {
                    return Err(Failed::Lost);
                }
                turn().await;
            }
        }
    }

    async fn read_all(&mut self, upstream: &Upstream) -> Result<(), Failed> {
        let read_at = self.world.instant();
        let listing = self.ask(upstream, async |world| world.store.borrow().list(Read::Confirmed)).await?;
        self.reset(listing, read_at);
        self.confirm(read_at);
        Ok(())
    }

    async fn pushed(&mut self, upstream: &Upstream, push: Push) -> Result<(), Failed> {
        let Push::Name(name) = push else { return self.read_all(upstream).await };
        let read_at = self.world.instant();
        let listing = self.ask(upstream, async |world| world.store.borrow().list(Read::Confirmed)).await?;
        self.change(name, listing.flags[name], None, Some(read_at));
        Ok(())
    }
}

fn next(pushes: &Pushes) -> Option<Push> {
    pushes.0.borrow_mut().pop_front()
}
