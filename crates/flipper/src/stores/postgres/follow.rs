//! Follows the table on a connection of its own: by the feed if it is installed, else by the fingerprint of all rows. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use tokio::time::timeout;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use super::PostgresFeatureFlagStore;
use super::connection::{Connection, PROBE, Value, open};
use super::errors::Failure;
use super::feed::{Names, Queries, readable};
use super::link::{Link, Query, found_in};
use super::state::{Since, State};
use super::table::stored;
use crate::pause::Pause;
use crate::state::{Stored, Updates, Version, Watch};
use crate::store::{FeatureFlagStore, differences, versions};
use crate::stores::event_sender::{EventSender, Unwatched};
use crate::stores::feed::feed_by_task;

/// For what the feed cannot list, such as writers in replication.
const CHECK_EVERY: Duration = Duration::from_secs(30);
/// For a notification that this process sends itself.
const PROOF: Duration = Duration::from_secs(1);
/// Meanwhile nothing is polled, so it is tried a few times only: at the start, and with the next checks, for a server that was slow.
const PROOFS: u32 = 3;
const PAUSE: Pause = Pause::new(Duration::from_millis(10), Duration::from_secs(1));

/// What a session leaves to the next one of the same server.
struct Seen {
    state: State,
    known: Arc<BTreeMap<String, Version>>,
}

enum End {
    Unwatched,
    Failed(Failure),
}

impl From<Unwatched> for End {
    fn from(_: Unwatched) -> Self {
        Self::Unwatched
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

pub(super) fn watch(store: &PostgresFeatureFlagStore) -> Watch<'static> {
    let store = store.clone();
    feed_by_task(store.to_string(), move |events, lost| follow(store.clone(), EventSender::new(events, lost)))
}

async fn follow(store: PostgresFeatureFlagStore, mut events: EventSender) {
    let mut pause = PAUSE;
    let mut seen = None;
    loop {
        let began = Instant::now();
        let ended = session(&store, &mut events, seen.take()).await;
        if began.elapsed() > PAUSE.longest() {
            pause.reset();
        }
        match ended {
            // Changes are known in another way now, perhaps because the table is another one: the next session compares.
            Ok(left) => seen = left,
            Err(End::Unwatched) => return,
            Err(End::Failed(failure)) => {
                let error = store.error(failure);
                tracing::debug!(%store, %error, "changes of flags cannot be followed");
                if events.lose(error).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(pause.next()).await;
    }
}

async fn session(
    store: &PostgresFeatureFlagStore,
    events: &mut EventSender,
    seen: Option<Seen>,
) -> Result<Option<Seen>, End> {
    let link = &store.link;
    link.found().await?;
    let connection = open(&link.source, link.timeout).await?;
    let find = link.find_query();
    let found = found_in(&connection.rows(&find.text, &find.values, link.timeout).await?, &link.table)?;
    let found = found.ok_or_else(|| Failure::lost("the table is missing"))?;
    let names = Names::of(&link.table, &found.schema);
    let feed = ask_feed(&connection, &names, link.timeout).await?;
    let mut every = if feed.is_complete { store.poll_every / 4 } else { store.poll_every };
    if let Some(idle) = feed.idle {
        every = every.min(idle / 2);
    }
    let queries = Queries::new(&names, feed.is_complete);
    let mut session = Session {
        store,
        link,
        connection,
        names,
        queries,
        state: State::default(),
        known: Arc::default(),
        every,
        idle: feed.idle,
        proofs: PROOFS,
        checked: Instant::now(),
        fingerprint: None,
    };
    let read_at = Instant::now();
    let (state, flags) = session.load().await?;
    // The queries are for these.
    if state.triggers != feed.triggers {
        return Ok(seen);
    }
    session.start(events, seen, state, flags, read_at).await?;
    loop {
        // Either wakes it: a notification, the end of the connection, the time.
        let _ = timeout(session.every, session.connection.inbox.changed.notified()).await;
        if session.connection.is_closed() {
            return Err(Failure::lost("the connection was closed").into());
        }
        if !session.poll(events).await? {
            return Ok(Some(Seen { state: session.state, known: session.known }));
        }
    }
}

#[derive(Default)]
struct Feed {
    is_complete: bool,
    triggers: String,
    /// When the server ends an idle session.
    idle: Option<Duration>,
}

async fn ask_feed(connection: &Connection, names: &Names, limit: Duration) -> Result<Feed, Failure> {
    let rows = connection.rows(&readable(names), &[], limit).await?;
    let Some(row) = rows.first() else { return Ok(Feed::default()) };
    let readable: Option<bool> = row.try_get(0).map_err(Failure::Asking)?;
    let triggers: Option<String> = row.try_get(1).map_err(Failure::Asking)?;
    let idle: Option<String> = row.try_get(2).map_err(Failure::Asking)?;
    let idle = idle.and_then(|idle| idle.parse().ok()).filter(|idle| *idle > 0).map(Duration::from_millis);
    let triggers = triggers.unwrap_or_default();
    Ok(Feed { is_complete: readable == Some(true) && State::is_fed(&triggers), triggers, idle })
}

struct Session<'a> {
    store: &'a PostgresFeatureFlagStore,
    link: &'a Arc<Link>,
    connection: Connection,
    names: Names,
    queries: Queries,
    state: State,
    known: Arc<BTreeMap<String, Version>>,
    every: Duration,
    idle: Option<Duration>,
    /// How often it may still be tried whether notifications arrive.
    proofs: u32,
    /// When all rows were last compared, and their fingerprint then.
    checked: Instant,
    fingerprint: Option<(i64, Option<String>)>,
}

impl Session<'_> {
    async fn start(
        &mut self,
        events: &mut EventSender,
        seen: Option<Seen>,
        state: State,
        flags: Vec<Stored>,
        read_at: Instant,
    ) -> Result<(), End> {
        state.believable()?;
        let by = Updates::Poll { every: self.every };
        let confirmed = state.confirms(read_at, self.valid_for());
        match seen {
            None => {
                events.serving(self.store.identity(), Some(&state.server));
                self.known = Arc::new(versions(&flags));
                events.reset(flags, read_at, confirmed, by).await?;
            }
            Some(before) => {
                if let Since::Doubt(why) = state.since(&before.state) {
                    return Err(Failure::lost(why).into());
                }
                self.known = before.known;
                self.emit_all(flags, read_at, events).await?;
                events.following(by).await?;
            }
        }
        self.state = state;
        events.confirm(confirmed).await?;
        self.prove(events).await
    }

    /// Tries whether notifications arrive, if writers send them.
    async fn prove(&mut self, events: &mut EventSender) -> Result<(), End> {
        if self.proofs == 0 || !self.state.feed.as_ref().is_some_and(|feed| feed.notifies) {
            return Ok(());
        }
        self.proofs -= 1;
        if listen(self.link, &self.connection, &self.names).await? {
            self.proofs = 0;
            self.every = self.idle.map_or(self.store.poll_every, |idle| self.store.poll_every.min(idle / 2));
            events.following(Updates::Push).await?;
            // For what was written before.
            self.connection.inbox.changed.notify_one();
        }
        Ok(())
    }

    fn valid_for(&self) -> Duration {
        self.store.poll_every + self.link.timeout
    }

    /// All flags, read as they arrive.
    async fn load(&self) -> Result<(State, Vec<Stored>), Failure> {
        let limit = self.link.timeout;
        let rows = self.connection.within(limit, self.connection.stream(&self.queries.load, &[])).await?;
        let mut rows = std::pin::pin!(rows);
        let (mut state, mut flags) = (None, Vec::new());
        while let Some(row) = self.connection.within(limit, rows.try_next()).await? {
            match name_of(&row)? {
                None if state.is_none() => state = Some(State::read(&row)?),
                None => {}
                Some(name) => flags.push(stored(name, item_of(&row)?)),
            }
        }
        let state =
            state.ok_or_else(|| Failure::lost("the feed's clock has no row: `flipper postgres install` mends it"))?;
        Ok((state, flags))
    }

    /// `false`: changes are known in another way now.
    async fn poll(&mut self, events: &mut EventSender) -> Result<bool, End> {
        let is_fed = self.state.feed.is_some();
        let checks = is_fed && self.checked.elapsed() >= CHECK_EVERY;
        let after = self.state.feed.as_ref().map_or(0, |feed| feed.at);
        let values: &[Value] = if is_fed { &[(Box::new(after), Type::INT8)] } else { &[] };
        let query = if checks { &self.queries.check } else { &self.queries.poll };
        let asked = Instant::now();
        let rows = match self.connection.rows(query, values, self.link.timeout).await {
            // The feed's tables, if the table itself is there.
            Err(failure) if is_fed && (failure.is_missing() || failure.is_forbidden()) => return Ok(false),
            rows => rows?,
        };
        let Some((first, changed)) = rows.split_first() else { return Ok(false) };
        let state = State::read(first)?;
        state.believable()?;
        let all = match state.since(&self.state) {
            Since::Doubt(why) => return Err(Failure::lost(why).into()),
            Since::AnotherWay => return Ok(false),
            Since::All => true,
            Since::Listed => checks && self.differs(&state),
        };
        if !all {
            self.state = state;
            for row in changed {
                self.emit(row, asked, events).await?;
            }
        } else if !self.compare_all(events).await? {
            return Ok(false);
        }
        events.confirm(self.state.confirms(asked, self.valid_for())).await?;
        if checks {
            self.prove(events).await?;
        }
        Ok(true)
    }

    /// Whether rows have changed that the feed does not list. Where the feed has listed some, only a whole read shows.
    fn differs(&mut self, state: &State) -> bool {
        self.checked = Instant::now();
        let found = state.feed.as_ref().map(|feed| (feed.at, state.fingerprint.clone()));
        let before = std::mem::replace(&mut self.fingerprint, found.clone());
        before != found
    }

    /// `false`: changes are known in another way now.
    async fn compare_all(&mut self, events: &EventSender) -> Result<bool, End> {
        let read_at = Instant::now();
        let (state, flags) = self.load().await?;
        match state.since(&self.state) {
            Since::Doubt(why) => return Err(Failure::lost(why).into()),
            Since::AnotherWay => return Ok(false),
            Since::All | Since::Listed => {}
        }
        self.state = state;
        self.emit_all(flags, read_at, events).await?;
        Ok(true)
    }

    async fn emit_all(&mut self, flags: Vec<Stored>, read_at: Instant, events: &EventSender) -> Result<(), End> {
        for event in differences(&mut self.known, flags, read_at) {
            events.send(event).await?;
        }
        Ok(())
    }

    async fn emit(&mut self, row: &Row, read_at: Instant, events: &EventSender) -> Result<(), End> {
        let Some(name) = name_of(row)? else { return Ok(()) };
        let is_there: Option<bool> = row.try_get(3).map_err(Failure::Asking)?;
        let known = Arc::make_mut(&mut self.known);
        let flag = if is_there == Some(true) {
            let flag = stored(name, item_of(row)?);
            known.insert(name.to_owned(), flag.version.clone());
            Some(flag)
        } else {
            known.remove(name);
            None
        };
        Ok(events.emit_read(name.to_owned(), flag, read_at).await?)
    }
}

fn name_of(row: &Row) -> Result<Option<&str>, Failure> {
    row.try_get(0).map_err(Failure::Asking)
}

fn item_of(row: &Row) -> Result<Option<&[u8]>, Failure> {
    row.try_get(1).map_err(Failure::Asking)
}

/// Whether notifications arrive here. A pool that gives each transaction another connection accepts `LISTEN`, and forwards none to an idle
/// client: only one that another connection sends is a proof.
pub(super) async fn listen(link: &Arc<Link>, connection: &Connection, names: &Names) -> Result<bool, Failure> {
    let (channel, probe) = (names.channel(), format!("{PROBE}{:016x}", fastrand::u64(..)));
    let ask =
        |query: String| async move { connection.within(link.timeout, connection.client.batch_execute(&query)).await };
    match ask(format!("LISTEN {channel}; LISTEN {probe}")).await {
        Ok(()) => {}
        // Such as a standby.
        Err(failure) if failure.is_read_only() || !failure.ends_connection() => return Ok(false),
        Err(failure) => return Err(failure),
    }
    let notify = Query::read("SELECT pg_notify($1, '')", vec![(Box::new(probe.clone()), Type::TEXT)]);
    let proven = match link.ask(&notify).await {
        Ok(_) => timeout(PROOF, connection.inbox.proven.notified()).await.is_ok(),
        Err(_) => false,
    };
    ask(match proven {
        true => format!("UNLISTEN {probe}"),
        false => format!("UNLISTEN {probe}; UNLISTEN {channel}"),
    })
    .await?;
    Ok(proven)
}
