//! One stream of events. It holds its place, and makes the next event when the connection has room for it: a follower that is slow gets
//! fewer events, each with all that changed since the last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flipper::__feed::BEAT;
use flipper::json::{Json, Object};
use flipper::store::LocalFeatureFlagStore;
use tokio::sync::watch;

use super::hub::{Event, Hub, Next, Pages, pages};
use super::places::Place;
use crate::access::Role;
use crate::api::Caller;
use crate::problem::Problem;

/// Then the clocks of both sides still agree, and load balancers spread the followers again.
const LONGEST: Duration = Duration::from_secs(300);
/// Streams that began together end apart.
const SPREAD_SECONDS: u64 = 60;
/// A follower whose stream broke comes back after about this time.
const RETRY_MS: u64 = 1000;

pub(super) struct Follower {
    hub: Arc<Hub>,
    news: watch::Receiver<()>,
    store: Arc<dyn LocalFeatureFlagStore>,
    caller: Caller,
    sees_all: bool,
    cursor: Option<String>,
    came: Instant,
    ends: Instant,
    with_flags: bool,
    was_lost: bool,
    /// The next event, if it is made.
    made: Option<Bytes>,
    flags: Flags,
    _place: Place,
}

enum Flags {
    /// None have to be sent.
    Sent,
    Wanted((u64, u64)),
    /// From this page on. Those of all flags are kept until the next event: followers that come together, as after a restart, share them.
    Rest(Arc<Pages>, usize),
}

impl Follower {
    pub(super) fn new(
        hub: Arc<Hub>,
        place: Place,
        store: Arc<dyn LocalFeatureFlagStore>,
        caller: Caller,
        cursor: Option<String>,
        came: Instant,
        with_flags: bool,
    ) -> Self {
        let (news, sees_all) = (hub.news(), caller.is_unlimited());
        let ends = came + LONGEST + Duration::from_secs(fastrand::u64(0..SPREAD_SECONDS));
        let was_lost = cursor.as_deref().is_some_and(|cursor| cursor.ends_with('?'));
        let (made, flags, _place) = (None, Flags::Sent, place);
        Self { hub, news, store, caller, sees_all, cursor, came, ends, with_flags, was_lost, made, flags, _place }
    }

    /// Waits until the store is followed.
    pub(super) async fn start(&mut self, limit: Duration) -> Result<(), Problem> {
        let deadline = Instant::now() + limit;
        loop {
            // A change of the store between the two is not missed.
            self.news.mark_unchanged();
            match self.ask(deadline) {
                Next::Unavailable(reason) => return Err(Problem::not_ready(&reason)),
                Next::Closed => return Err(Problem::overloaded("the server is ending")),
                Next::Event(event) => {
                    let hello = self.hello();
                    let first = self.took(&event);
                    self.made = Some([hello, first].concat().into());
                    return Ok(());
                }
                // Followed, and nothing is new.
                Next::Later(_) if self.cursor.is_some() && self.hub.is_followed() => {
                    self.made = Some(self.hello());
                    return Ok(());
                }
                Next::Later(until) => self.wait(until).await,
            }
        }
    }

    pub(super) async fn next(&mut self) -> Option<Bytes> {
        if let Some(made) = self.made.take() {
            return Some(made);
        }
        if let Some(page) = self.page().await {
            return Some(page);
        }
        let deadline = Instant::now() + BEAT;
        loop {
            if Instant::now() >= self.ends {
                return None;
            }
            self.news.mark_unchanged();
            match self.ask(deadline) {
                Next::Event(event) => return Some(self.took(&event)),
                Next::Closed | Next::Unavailable(_) => return None,
                Next::Later(until) => self.wait(until.min(self.ends)).await,
            }
        }
    }

    fn ask(&self, deadline: Instant) -> Next {
        let allows = |name: &str| self.caller.allows(Role::Read, name);
        let allows: &dyn Fn(&str) -> bool = &allows;
        self.hub.next(self.cursor.as_deref(), self.came, deadline, (!self.sees_all).then_some(allows))
    }

    async fn wait(&mut self, until: Instant) {
        // The sender lives as long as the hub.
        let _ = tokio::time::timeout_at(until.into(), self.news.changed()).await;
    }

    fn took(&mut self, event: &Event) -> Bytes {
        self.cursor.clone_from(&event.cursor);
        let is_over = std::mem::replace(&mut self.was_lost, event.lost) && !event.lost;
        // Also after a doubt, which ends only with all flags.
        self.flags = match self.with_flags && (event.reset || is_over) {
            true => Flags::Wanted(event.place),
            false => Flags::Sent,
        };
        event.bytes.clone()
    }

    fn hello(&self) -> Bytes {
        let mut object: Object = [("server", self.hub.id.as_str())].into_iter().collect();
        object.insert("at_us", self.hub.at_us(self.came));
        object.insert("store", self.hub.describe().0.map_or(Json::Null, Json::from));
        format!("retry: {RETRY_MS}\nevent: hello\ndata: {}\n\n", Json::from(object)).into()
    }

    async fn page(&mut self) -> Option<Bytes> {
        if let Flags::Wanted(place) = self.flags {
            let pages = match self.sees_all {
                true => self.hub.flags(place, &self.store).await,
                false => {
                    let mut flags = self.store.table().list();
                    flags.retain(|flag| self.caller.allows(Role::Read, &flag.name));
                    Arc::new(pages(&flags))
                }
            };
            self.flags = Flags::Rest(pages, 0);
        }
        let Flags::Rest(pages, at) = &mut self.flags else { return None };
        let page = pages.get(*at).cloned();
        *at += 1;
        if *at >= pages.len() && !self.sees_all {
            self.flags = Flags::Sent;
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::FromRequestParts;
    use flipper::MemoryFeatureFlagStore;
    use flipper_testkit::PATIENCE;

    use super::*;
    use crate::access::Access;
    use crate::changes::{Changes, Follows};

    #[tokio::test]
    async fn followers_share_pages_that_the_first_has_sent() {
        let store: Arc<dyn LocalFeatureFlagStore> = Arc::new(MemoryFeatureFlagStore::new());
        let changes = Changes::default();
        let (mut request, ()) = http::Request::new(()).into_parts();
        let access = Access::everything(&request.extensions);
        request.extensions.insert(access);
        let Ok(caller) = Caller::from_request_parts(&mut request, &()).await;
        let mut followers = Vec::new();
        for _ in 0..2 {
            let follows = Follows { who: String::new(), program: String::new(), since: std::time::SystemTime::now() };
            let place = changes.place(2, follows).ok().unwrap();
            let hub = changes.follow(&store);
            let mut follower = Follower::new(hub, place, store.clone(), caller.clone(), None, Instant::now(), true);
            assert!(follower.start(PATIENCE).await.is_ok());
            for expected in ["event: hello", "event: flags"] {
                let event = follower.next().await.unwrap();
                assert!(String::from_utf8_lossy(&event).contains(expected), "{event:?}");
            }
            followers.push(follower);
        }
        let [Flags::Rest(first, 1), Flags::Rest(second, 1)] = [&followers[0].flags, &followers[1].flags] else {
            panic!("not all pages are sent")
        };
        assert!(Arc::ptr_eq(first, second));
    }
}
