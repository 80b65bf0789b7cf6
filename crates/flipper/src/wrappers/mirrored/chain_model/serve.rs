//! The client calls as `stores/thrift/watch.rs`.

use std::pin::pin;
use std::rc::Rc;

use futures_util::{FutureExt, StreamExt};

use super::check::content;
use super::follow::{self, Emit};
use super::node::{self, GetResult, Node, describe, error};
use super::world::{Failed, Local, Upstream, World, call, turn};
use crate::feed::{Answer, AnswerTime, Delta, Follower, WAIT, with_time};
use crate::identity::Identity;
use crate::state::{Stored, WatchEvent};

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
async fn watch(world: Rc<World>, node: Rc<Node>, cursor: Option<String>) -> Result<Delta, Failed> {
    world.hop().await;
    let came = world.instant();
    loop {
        let answer = node.hub.borrow().answer(cursor.as_deref(), came, came + WAIT, world.instant());
        match answer {
            Answer::Now(delta) => return Ok(Delta { server: Some(node.start.to_string()), ..*delta }),
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
    let follower = Follower::new("server".to_owned(), Identity::new("server"));
    let mut client = Client { world, node, emit, cursor: None, follower };
    loop {
        if client.round().await.is_err() {
            client.cursor = None;
            let lost = client.follower.lose(error("the call failed"));
            client.emit(lost);
            client.world.pause().await;
        }
    }
}

struct Client {
    world: Rc<World>,
    node: Rc<Node>,
    emit: Emit,
    cursor: Option<String>,
    follower: Follower,
}

impl Client {
    async fn round(&mut self) -> Result<(), Failed> {
        let Upstream::Node(server) = self.node.upstream(&self.world) else { return Ok(()) };
        let called = self.world.instant();
        let delta = self.call(&server, watch(self.world.clone(), server.clone(), self.cursor.clone())).await?;
        let time = AnswerTime::new(&delta, called);
        let serving = self.follower.serving(&delta);
        self.emit(serving);
        let flags = match self.follower.needs_flags(&delta) {
            true => Some(self.list(&server).await?),
            false => None,
        };
        let cursor = delta.cursor.clone();
        let events = self.follower.take(delta, flags, &time);
        self.emit(events);
        self.cursor = cursor;
        Ok(())
    }

    fn emit(&self, events: impl IntoIterator<Item = WatchEvent>) {
        events.into_iter().for_each(|event| (self.emit)(event));
    }

    async fn call<T: 'static>(
        &self,
        server: &Rc<Node>,
        serve: impl Future<Output = Result<T, Failed>> + 'static,
    ) -> Result<T, Failed> {
        call(self.world.clone(), self.node.clone(), |node| &node.watching, Upstream::Node(server.clone()), serve).await
    }

    async fn list(&self, server: &Rc<Node>) -> Result<Vec<Stored>, Failed> {
        let number = self.node.watching.get();
        let flags = self.call(server, list(self.world.clone(), server.clone())).await?;
        if number == self.node.watching.get() { Ok(flags) } else { Err(Failed::Lost) }
    }
}
