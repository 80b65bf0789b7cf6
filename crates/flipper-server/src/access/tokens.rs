use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::file::{TokenFile, TokenFileError};
use super::private::Stamp;
use super::secret::{Digest, NoToken, digest_of};
use super::token::{Token, Validity};

/// A revocation must end streams within two seconds.
const POLL: Duration = Duration::from_millis(500);

/// The tokens of a file, as of its last readable state. [`follow`](Self::follow) keeps them up to date.
#[derive(Debug)]
pub struct Tokens {
    file: TokenFile,
    held: watch::Sender<Arc<Held>>,
    /// While the file is read: an older state must not replace a newer one.
    reloading: Mutex<()>,
    seen: Mutex<Seen>,
}

/// By the SHA-256 of their text. The time of a look-up depends on this hash alone, and a part of the hash does not help to find
/// a text that has it: so no comparison needs a constant time.
#[derive(Debug)]
struct Held(HashMap<Digest, Arc<Token>>);

#[derive(Debug)]
struct Seen {
    /// Of the last attempt to read it, also of a failed one.
    stamp: Option<Stamp>,
    error: Option<String>,
}

/// Why a text is no valid token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Invalid {
    Foreign,
    Typo,
    Unknown,
    Expired(Arc<Token>),
    Revoked(Arc<Token>),
}

impl Tokens {
    /// Reads the file.
    ///
    /// # Errors
    ///
    /// As [`TokenFile::read`]: a server does not start with a file that it cannot read.
    pub fn open(path: impl Into<PathBuf>) -> Result<Arc<Self>, TokenFileError> {
        let file = TokenFile::new(path);
        let (tokens, stamp) = file.read_stamped()?;
        let held = watch::Sender::new(Arc::new(Held::new(tokens)));
        Ok(Arc::new(Self {
            file,
            held,
            reloading: Mutex::default(),
            seen: Mutex::new(Seen { stamp: Some(stamp), error: None }),
        }))
    }

    /// Reads the file whenever it changes, until the tokens are dropped. An unreadable file leaves the tokens as they are, with a warning.
    /// Must be called within a tokio runtime.
    pub fn follow(self: &Arc<Self>) {
        let tokens = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                let Some(tokens) = tokens.upgrade() else { return };
                // A file on a dead network share blocks its thread, but no request.
                let looked = tokio::task::spawn_blocking(move || {
                    let stamp = Stamp::of_path(tokens.file.path());
                    if tokens.seen().stamp != stamp {
                        tokens.reload();
                    }
                });
                if let Err(error) = looked.await {
                    tracing::error!(%error, "looking for changes of the tokens failed");
                }
            }
        });
    }

    /// Reads the file now.
    pub fn reload(&self) {
        let _alone = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        // Before reading: a change in between is seen by the next look.
        let stamp = Stamp::of_path(self.file.path());
        let (error, stamp) = match self.file.read_stamped() {
            Ok((tokens, stamp)) => {
                let held = Held::new(tokens);
                tracing::info!(file = %self.file.path().display(), tokens = held.0.len(), "tokens are read again");
                self.held.send_replace(Arc::new(held));
                (None, Some(stamp))
            }
            Err(error) => (Some(error.to_string()), stamp),
        };
        let mut seen = self.seen();
        seen.stamp = stamp;
        if let Some(error) = &error
            && seen.error.as_ref() != Some(error)
        {
            tracing::warn!(%error, "tokens cannot be read again; those of before stay valid");
        }
        seen.error = error;
    }

    /// Why the file could not be read the last time, if so.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.seen().error.clone()
    }

    /// How many tokens are valid now.
    #[must_use]
    pub fn valid(&self) -> usize {
        let now = SystemTime::now();
        self.held.borrow().0.values().filter(|token| token.validity(now) == Validity::Valid).count()
    }

    pub(super) fn find(&self, text: &str) -> Result<Arc<Token>, Invalid> {
        let digest = digest_of(text).map_err(|error| match error {
            NoToken::Foreign => Invalid::Foreign,
            NoToken::Typo => Invalid::Typo,
        })?;
        let token = self.held.borrow().0.get(&digest).cloned().ok_or(Invalid::Unknown)?;
        match token.validity(SystemTime::now()) {
            Validity::Valid => Ok(token),
            Validity::Expired => Err(Invalid::Expired(token)),
            Validity::Revoked => Err(Invalid::Revoked(token)),
        }
    }

    /// Whether the token is still the same, and valid.
    pub(super) fn is_current(&self, token: &Token) -> bool {
        let is_same = self.held.borrow().0.get(&token.sha256).is_some_and(|now| **now == *token);
        is_same && token.validity(SystemTime::now()) == Validity::Valid
    }

    /// Returns once the token is not the same any more: revoked, expired, removed, or with other rights.
    pub(super) async fn ended(&self, token: &Token) {
        let mut held = self.held.subscribe();
        loop {
            held.mark_unchanged();
            let now = SystemTime::now();
            if !self.is_current(token) {
                return;
            }
            // Looks again at times, since the system's clock may be set.
            let left = token.expires.and_then(|expires| expires.duration_since(now).ok()).unwrap_or(Duration::MAX);
            tokio::select! {
                changed = held.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(left.min(Duration::from_secs(30))) => {}
            }
        }
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn new(tokens: Vec<Token>) -> Self {
        Self(tokens.into_iter().map(|token| (token.sha256, Arc::new(token))).collect())
    }
}
