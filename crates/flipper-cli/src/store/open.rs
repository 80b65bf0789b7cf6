use std::fs;
use std::path::Path;
use std::sync::Arc;

use flipper::client::Remote;
use flipper::history::Cause;
use flipper::store::{Precondition, Stored, WriteOptions};
use flipper::stores::StoreKind;
use flipper::targeting::segment_of;
use flipper::{
    Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
    PostgresFeatureFlagStore, ReplicatedFeatureFlagStore, SqliteFeatureFlagStore,
};

use tokio::sync::OnceCell;

use super::{Kind, Location};
use crate::failure::{Done, Failure};
use crate::suggest;
use crate::text::quoted;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Read and change existing flags. A file must exist: a mistyped path would otherwise look like a store without flags.
    Existing,
    /// Create flags; a missing file is created.
    New,
    /// Dry run; a missing file counts as empty and is not created.
    Rehearsal,
}

pub(crate) struct Store {
    pub(crate) shown: String,
    pub(crate) inner: Arc<dyn FeatureFlagStore>,
    pub(crate) cause: Arc<Cause>,
    names: OnceCell<Vec<String>>,
    /// Which `inner` does not have yet.
    replicas: Vec<Location>,
}

pub(crate) type Replicated = ReplicatedFeatureFlagStore<Arc<dyn FeatureFlagStore>, Arc<dyn FeatureFlagStore>>;

impl Store {
    /// Of a store with replicas the primary: a command that only reads copies nothing.
    pub(crate) fn open(location: &Location, purpose: Purpose) -> Done<Self> {
        let inner = open(location, purpose)?;
        let (shown, replicas) = (location.shown.clone(), location.replicas.clone());
        Ok(Self { shown, inner, cause: Arc::default(), names: OnceCell::new(), replicas })
    }

    /// With its replicas, if it has some: they get what the primary has, and what is written.
    pub(crate) fn replicated(mut self) -> Done<(Self, Option<Replicated>)> {
        if self.replicas.is_empty() {
            return Ok((self, None));
        }
        let mut store = ReplicatedFeatureFlagStore::builder(self.inner);
        for replica in self.replicas.drain(..) {
            store = store.replica(open(&replica, Purpose::New)?);
        }
        let store = store.build();
        self.inner = Arc::new(store.clone());
        Ok((self, Some(store)))
    }

    /// With this cause for all that is written.
    pub(crate) fn caused_by(self, cause: Arc<Cause>) -> Self {
        Self { cause, ..self }
    }

    /// A client whose every call asks the store.
    pub(crate) fn client(&self) -> FeatureFlagClient<Remote> {
        FeatureFlagClient::remote(self.inner.clone()).with_cause(self.cause.clone())
    }

    /// For writes by `inner`.
    pub(crate) fn options(&self, when: Precondition) -> WriteOptions {
        WriteOptions::from(when).with_cause(self.cause.clone())
    }

    pub(crate) fn failure(&self, error: &Error) -> Failure {
        Failure::of(error, &self.shown)
    }

    /// All flags and segments.
    pub(crate) async fn list(&self) -> Done<Vec<Stored>> {
        self.inner.list().await.map_err(|error| self.failure(&error))
    }

    /// All flags, without segments.
    pub(crate) async fn flags(&self) -> Done<Vec<Stored>> {
        let mut all = self.list().await?;
        all.retain(|flag| !is_segment(flag));
        Ok(all)
    }

    pub(crate) async fn record(&self, name: &str) -> Done<Arc<FlagRecord>> {
        match self.client().fetch(name).await {
            Ok(Some(record)) => Ok(record),
            Ok(None) => Err(self.no_such_flag(name).await),
            Err(error) => Err(self.failure(&error)),
        }
    }

    /// The failure of a call about one flag. A missing flag adds a suggestion.
    pub(crate) async fn failure_with(&self, error: &Error, name: &str) -> Failure {
        match error.kind() {
            ErrorKind::FlagNotFound => self.no_such_flag(name).await,
            _ => self.failure(error),
        }
    }

    /// The same for a write, whose outcome is unknown if no answer came.
    pub(crate) async fn write_failure(&self, error: &Error, name: &str) -> Failure {
        let failure = self.failure_with(error, name).await;
        if error.kind() != ErrorKind::Unavailable || error.nothing_written() {
            return failure;
        }
        let name = quoted(name);
        failure.hint(format!(
            "it is unknown whether {name} was changed; `flipper get {name}` shows it once the store answers"
        ))
    }

    pub(crate) async fn no_such_flag(&self, name: &str) -> Failure {
        let failure = Failure::no_such_flag(name, &self.shown);
        let names = async { Ok(self.inner.list().await?.into_iter().map(|flag| flag.name).collect()) };
        let names: flipper::Result<&Vec<String>> = self.names.get_or_try_init(|| names).await;
        let Ok(names) = names else { return failure };
        let names: Vec<_> = names.iter().filter(|name| segment_of(name).is_none()).collect();
        match suggest::like(name, names.iter().map(|name| name.as_str())) {
            Some(like) => failure.hint(format!("did you mean {}?", quoted(like))),
            None if names.is_empty() => failure.hint(format!(
                "there are no flags at all; is it the right store? `flipper create {}` makes it",
                quoted(name)
            )),
            None => {
                failure.hint(format!("`flipper list` shows all flags, and `flipper create {}` makes it", quoted(name)))
            }
        }
    }

    pub(crate) async fn no_such_segment(&self, segment: &str) -> Failure {
        let failure = Failure::no_such_segment(segment, &self.shown);
        let Ok(all) = self.inner.list().await else { return failure };
        match suggest::like(segment, all.iter().filter_map(|flag| segment_of(&flag.name))) {
            Some(like) => failure.hint(format!("did you mean {}?", quoted(like))),
            None => failure.hint(format!("`flipper segment set {} 'WHEN'` makes it", quoted(segment))),
        }
    }
}

/// Whether it is a segment, which is stored beside the flags.
pub(crate) fn is_segment(stored: &Stored) -> bool {
    stored.record.as_ref().is_ok_and(|record| record.segment().is_some())
}

fn open(location: &Location, purpose: Purpose) -> Done<Arc<dyn FeatureFlagStore>> {
    let opened: flipper::Result<Arc<dyn FeatureFlagStore>> = match &location.kind {
        Kind::Memory => {
            return Err(Failure::usage("memory: is a store within one process, and this one would end with it")
                .hint("for a try, take a file: sqlite:flags.db"));
        }
        Kind::Sqlite(path) if purpose == Purpose::Rehearsal && !path.exists() => {
            return Ok(Arc::new(MemoryFeatureFlagStore::new()));
        }
        Kind::Sqlite(path) => {
            prepare_file(path, &location.shown, purpose)?;
            // `flipper::open` takes a URL, and the file's name need not be UTF-8.
            SqliteFeatureFlagStore::new(path).map(|store| Arc::new(store) as _)
        }
        // A mistyped table would otherwise look like one without flags.
        Kind::Remote if is_postgres(&location.url) && purpose != Purpose::New => {
            PostgresFeatureFlagStore::from_url(&location.url).map(|store| Arc::new(store.create_table(false)) as _)
        }
        Kind::Remote => flipper::open(&location.url),
    };
    opened.map_err(|error| Failure::of(&error, &location.shown))
}

fn is_postgres(url: &str) -> bool {
    StoreKind::of(url).is_some_and(|kind| kind.feature == "postgres")
}

fn prepare_file(path: &Path, shown: &str, purpose: Purpose) -> Done {
    if path.exists() {
        return Ok(());
    }
    if purpose != Purpose::New {
        let failure = Failure::store(format!("there is no file {}", shown.trim_start_matches("sqlite:")));
        return Err(match path.to_string_lossy() {
            path if path.starts_with('~') => {
                failure.hint("after `sqlite:` the shell leaves ~ as it is; write the whole path")
            }
            _ => failure.hint("`flipper create NAME` and `flipper import` make it; or is it the wrong path?"),
        });
    }
    // Creates the directory of the default file only: any other missing directory is likely a mistyped path.
    if path.ends_with("flipper/flags.db")
        && let Some(folder) = path.parent()
    {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::store(format!("the folder of {shown} cannot be made: {error}")))?;
    }
    Ok(())
}
