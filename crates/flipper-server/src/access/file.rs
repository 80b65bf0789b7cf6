use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::private::{self, Stamp};
use super::secret::{self, Secret};
use super::token::{NewToken, Token, Validity, name_fault, prefixes_fault, whole_seconds};

/// Bytes: some 50,000 tokens.
const LARGEST: u64 = 16 << 20;
/// Of another command.
const LOCK_TIMEOUT: Duration = Duration::from_secs(30);
/// Times have years of four digits.
const LONGEST_LIFETIME: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Why a file of tokens cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFileError {
    /// There is no such file.
    #[error("{} does not exist", .0.display())]
    Missing(PathBuf),
    /// It cannot be read or written.
    #[error("{} {what}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What cannot be done.
        what: &'static str,
        /// The system's error.
        #[source]
        error: io::Error,
    },
    /// Other users of the machine can read it, or change it.
    #[error("{} {what}", path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Who can do what.
        what: &'static str,
    },
    /// This version cannot read its content; with line and column.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
    /// What was asked for is impossible.
    #[error("{0}")]
    Refused(String),
}

/// A file of tokens, which holds no secret: of each token only a hash. Any number of processes may change it at once.
///
/// ```
/// use flipper_server::{NewToken, Role, TokenFile};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// let file = TokenFile::new(folder.path().join("tokens.json"));
/// let ci = NewToken { name: "ci".into(), role: Role::Write, prefixes: vec!["pay.".into()], lifetime: None };
/// let (token, secret) = file.create(&ci)?;
/// assert!(secret.text().starts_with("flp_"));
/// file.revoke(&token.id)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    version: u32,
    tokens: Vec<Token>,
}

impl TokenFile {
    /// The file at this path, which need not exist yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All tokens, in the order of their creation.
    ///
    /// # Errors
    ///
    /// If the file is missing, exposed to other users, or no file of tokens.
    pub fn read(&self) -> Result<Vec<Token>, TokenFileError> {
        self.read_stamped().map(|(tokens, _)| tokens)
    }

    /// Also which state of the file they are from.
    pub(super) fn read_stamped(&self) -> Result<(Vec<Token>, Stamp), TokenFileError> {
        let cannot = |error| self.io("cannot be read", error);
        let mut file = private::open(&self.path).map_err(cannot)?;
        let metadata = file.metadata().map_err(cannot)?;
        if let Some(what) = private::exposure(&metadata) {
            return Err(TokenFileError::Exposed { path: self.path.clone(), what });
        }
        if metadata.len() > LARGEST {
            return Err(self.content(format!("{} bytes are too many for a file of tokens", metadata.len())));
        }
        let mut text = Vec::new();
        (&mut file).take(LARGEST).read_to_end(&mut text).map_err(cannot)?;
        let content: Content = serde_json::from_slice(&text).map_err(|error| self.content(error.to_string()))?;
        if content.version != 1 {
            return Err(self.content(format!("version {} is of another release; this one reads 1", content.version)));
        }
        let (mut ids, mut digests) = (HashSet::new(), HashSet::new());
        for (index, token) in content.tokens.iter().enumerate() {
            let twice = || format!("the id {:?} or its hash is there twice", token.id);
            let is_twice = !ids.insert(&token.id) || !digests.insert(token.sha256);
            if let Some(what) = token.fault().or_else(|| is_twice.then(twice)) {
                return Err(self.content(format!("token {}: {what}", index + 1)));
            }
        }
        Ok((content.tokens, Stamp::of(&metadata)))
    }

    /// Adds a token; makes the file if it is missing. The secret is not stored: it can be shown only now.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also for a name that a valid token has, or a prefix that no flag can have.
    pub fn create(&self, new: &NewToken) -> Result<(Token, Secret), TokenFileError> {
        if let Some(fault) = name_fault(&new.name).or_else(|| prefixes_fault(&new.prefixes)) {
            return Err(TokenFileError::Refused(fault));
        }
        if new.lifetime.is_some_and(|lifetime| lifetime > LONGEST_LIFETIME) {
            return Err(TokenFileError::Refused("a token is valid for at most 100 years".to_owned()));
        }
        self.change(|tokens| {
            let now = whole_seconds(SystemTime::now());
            let same = |token: &&Token| token.name == new.name && token.validity(now) == Validity::Valid;
            if let Some(token) = tokens.iter().find(same) {
                let what = format!("token {} has the name {:?} already", token.id, new.name);
                return Err(TokenFileError::Refused(what));
            }
            let cannot = |_| TokenFileError::Refused("the system has no random numbers".to_owned());
            let secret = Secret::generate().map_err(cannot)?;
            let id = format!("t{}", secret::hex(&secret::random::<4>().map_err(cannot)?));
            let token = Token {
                id,
                name: new.name.clone(),
                sha256: secret.digest(),
                role: new.role,
                prefixes: new.prefixes.clone(),
                created: now,
                expires: new.lifetime.map(|lifetime| now + lifetime),
                revoked: None,
            };
            tokens.push(token.clone());
            Ok((token, secret))
        })
    }

    /// Revokes a token: servers refuse it within two seconds, and end its streams. Revoking it again changes nothing.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read); also if no token has this id.
    pub fn revoke(&self, id: &str) -> Result<Token, TokenFileError> {
        if !self.path.exists() {
            return Err(TokenFileError::Missing(self.path.clone()));
        }
        self.change(|tokens| {
            let unknown = || TokenFileError::Refused(format!("no token has the id {id:?}"));
            let token = tokens.iter_mut().find(|token| token.id == id).ok_or_else(unknown)?;
            token.revoked.get_or_insert(whole_seconds(SystemTime::now()));
            Ok(token.clone())
        })
    }

    /// Under a lock, and as one rename: readers see all of a change or nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Vec<Token>) -> Result<T, TokenFileError>,
    ) -> Result<T, TokenFileError> {
        let cannot = |error| self.io("cannot be written", error);
        // A rename would replace a link, not the file behind it.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_missing| self.path.clone());
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let _lock = lock(folder).map_err(|error| self.io("cannot be locked", error))?;
        let mut tokens = match self.read() {
            Err(TokenFileError::Missing(_)) => Vec::new(),
            read => read?,
        };
        let changed = change(&mut tokens)?;
        let mut text =
            serde_json::to_vec_pretty(&Content { version: 1, tokens }).map_err(io::Error::other).map_err(cannot)?;
        text.push(b'\n');
        replace(&path, folder, &text).map_err(cannot)?;
        Ok(changed)
    }

    fn io(&self, what: &'static str, error: io::Error) -> TokenFileError {
        let path = self.path.clone();
        match error.kind() {
            io::ErrorKind::NotFound if what == "cannot be read" => TokenFileError::Missing(path),
            _ => TokenFileError::Io { path, what, error },
        }
    }

    fn content(&self, what: String) -> TokenFileError {
        TokenFileError::Content { path: self.path.clone(), what }
    }
}

/// The folder is locked, since each change replaces the file, and a file only for the lock would have an owner of its own.
fn lock(folder: &Path) -> io::Result<File> {
    #[cfg(unix)]
    let lock = File::open(folder)?;
    #[cfg(not(unix))]
    let lock = OpenOptions::new().write(true).create(true).truncate(false).open(folder.join("tokens.lock"))?;
    // A blocking lock is fair, unlike attempts; only it has no timeout.
    let (sender, locked) = mpsc::channel();
    thread::Builder::new().spawn(move || sender.send(lock.lock().map(|()| lock)))?;
    locked.recv_timeout(LOCK_TIMEOUT).unwrap_or_else(|_timeout| {
        let seconds = LOCK_TIMEOUT.as_secs();
        let what = format!("another process has held its folder's lock for {seconds} s");
        Err(io::Error::new(io::ErrorKind::TimedOut, what))
    })
}

fn replace(path: &Path, folder: &Path, text: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    // Left by a process that was killed: under the lock there is no other.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private::owner_only(&mut options);
    let mut file = options.open(&new)?;
    let written = (|| {
        // By root for a server of another user, which must be able to read it afterwards.
        if let Ok(before) = fs::metadata(path) {
            private::take_over(&file, &before)?;
        }
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, path)
    })();
    if written.is_err() {
        // The first error counts.
        let _ = fs::remove_file(&new);
    }
    written?;
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    Ok(())
}
