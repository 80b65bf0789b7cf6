//! The client is as in `stores/thrift/watch.rs`.

use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use flipper_thrift_protocol::feature_flag_store::WatchResult;
use futures_util::{FutureExt, StreamExt};

use super::check::content;
use super::follow::{self, Emit};
use super::hub::state::Answer;
use super::node::{self, GetResult, Node, describe, error};
use super::world::{Failed, Local, Upstream, World, call, turn};
use crate::identity::Identity;
use crate::state::{Stored, WatchEvent};
use crate::stores::thrift::answers::{AnswerTime, Times, WAIT};

pub(super) async fn feed(world: Rc<World>, node: Rc<Node>) {
    if world.design().second_subscription {
        let (place, server) = (world.clone(), node.clone());
        let emit = move |event| take(&place, &server, without_time(event));
        return follow::follow(world, node, Rc::new(emit)).await;
    }
    let mut confirmed = None;
    let events = node.shared.clone().watch().map(move |event| with_time(event, &mut confirmed));
    let mut events = pin!(events);
    loop {
        let Some(Some(event)) = events.next().now_or_never() else {
            turn().await;
            continue;
        };
        take(&world, &node, event);
        while let Some(Some(event)) = events.next().now_or_never() {
            take(&world, &node, event);
        }
        world.hop().await;
    }
}

fn take(world: &World, node: &Node, event: WatchEvent) {
    world.note(|| format!("server {}: reports {}", node.level, describe(&event)));
    match &event {
        WatchEvent::Changed { flag, .. } => world.announced(node, &flag.name, content(Some(flag))),
        WatchEvent::Removed { name, .. } => world.announced(node, name, 0),
        _ => {}
    }
    node.hub.borrow_mut().take(event);
}

/// As the command's `serve`.
fn with_time(event: WatchEvent, confirmed: &mut Option<Instant>) -> WatchEvent {
    match event {
        WatchEvent::Confirmed { at, .. } | WatchEvent::Reset { read_at: Some(at), .. } => {
            *confirmed = (*confirmed).max(Some(at));
            event
        }
        WatchEvent::Changed { flag, read_at } => WatchEvent::Changed { flag, read_at: read_at.or(*confirmed) },
        WatchEvent::Removed { name, version, read_at } => {
            WatchEvent::Removed { name, version, read_at: read_at.or(*confirmed) }
        }
        event => event,
    }
}

/// In the former design content without a number is read again.
fn without_time(event: WatchEvent) -> WatchEvent {
    match event {
        WatchEvent::Changed { flag, .. } => WatchEvent::Changed { flag, read_at: None },
        WatchEvent::Removed { name, version, .. } => WatchEvent::Removed { name, version, read_at: None },
        event => event,
    }
}

/// `ReadFlag`.
pub(super) fn get(world: Rc<World>, node: Rc<Node>, name: String) -> Local<GetResult> {
    Box::pin(async move {
        world.hop().await;
        if world.design().second_subscription {
            return Ok(node.shared.table.get(&name));
        }
        node::get(world, node, name).await
    })
}

/// `Watch`.
async fn watch(world: Rc<World>, node: Rc<Node>, cursor: Option<String>) -> Result<WatchResult, Failed> {
    world.hop().await;
    let came = world.instant();
    loop {
        let answer = node.hub.borrow().answer(cursor.as_deref(), came, came + WAIT, world.instant());
        match answer {
            Answer::Now(result) => return Ok(WatchResult { server: Some(node.start.to_string()), ..*result }),
            Answer::Unavailable(_) => return Err(Failed::Refused),
            Answer::Later(_) => turn().await,
        }
    }
}

/// `ReadKnownFlags`.
async fn list(world: Rc<World>, node: Rc<Node>) -> Result<Vec<Stored>, Failed> {
    world.hop().await;
    let has_flags = node.shared.present_status().last_sync.is_some();
    has_flags.then(|| node.shared.table.list()).ok_or(Failed::Refused)
}

pub(super) async fn follow(world: Rc<World>, node: Rc<Node>, emit: Emit) {
    let mut client =
        Client { world, node, emit, cursor: None, lost: None, server: None, has_flags: false, times: Times::default() };
    loop {
        if client.round().await.is_err() {
            client.cursor = None;
            client.lose("the call failed".to_owned());
            client.world.pause().await;
        }
    }
}

struct Client {
    world: Rc<World>,
    node: Rc<Node>,
    emit: Emit,
    cursor: Option<String>,
    lost: Option<String>,
    server: Option<String>,
    has_flags: bool,
    times: Times,
}

impl Client {
    async fn round(&mut self) -> Result<(), Failed> {
        let Upstream::Node(server) = self.node.upstream(&self.world) else { return Ok(()) };
        let called = self.world.instant();
        let result = self.call(&server, watch(self.world.clone(), server.clone(), self.cursor.clone())).await?;
        let heard = AnswerTime::new(&result, called);
        self.take(&server, result, &heard).await
    }

    async fn call<T: 'static>(
        &self,
        server: &Rc<Node>,
        serve: impl Future<Output = Result<T, Failed>> + 'static,
    ) -> Result<T, Failed> {
        call(self.world.clone(), self.node.clone(), |node| &node.watching, Upstream::Node(server.clone()), serve).await
    }

    async fn take(&mut self, server: &Rc<Node>, result: WatchResult, heard: &AnswerTime) -> Result<(), Failed> {
        if self.server != result.server {
            self.server.clone_from(&result.server);
            let identity = Identity::new("server").with_epoch(result.server.as_deref().unwrap_or_default());
            (self.emit)(WatchEvent::Serving(identity));
        }
        let doubt_is_over = self.lost.is_some() && result.lost.is_none();
        if result.reset.unwrap_or_default() || doubt_is_over {
            self.reset(server, result.lost.is_none(), heard).await?;
        }
        for event in self.times.events(result.changes.unwrap_or_default(), heard) {
            (self.emit)(event);
        }
        match result.lost {
            Some(reason) => self.lose(reason),
            None if self.lost.is_none() => {
                (self.emit)(WatchEvent::Confirmed { at: heard.confirmed, valid_for: heard.valid_for() });
            }
            None => {}
        }
        self.cursor = result.cursor;
        Ok(())
    }

    async fn reset(&mut self, server: &Rc<Node>, is_confirmed: bool, heard: &AnswerTime) -> Result<(), Failed> {
        if !is_confirmed && self.has_flags {
            return Ok(());
        }
        let number = self.node.watching.get();
        let flags = self.call(server, list(self.world.clone(), server.clone())).await?;
        if number != self.node.watching.get() {
            return Err(Failed::Lost);
        }
        self.times.listed();
        if self.lost.is_some() && is_confirmed {
            self.lost = None;
            (self.emit)(WatchEvent::Restored);
        }
        self.has_flags = true;
        let valid_for = Some(if is_confirmed { heard.valid_for() } else { Duration::ZERO });
        (self.emit)(WatchEvent::Reset { flags, read_at: Some(heard.confirmed), valid_for });
        if !is_confirmed {
            self.lost = None;
        }
        Ok(())
    }

    fn lose(&mut self, reason: String) {
        if self.lost.as_ref() != Some(&reason) {
            (self.emit)(WatchEvent::Lost(error(&reason)));
            self.lost = Some(reason);
        }
    }
}
