//! Keyspace notifications, for servers without `CLIENT TRACKING`. They omit `FLUSHDB`, so the flags are also listed, less often.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use redis::aio::{PubSubSink, PubSubStream};
use redis::{Cmd, FromRedisValue, Msg, ProtocolVersion};

use super::RedisFeatureFlagStore;
use super::client::speaking;
use super::event_sender::{End, EventSender, lost};
use super::link::{command, within};
use super::polling::Reader;
use crate::state::{Updates, Version};
use crate::store::versions;

const CHECK_FACTOR: u32 = 10;

/// `None` if they are off. Ends with the connection.
pub(super) async fn follow(store: &RedisFeatureFlagStore, events: &mut EventSender) -> Result<Option<Infallible>, End> {
    let Some(client) = within(store.timeout, store.link.client().node()).await? else {
        return Ok(None);
    };
    let ask = command(&["CONFIG", "GET", "notify-keyspace-events"]);
    let answer = store.link.request(&ask, true, store.timeout).await?;
    let settings = BTreeMap::<String, String>::from_redis_value(answer).map_err(redis::RedisError::from)?;
    if !settings.values().any(|classes| are_enough(classes)) {
        return Ok(None);
    }
    let client = speaking(&client, ProtocolVersion::RESP2)?;
    let channel = format!("__keyspace@{}__:", client.get_connection_info().redis_settings().db());
    let pubsub = within(store.timeout, async {
        let mut pubsub = client.get_async_pubsub().await?;
        pubsub.psubscribe(format!("{channel}{}", store.keys.pattern())).await?;
        Ok(pubsub)
    })
    .await?;
    let (pings, messages) = pubsub.split();
    Session { store, channel, pings, messages, known: BTreeMap::new(), reader: Reader::new(store) }
        .run(events)
        .await
        .map(Some)
}

/// Per key: writes, deletions and renames, expiry, eviction.
pub(super) fn are_enough(classes: &str) -> bool {
    classes.contains('K')
        && (classes.contains('A') || ['$', 'g', 'x', 'e'].iter().all(|class| classes.contains(*class)))
}

struct Session<'a> {
    store: &'a RedisFeatureFlagStore,
    channel: String,
    pings: PubSubSink,
    messages: PubSubStream,
    known: BTreeMap<String, Version>,
    reader: Reader<'a>,
}

impl Session<'_> {
    async fn run(&mut self, events: &mut EventSender) -> Result<Infallible, End> {
        let store = self.store;
        let check_every = store.poll_every * CHECK_FACTOR;
        let ping_every = store.silence / 2;
        let (mut checked, mut pinged) = (None::<Instant>, Instant::now());
        loop {
            if checked.is_none_or(|checked| checked.elapsed() >= check_every) {
                let read_at = Instant::now();
                let flags = self.reader.list(events).await?;
                let found = versions(&flags);
                let confirmed = self.reader.confirms(read_at, check_every + store.silence);
                if checked.is_none() || found != self.known {
                    events.reset(flags, read_at, confirmed, Updates::Notifications { check_every }).await?;
                }
                self.known = found;
                // Not after each ping: only a list shows a flush.
                events.confirm(confirmed).await?;
                checked = Some(Instant::now());
            }
            if pinged.elapsed() >= ping_every {
                let _: redis::Value = within(store.timeout.min(ping_every), self.pings.ping()).await?;
                pinged = Instant::now();
            }
            let until_check = check_every.saturating_sub(checked.map_or(Duration::ZERO, |checked| checked.elapsed()));
            let pause = until_check.min(ping_every.saturating_sub(pinged.elapsed()));
            match tokio::time::timeout(pause, self.messages.next()).await {
                Ok(Some(message)) => self.receive(&message, events).await?,
                Ok(None) => return Err(lost("the connection was closed")),
                Err(_) => {}
            }
        }
    }

    async fn receive(&mut self, message: &Msg, events: &EventSender) -> Result<(), End> {
        let mut names = BTreeSet::from_iter(self.name(message));
        // A burst of writes to one key is read once.
        while let Some(Some(message)) = self.messages.next().now_or_never() {
            names.extend(self.name(&message));
        }
        for name in names {
            let read_at = Instant::now();
            let get = Cmd::get(self.store.keys.of(&name));
            let answer = self.store.link.request(&get, true, self.store.timeout).await;
            let flag = self.store.stored(&name, answer)?;
            match &flag {
                Some(flag) => self.known.insert(name.clone(), flag.version.clone()),
                None => self.known.remove(&name),
            };
            events.emit_read(name, flag, read_at).await?;
        }
        Ok(())
    }

    fn name(&self, message: &Msg) -> Option<String> {
        self.store.keys.name_of(message.get_channel_name().strip_prefix(&self.channel)?.into())
    }
}
