//! The last known flags in a file, for a process that starts while its store is unreachable.
//!
//! The file is a line, `flipper-snapshot 2 SHA1`, and JSON with that checksum: the store's `Display`, a digest of its place, the time of
//! the last sync in Unix seconds, and each flag's name, version (a number, or bytes in hexadecimal) and record. Unreadable flags are left
//! out.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::future::{Either, select};
use sha1::{Digest, Sha1};
use tokio::time::{sleep, timeout};

use crate::identity::Identity;
use crate::json::{Json, Object};
use crate::state::{Stored, Version};
use crate::table::FlagTable;

const HEAD: &str = "flipper-snapshot 2 ";
/// Larger files are neither written nor read.
const MAX_SIZE: usize = 64 * 1024 * 1024;
/// Changes within it are written together.
const DEBOUNCE: Duration = Duration::from_secs(1);
/// Without changes, so that the file shows about when the flags were current.
const REFRESH: Duration = Duration::from_secs(300);
const RETRY: Duration = Duration::from_secs(30);
/// Older temporary files are of a process that was killed.
const LEFT_BEHIND: Duration = Duration::from_secs(600);

#[derive(Debug)]
pub(crate) struct LastKnown {
    pub(crate) flags: Vec<Stored>,
    /// When they were the store's.
    pub(crate) synced: SystemTime,
    /// Later than the last confirmation in the file.
    pub(crate) saved: SystemTime,
}

#[derive(Clone, Debug)]
pub(crate) struct SnapshotFile {
    path: PathBuf,
    store: String,
    /// Of the identity's place, which may be confidential.
    place: String,
}

impl SnapshotFile {
    /// A file of another place is not read.
    pub(crate) fn new(path: PathBuf, store: String, identity: &Identity) -> Self {
        Self { path, store, place: digest(identity.place().as_bytes()) }
    }

    /// `None` if it is missing, or, with a warning, invalid.
    pub(crate) fn load(&self) -> Option<LastKnown> {
        match self.read() {
            Ok(known) => Some(known),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "the snapshot file of the flags is ignored");
                None
            }
        }
    }

    fn read(&self) -> io::Result<LastKnown> {
        let mut text = Vec::new();
        File::open(&self.path)?.take(MAX_SIZE as u64 + 1).read_to_end(&mut text)?;
        if text.len() > MAX_SIZE {
            return Err(io::Error::other(format!("it is larger than {MAX_SIZE} bytes")));
        }
        let end = text.iter().position(|byte| *byte == b'\n').ok_or_else(|| invalid("it has no first line"))?;
        let (head, body) = (&text[..end], &text[end + 1..]);
        let sum =
            head.strip_prefix(HEAD.as_bytes()).ok_or_else(|| invalid("it is no snapshot, or of another version"))?;
        if sum != digest(body).as_bytes() {
            return Err(invalid("its checksum is wrong"));
        }
        let body = Json::from_slice(body).map_err(io::Error::other)?;
        self.parse(&body)
    }

    fn parse(&self, body: &Json) -> io::Result<LastKnown> {
        let text = |key| body.get(key).and_then(Json::as_str).unwrap_or_default();
        if text("place") != self.place {
            let store = text("store");
            return Err(invalid(match store == self.store {
                true => format!(
                    "it has the flags of a {store} at another address, in another database or of another datacenter"
                ),
                false => format!("it has the flags of {store}, not of {}", self.store),
            }));
        }
        let time = |key| {
            let seconds = u64::try_from(body.get(key).and_then(Json::as_i64)?).ok()?;
            Some(UNIX_EPOCH.checked_add(Duration::from_secs(seconds))?.min(SystemTime::now()))
        };
        let flags = body.get("flags").and_then(Json::as_array).map(|flags| flags.iter().map(parse_flag).collect());
        match (time("synced"), flags) {
            (Some(synced), Some(Some(flags))) => {
                Ok(LastKnown { flags, synced, saved: time("saved").unwrap_or(synced) })
            }
            _ => Err(invalid("its fields are not those of a snapshot")),
        }
    }

    /// Atomically.
    pub(crate) fn save(&self, flags: &[Stored], synced: SystemTime) -> io::Result<()> {
        let mut body = Object::new();
        body.insert("store", self.store.as_str());
        body.insert("place", self.place.as_str());
        let seconds = |time: SystemTime| {
            i64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()).unwrap_or(i64::MAX)
        };
        body.insert("synced", seconds(synced));
        body.insert("saved", seconds(SystemTime::now()));
        body.insert("flags", flags.iter().filter_map(flag_to_json).collect::<Vec<_>>());
        let body = Json::Object(body).to_string();
        if HEAD.len() + 41 + body.len() > MAX_SIZE {
            return Err(io::Error::other(format!("the flags would take more than {MAX_SIZE} bytes")));
        }
        let head = format!("{HEAD}{}\n", digest(body.as_bytes()));
        self.replace(&[head.as_bytes(), body.as_bytes()])
    }

    fn replace(&self, parts: &[&[u8]]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let temporary = self.temporary(&format!("{}-{count}", std::process::id()));
        let written = (|| {
            let mut file = new_file(&temporary)?;
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()?;
            fs::rename(&temporary, &self.path)
        })();
        if written.is_err() {
            // Only the error of the write matters.
            let _ = fs::remove_file(&temporary);
            return written;
        }
        // Without it a power failure may undo the rename. Not every system can do it; then the old file is whole.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }

    fn temporary(&self, unique: &str) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{unique}.tmp"));
        name.into()
    }

    fn tidy(&self) {
        let pattern = self.temporary("");
        let (Some(folder), Some(pattern)) = (self.path.parent(), pattern.file_name().and_then(|name| name.to_str()))
        else {
            return;
        };
        let Some(prefix) = pattern.strip_suffix(".tmp") else { return };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let ours = name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(".tmp"));
            let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
            if ours && age().is_some_and(|age| age > LEFT_BEHIND) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Keeps the file current with the table, and writes it once more when `closed`. `synced`: when the table was last known to be current;
/// while it is `None`, the file is better and is not written.
pub(crate) async fn keep(
    file: SnapshotFile,
    table: Arc<FlagTable>,
    synced: impl Fn() -> Option<SystemTime>,
    closed: impl Future<Output = ()>,
) {
    let mut closed = pin!(closed);
    let (_, mut changes) = table.snapshot_and_changes();
    // Flags that arrived before cause no write.
    let mut dirty = true;
    let mut failed = false;
    let mut tidied = false;
    loop {
        let mut over = false;
        if failed || !dirty || synced().is_none() {
            let wait = if failed || dirty { RETRY } else { REFRESH };
            let changed = pin!(timeout(wait, async {
                // Further changes trigger no other attempt.
                if failed {
                    std::future::pending::<()>().await;
                }
                let _ = changes.recv().await;
            }));
            over = matches!(select(closed.as_mut(), changed).await, Either::Left(_));
        }
        if !over {
            over = matches!(select(closed.as_mut(), pin!(sleep(DEBOUNCE))).await, Either::Left(_));
        }
        // The next write includes all changes up to here.
        changes = changes.resubscribe();
        dirty = true;
        if let Some(synced) = synced() {
            let (file, table) = (file.clone(), table.clone());
            let tidy = !std::mem::replace(&mut tidied, true);
            let path = file.path.clone();
            let saved = tokio::task::spawn_blocking(move || {
                if tidy {
                    file.tidy();
                }
                file.save(&table.list(), synced)
            });
            let saved = saved.await.unwrap_or_else(|panic| Err(io::Error::other(panic)));
            if let (Err(error), false) = (&saved, failed) {
                tracing::warn!(path = %path.display(), %error, "the snapshot file of the flags cannot be written");
            }
            failed = saved.is_err();
            dirty = failed;
        }
        if over {
            return;
        }
    }
}

fn flag_to_json(flag: &Stored) -> Option<Json> {
    let record = flag.record.as_ref().ok()?;
    let mut fields = Object::new();
    fields.insert("name", flag.name.as_str());
    match flag.version.as_ordered() {
        Some(number) => fields.insert("version", i64::try_from(number).ok()?),
        None => fields.insert("version", flag.version.opaque_hex()),
    };
    fields.insert("record", record.to_json());
    Some(fields.into())
}

fn parse_flag(fields: &Json) -> Option<Stored> {
    let version = fields.get("version")?;
    let version = match version.as_str() {
        Some(text) => Version::opaque(unhex(text)?),
        None => Version::ordered(u64::try_from(version.as_i64()?).ok()?),
    };
    let flag = Stored::from_json(fields.get("name")?.as_str()?, version, fields.get("record")?.as_str()?.as_bytes());
    flag.record.is_ok().then_some(flag)
}

fn digest(bytes: &[u8]) -> String {
    Version::opaque(Sha1::digest(bytes)).opaque_hex()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?)).collect()
}

/// Readable by the owner only: client data may be confidential.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn invalid(message: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message.into())
}
