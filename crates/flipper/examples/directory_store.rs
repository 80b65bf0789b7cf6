//! A store of your own: a folder with one JSON file for each flag, which several processes may share.
//!
//! `cargo run --example directory_store`; `tests/custom_store.rs` proves it with the conformance suite.
#![allow(clippy::print_stdout, reason = "an example prints what it does")]

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind as Io, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use flipper::store::{Precondition, Stored, Version, Watch, WriteOptions, validate_name, watch_by_polling};
use flipper::{Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, Result};
use tokio::sync::oneshot;

const POLL_EVERY: Duration = Duration::from_millis(100);
const LOCK_TIMEOUT: Duration = Duration::from_secs(5);

/// The most characters of an escaped name that go into one file name; file systems allow 255.
const PART: usize = 200;

/// Keeps each flag in a JSON file of its own. Needs a case-sensitive file system.
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    folder: PathBuf,
}

impl DirectoryStore {
    /// The flags in this folder, which is made if it is not there.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let store = Self { folder: folder.into() };
        fs::create_dir_all(&store.folder).map_err(|error| store.error(error))?;
        Ok(store)
    }

    /// Does blocking work on a thread of its own, to its end, even if the future is dropped.
    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&Self) -> Result<T> + Send + 'static) -> Result<T> {
        let (done, result) = oneshot::channel();
        let store = self.clone();
        thread::Builder::new()
            // A caller who dropped the call has no use for the result.
            .spawn(move || done.send(work(&store)).map_err(drop))
            .map_err(|error| self.error(error))?;
        result.await.map_err(|gone| Error::new(ErrorKind::Unavailable).with_store(self).with_source(gone))?
    }

    /// One writer at a time, among all processes: what a precondition says must be true until the write is in.
    fn lock(&self) -> Result<File> {
        let file = File::create(self.folder.join(".lock")).map_err(|error| self.error(error))?;
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => thread::sleep(Duration::from_millis(1)),
                Err(error) => return Err(self.error(error.into())),
            }
        }
    }

    /// Writes, or deletes, under the lock.
    fn write(&self, name: &str, when: &Precondition, text: Option<String>) -> Result<Version> {
        let _held_until_the_end = self.lock()?;
        let place = |error: Error| error.with_flag(name);
        let current = self.read(name)?.map(|stored| stored.version);
        if !when.holds(current.as_ref()) {
            return Err(place(Error::new(ErrorKind::Conflict).with_store(self)));
        }
        match text {
            Some(text) => self.replace(name, text.as_bytes()).map_err(|error| place(self.error(error)))?,
            None if current.is_none() => {}
            None => fs::remove_file(self.path(name)).map_err(|error| place(self.error(error)))?,
        }
        Ok(version(&self.read_bytes(name)?.unwrap_or_default()))
    }

    /// A reader sees the old file or the new one, never half of it.
    fn replace(&self, name: &str, text: &[u8]) -> io::Result<()> {
        let (path, new) = (self.path(name), self.folder.join(".new"));
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let mut file = File::create(&new)?;
        file.write_all(text)?;
        file.sync_data()?;
        fs::rename(new, path)
    }

    fn read(&self, name: &str) -> Result<Option<Stored>> {
        // A value that is no flag is that flag's problem alone: `from_json` sees to it.
        Ok(self.read_bytes(name)?.map(|bytes| Stored::from_json(name, version(&bytes), &bytes)))
    }

    fn read_bytes(&self, name: &str) -> Result<Option<Vec<u8>>> {
        if validate_name(name).is_err() {
            return Ok(None);
        }
        match fs::read(self.path(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == Io::NotFound => Ok(None),
            Err(error) => Err(self.error(error).with_flag(name)),
        }
    }

    fn read_all(&self, folder: &Path, before: &str, flags: &mut Vec<Stored>) -> Result<()> {
        for entry in fs::read_dir(folder).map_err(|error| self.error(error))? {
            let entry = entry.map_err(|error| self.error(error))?;
            let file = entry.file_name();
            let Some(file) = file.to_str() else { continue };
            if let Some(part) = file.strip_suffix(".json") {
                // Deleted since the folder was read: not there.
                if let Some(name) = unescape(&format!("{before}{part}")) {
                    flags.extend(self.read(&name)?);
                }
            } else if let Some(part) = file.strip_suffix('+') {
                self.read_all(&entry.path(), &format!("{before}{part}"), flags)?;
            }
        }
        Ok(())
    }

    /// `CHECKOUT.json`; a name too long for a file's goes on in a folder: `AAAA…+/…AAAA.json`.
    fn path(&self, name: &str) -> PathBuf {
        let escaped = escape(name);
        let mut path = self.folder.clone();
        let mut rest = escaped.as_str();
        while rest.len() > PART {
            let (part, after) = rest.split_at(PART);
            path.push(format!("{part}+"));
            rest = after;
        }
        path.join(format!("{rest}.json"))
    }

    fn error(&self, error: io::Error) -> Error {
        let kind = match error.kind() {
            Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::Unauthorized,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind).with_store(self).with_source(error)
    }
}

/// Equal bytes mean an equal flag, and that is all that an opaque version has to say.
fn version(bytes: &[u8]) -> Version {
    Version::opaque(bytes)
}

/// Bytes that could mean something to a file system become `%2F`.
fn escape(name: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

/// `None` for a file that no flag is in.
fn unescape(escaped: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16);
        bytes.push(u8::try_from(digit()? * 16 + digit()?).ok()?);
    }
    // Another spelling of the same name would be there twice.
    String::from_utf8(bytes).ok().filter(|name| escape(name) == escaped)
}

impl fmt::Display for DirectoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Directory({})", self.folder.display())
    }
}

#[async_trait]
impl FeatureFlagStore for DirectoryStore {
    async fn get(&self, name: &str) -> Result<Option<Stored>> {
        let name = name.to_owned();
        self.blocking(move |store| store.read(&name)).await
    }

    async fn put(&self, record: &FlagRecord, options: WriteOptions) -> Result<Version> {
        validate_name(record.name())?;
        let (name, text) = (record.name().to_owned(), record.to_json());
        self.blocking(move |store| store.write(&name, &options.when, Some(text))).await
    }

    async fn delete(&self, name: &str, options: WriteOptions) -> Result<Version> {
        let name = name.to_owned();
        self.blocking(move |store| store.write(&name, &options.when, None)).await
    }

    async fn list(&self) -> Result<Vec<Stored>> {
        self.blocking(|store| {
            let mut flags = Vec::new();
            store.read_all(&store.folder, "", &mut flags)?;
            flags.sort_unstable_by(|a, b| a.name.cmp(&b.name));
            Ok(flags)
        })
        .await
    }

    fn watch(&self) -> Watch<'_> {
        watch_by_polling(self, POLL_EVERY)
    }
}

#[allow(dead_code, reason = "the tests take this file in as a module")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join("flipper-directory-store");
    let features = FeatureFlagClient::remote(DirectoryStore::open(&folder)?);

    features.create("NEW_CHECKOUT").or_get().await?;
    features.enable("NEW_CHECKOUT").await?;
    let flag = features.fetch("NEW_CHECKOUT").await?;
    println!("{}", flag.map(|flag| flag.to_json()).unwrap_or_default());
    println!("is kept in {}", folder.display());
    Ok(())
}
