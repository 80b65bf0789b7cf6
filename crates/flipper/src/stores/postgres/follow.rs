//! Follows the table on a connection of its own: by the feed if it is installed, else by the fingerprint of all rows. Writes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::time::timeout;
use tokio_postgres::types::Type;
use tokio_postgres::{Row, Statement};

use super::PostgresFeatureFlagStore;
use super::changes::{BRIEF, Changes, items_of, number_of};
use super::connection::{Connection, Value};
use super::errors::Failure;
use super::link::Link;
use super::loading::{First, begin, load};
use super::own_writes::TOGETHER;
use super::state::{Since, State};
use super::table::stored;
use super::ways::{Feed, find, find_feed, listen};
use crate::pause::Pause;
use crate::state::{Stored, Updates, Version, Watch};
use crate::store::{FeatureFlagStore, differences};
use crate::stores::event_sender::{EventSender, Unwatched};
use crate::stores::feed::feed_by_task;

/// For what the feed cannot list, such as writers in replication, and for rows that change without a transaction of the server.
const CHECK_EVERY: Duration = Duration::from_secs(30);
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
    let First { connection, state, flags, mut read_at, is_one_snapshot } = begin(link).await?;
    state.believable()?;
    let (mut flags, mut versions) = (Some(flags), Vec::new());
    if seen.is_none()
        && let Some(flags) = flags.take()
    {
        // The flags are served before it is known how they change, and before they are sorted.
        versions.extend(flags.iter().map(|flag| (flag.name.clone(), flag.version.clone())));
        let confirmed = state.confirms(read_at, store.poll_every + link.timeout);
        events.serving(store.identity(), Some(&state.server));
        events.reset(flags, read_at, confirmed, Updates::Poll { every: store.poll_every }).await?;
    }
    let feed = find_feed(&connection, link).await?;
    let before = seen.unwrap_or_else(|| Seen { state, known: Arc::new(versions.into_iter().collect()) });
    let state = if is_one_snapshot {
        let rows = connection.rows(&feed.queries.state, &[], link.timeout).await?;
        connection.run("COMMIT", link.timeout).await?;
        State::of(rows.first())?
    } else {
        read_at = Instant::now();
        let (state, all) = load(&connection, &feed.queries.load, link.timeout).await?;
        flags = Some(all);
        state
    };
    if let Since::Doubt(why) = state.since(&before.state) {
        return Err(Failure::lost(why).into());
    }
    let mut session = Session {
        store,
        link,
        connection,
        every: feed.no_longer_than_idle(if feed.is_complete { store.poll_every / 4 } else { store.poll_every }),
        feed,
        own: None,
        commits: None,
        commits_refused: false,
        is_quiet: false,
        state,
        known: before.known,
        proofs: PROOFS,
        whole: Instant::now(),
        checked: Instant::now(),
        fingerprint: None,
        last_at: None,
    };
    session.start(events, flags, read_at).await?;
    loop {
        // Either wakes it: a notification, the end of the connection, the time.
        let changed = &session.connection.inbox.changed;
        let left = session.every.saturating_sub(session.whole.elapsed());
        let is_notified = timeout(left, changed.notified()).await.is_ok();
        if is_notified && link.own_writes.are_recent() {
            tokio::time::sleep(TOGETHER).await;
            // Of those that came meanwhile.
            let _ = changed.notified().now_or_never();
        }
        if session.connection.is_closed() {
            return Err(Failure::lost("the connection was closed").into());
        }
        if !session.poll(is_notified, events).await? {
            return Ok(Some(Seen { state: session.state, known: session.known }));
        }
    }
}

struct Session<'a> {
    store: &'a PostgresFeatureFlagStore,
    link: &'a Arc<Link>,
    connection: Connection,
    feed: Feed,
    /// Where notifications arrive.
    own: Option<Own>,
    /// What the server had committed before the last poll.
    commits: Option<String>,
    /// The server has refused to say it.
    commits_refused: bool,
    /// No transaction ended between the last two polls by the feed.
    is_quiet: bool,
    state: State,
    known: Arc<BTreeMap<String, Version>>,
    every: Duration,
    /// How often it may still be tried whether notifications arrive.
    proofs: u32,
    /// When the last poll was sent that was not brief, or that showed that no transaction has ended.
    whole: Instant,
    /// When all rows were last compared, and their fingerprint then.
    checked: Instant,
    fingerprint: Option<(i64, Option<String>)>,
    /// When the last known change was made: another one with its number is of another history. Unknown until it is read once.
    last_at: Option<String>,
}

/// What stays prepared in a session of our own: planning takes longer than running.
struct Own {
    commits: Statement,
    feed: Option<Polls>,
}

/// By the feed.
struct Polls {
    whole: Statement,
    brief: Statement,
}

impl Session<'_> {
    async fn start(
        &mut self,
        events: &mut EventSender,
        flags: Option<Vec<Stored>>,
        read_at: Instant,
    ) -> Result<(), End> {
        self.state.believable()?;
        if let Some(flags) = flags {
            self.emit_all(flags, read_at, events).await?;
        }
        events.following(Updates::Poll { every: self.every }).await?;
        events.confirm(self.state.confirms(read_at, self.valid_for())).await?;
        if self.state.feed.is_some() { self.prove(events).await } else { Ok(()) }
    }

    /// Tries whether notifications arrive, unless writers shall send none. Where they arrive from a primary and a standby answers, it is not the same server.
    /// It ends a transaction, after which who compares rows does so once: a follower without the feed, which gains less, waits until it has been there
    /// for a while.
    async fn prove(&mut self, events: &mut EventSender) -> Result<(), End> {
        let notifies = self.state.feed.as_ref().map(|feed| feed.notifies);
        if self.proofs == 0 || notifies == Some(false) || self.state.is_of_standby() {
            return Ok(());
        }
        self.proofs -= 1;
        let channel = notifies.map(|_| self.feed.names.channel());
        if !listen(self.link, &self.connection, channel.as_deref()).await? {
            return Ok(());
        }
        self.proofs = 0;
        self.prepare().await?;
        if channel.is_some() {
            self.every = self.feed.no_longer_than_idle(self.store.poll_every);
            events.following(Updates::Push).await?;
            // For what was written before.
            self.connection.inbox.changed.notify_one();
        }
        Ok(())
    }

    async fn prepare(&mut self) -> Result<(), Failure> {
        let (connection, queries, limit) = (&self.connection, &self.feed.queries, self.link.timeout);
        let commits = async {
            let commits = connection.prepare(&queries.commits, limit).await?;
            connection.prepared_rows(&commits, &[], limit).await.map(|_| commits)
        };
        let commits = match commits.await {
            // Then so may the polls be that have it.
            Err(failure) if failure.is_servers() => {
                self.commits_refused = failure.is_refused();
                return Ok(());
            }
            commits => commits?,
        };
        let feed = match &queries.brief {
            Some(brief) => Some(Polls {
                whole: connection.prepare(&queries.poll_primary, limit).await?,
                brief: connection.prepare(brief, limit).await?,
            }),
            None => None,
        };
        self.own = Some(Own { commits, feed });
        Ok(())
    }

    fn valid_for(&self) -> Duration {
        self.store.poll_every + self.link.timeout
    }

    /// `false`: changes are known in another way now.
    async fn poll(&mut self, is_notified: bool, events: &mut EventSender) -> Result<bool, End> {
        let is_fed = self.state.feed.is_some();
        let is_due = self.checked.elapsed() >= CHECK_EVERY;
        let checks = is_fed && is_due;
        let after = self.state.feed.as_ref().map_or(0, |feed| feed.at);
        // The second shows the planner, of one plan for all values, that few rows are between them.
        let values: &[Value] =
            if is_fed { &[(Box::new(after), Type::INT8), (Box::new(i64::MAX), Type::INT8)] } else { &[] };
        let asked = Instant::now();
        if !is_due && !is_notified && self.is_unchanged().await? {
            self.whole = asked;
            events.confirm(self.state.confirms(asked, self.valid_for())).await?;
            return Ok(true);
        }
        if !is_due && is_notified && self.poll_briefly(after, asked, events).await? {
            return Ok(true);
        }
        let prepared = self.own.as_ref().and_then(|own| own.feed.as_ref()).filter(|_| !checks);
        let is_prepared = prepared.is_some();
        let rows = match prepared {
            Some(polls) => self.connection.prepared_rows(&polls.whole, values, self.link.timeout).await,
            None => {
                let query = if checks { &self.feed.queries.check } else { &self.feed.queries.poll };
                self.connection.rows(query, values, self.link.timeout).await
            }
        };
        let rows = match rows {
            // The feed's tables, if the table itself is there.
            Err(failure) if is_fed && (failure.is_missing() || failure.is_forbidden()) => return Ok(false),
            Err(failure) if is_prepared && failure.is_outdated_plan() => return Ok(false),
            rows => rows?,
        };
        let Some((first, changed)) = rows.split_first() else { return Ok(false) };
        if number_of(first)?.is_some() {
            // The clock's row is gone, and so the state.
            return Ok(false);
        }
        let mut state = State::read(first)?;
        state.believable()?;
        self.whole = asked;
        if is_prepared {
            if state.snapshot.is_none() {
                // A standby answers now, as through a proxy.
                return Ok(false);
            }
            self.is_quiet = state.snapshot == self.state.snapshot;
        }
        let changes = Changes::of(changed, after)?;
        if let Some(feed) = &mut state.feed {
            feed.at = changes.last.0.max(after);
        }
        // Without the feed each poll compares all rows.
        if is_due || !is_fed {
            self.checked = asked;
        }
        let all = match state.since(&self.state) {
            Since::Doubt(why) => return Err(Failure::lost(why).into()),
            Since::AnotherWay => return Ok(false),
            Since::All => true,
            Since::Listed => is_fed && changes.known.is_none() || checks && self.differs(&state),
        };
        if self.last_at.is_some() && changes.known.is_some() && self.last_at != changes.known {
            return Err(Failure::lost("the last change is another one than it was").into());
        }
        if !all {
            self.state = state;
            self.emit_changes(changes, asked, events).await?;
        } else if !self.compare_all(events).await? {
            return Ok(false);
        }
        events.confirm(self.state.confirms(asked, self.valid_for())).await?;
        if is_due {
            self.prove(events).await?;
        }
        Ok(true)
    }

    /// Of the few changes that follow the last one known: it takes the server a third less. `false`: only a whole one shows what happened. It confirms
    /// nothing, as it does not see triggers that are gone; a whole one comes as soon as without it.
    async fn poll_briefly(&mut self, after: i64, asked: Instant, events: &EventSender) -> Result<bool, End> {
        let polls = self.own.as_ref().and_then(|own| own.feed.as_ref());
        let Some(polls) = polls.filter(|_| self.whole.elapsed() < self.every) else { return Ok(false) };
        let values: [Value; 2] = [(Box::new(after), Type::INT8), (Box::new(after + 1 + BRIEF), Type::INT8)];
        let rows = match self.connection.prepared_rows(&polls.brief, &values, self.link.timeout).await {
            Err(failure) if failure.is_servers() => return Ok(false),
            rows => rows?,
        };
        let Some((first, changed)) = rows.split_first() else { return Ok(false) };
        if !self.state.continues(first)? {
            return Ok(false);
        }
        let changes = Changes::of(changed, after)?;
        let is_next = changes.are_all_since(after) && (self.last_at.is_none() || self.last_at == changes.known);
        let Some(feed) = self.state.feed.as_mut().filter(|_| is_next) else { return Ok(false) };
        feed.at = changes.last.0;
        self.is_quiet = false;
        self.emit_changes(changes, asked, events).await?;
        Ok(true)
    }

    async fn emit_changes(&mut self, changes: Changes<'_>, read_at: Instant, events: &EventSender) -> Result<(), End> {
        self.last_at = changes.last.1.or(changes.known);
        for (name, row) in changes.flags {
            self.emit(name, row, read_at, events).await?;
        }
        Ok(())
    }

    /// Whether no transaction has ended on this server since the last poll, and it is the same table: then the rows of a logged local table, its
    /// triggers and rights are as they were. A poll by the feed takes some times as long, and one that compares all rows much longer.
    async fn is_unchanged(&mut self) -> Result<bool, Failure> {
        if self.commits_refused || self.state.is_of_standby() {
            return Ok(false);
        }
        let is_fed = self.state.feed.is_some();
        let asked = match &self.own {
            // Where transactions end all the time it would be a second question each time.
            Some(Own { feed: Some(_), .. }) if !self.is_quiet => return Ok(false),
            Some(own) => self.connection.prepared_rows(&own.commits, &[], self.link.timeout).await,
            None => self.connection.rows(&self.feed.queries.commits, &[], self.link.timeout).await,
        };
        let rows = match asked {
            // Such as one without that function, or without the right to call it: rows can be compared all the same.
            Err(failure) if failure.is_servers() => {
                self.commits_refused = failure.is_refused();
                if failure.is_outdated_plan() && !is_fed {
                    self.own = None;
                }
                return Ok(false);
            }
            rows => rows?,
        };
        let commits: Option<String> = rows.first().map_or(Ok(None), |row| row.try_get(0)).map_err(Failure::Asking)?;
        let before = std::mem::replace(&mut self.commits, commits);
        Ok(before.is_some() && before == self.commits)
    }

    /// Whether rows have changed that the feed does not list. Where the feed has listed some, only a whole read shows.
    fn differs(&mut self, state: &State) -> bool {
        let found = state.feed.as_ref().map(|feed| (feed.at, state.fingerprint.clone()));
        let before = std::mem::replace(&mut self.fingerprint, found.clone());
        before != found
    }

    /// `false`: changes are known in another way now.
    async fn compare_all(&mut self, events: &EventSender) -> Result<bool, End> {
        let read_at = Instant::now();
        let (state, flags) = load(&self.connection, &self.feed.queries.load, self.link.timeout).await?;
        match state.since(&self.state) {
            Since::Doubt(why) => return Err(Failure::lost(why).into()),
            Since::AnotherWay => return Ok(false),
            Since::All | Since::Listed => {}
        }
        // Perhaps it was installed again, by another version.
        if let Some(found) = find(&self.connection, self.link).await? {
            self.link.see(Some(&found));
        }
        self.state = state;
        self.last_at = None;
        self.emit_all(flags, read_at, events).await?;
        Ok(true)
    }

    async fn emit_all(&mut self, flags: Vec<Stored>, read_at: Instant, events: &EventSender) -> Result<(), End> {
        for event in differences(&mut self.known, flags, read_at) {
            events.send(event).await?;
        }
        Ok(())
    }

    async fn emit(&mut self, name: &str, row: &Row, read_at: Instant, events: &EventSender) -> Result<(), End> {
        let items = items_of(row)?;
        let known = Arc::make_mut(&mut self.known);
        let flag = if let Some(item) = items.unwrap_or_default().pop() {
            let flag = stored(name, item);
            known.insert(name.to_owned(), flag.version.clone());
            Some(flag)
        } else {
            known.remove(name);
            None
        };
        Ok(events.emit_read(name.to_owned(), flag, read_at).await?)
    }
}
