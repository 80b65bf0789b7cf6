use std::fs;
use std::path::{Path, PathBuf};

use std::time::SystemTime;

use hyper::header::HeaderValue;

use crate::error::{Error, Result};
use crate::lock::Mutex;

/// Changes when the file is written or replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(Option<SystemTime>, u64, u64)>);

impl Stamp {
    /// Follows links: a mounted secret is renewed by redirecting a link.
    pub(crate) fn of(file: &Path) -> Self {
        let inode = |metadata: &fs::Metadata| {
            #[cfg(unix)]
            return std::os::unix::fs::MetadataExt::ino(metadata);
            #[cfg(not(unix))]
            return metadata.len();
        };
        Self(fs::metadata(file).ok().map(|found| (found.modified().ok(), found.len(), inode(&found))))
    }
}

pub(crate) struct Token {
    file: Option<PathBuf>,
    /// Before the token in the header.
    scheme: &'static str,
    state: Mutex<State>,
}

struct State {
    value: Option<HeaderValue>,
    stamp: Stamp,
}

impl Token {
    /// `fixed`: used without a file, or while the file is empty.
    pub(crate) fn new(file: Option<PathBuf>, fixed: Option<String>, scheme: &'static str) -> Result<Self> {
        let (stamp, value) = match &file {
            Some(file) => (Stamp::of(file), read(file, scheme)?),
            None => (Stamp::default(), None),
        };
        let value = match (value, fixed) {
            (None, Some(fixed)) => Some(secret(&format!("{scheme}{fixed}"), "the token")?),
            (value, _) => value,
        };
        Ok(Self { file, scheme, state: Mutex::new(State { value, stamp }) })
    }

    pub(crate) fn current(&self) -> Option<HeaderValue> {
        self.look(false)
    }

    /// If the file now has another token.
    pub(crate) fn instead_of(&self, refused: Option<&HeaderValue>) -> Option<HeaderValue> {
        self.file.as_ref()?;
        // The modification time may be too coarse to show a second write.
        self.look(true).filter(|token| Some(token) != refused)
    }

    fn look(&self, anyhow: bool) -> Option<HeaderValue> {
        let mut state = self.state.lock();
        if let Some(file) = &self.file {
            let stamp = Stamp::of(file);
            if anyhow || stamp != state.stamp {
                state.stamp = stamp;
                match read(file, self.scheme) {
                    Ok(Some(token)) => state.value = Some(token),
                    // The file is being written or remounted.
                    Ok(None) => tracing::debug!("the token file is empty: the last token is kept"),
                    Err(error) => tracing::warn!(%error, "the last token is kept"),
                }
            }
        }
        state.value.clone()
    }
}

/// `None` if the file is empty.
fn read(file: &Path, scheme: &str) -> Result<Option<HeaderValue>> {
    let text = fs::read_to_string(file).map_err(|error| unusable("token file", file, error))?;
    let token = text.trim();
    (!token.is_empty()).then(|| secret(&format!("{scheme}{token}"), "the token")).transpose()
}

/// The error does not contain the value.
pub(crate) fn secret(value: &str, what: &str) -> Result<HeaderValue> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| Error::invalid_input(format!("{what} has characters that no HTTP header can have")))?;
    value.set_sensitive(true);
    Ok(value)
}

pub(crate) fn unusable(what: &str, file: &Path, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::invalid_input(format!("{what} {} cannot be used", file.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_file_is_read_again_when_it_has_changed() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        fs::write(&file, "one\n").unwrap();
        let token = Token::new(Some(file.clone()), Some("fixed".to_owned()), "").unwrap();
        assert_eq!(token.current().unwrap(), "one");
        let other = dir.path().join("other");
        fs::write(&other, "two").unwrap();
        fs::rename(&other, &file).unwrap();
        assert_eq!(token.current().unwrap(), "two");
        // Truncated, missing, or with a character that no header can have.
        for broken in [Some(""), None, Some("a\nb")] {
            match broken {
                Some(text) => fs::write(&file, text).unwrap(),
                None => fs::remove_file(&file).unwrap(),
            }
            assert_eq!(token.current().unwrap(), "two");
            assert!(token.instead_of(Some(&HeaderValue::from_static("two"))).is_none());
        }
        fs::write(&file, "three").unwrap();
        assert_eq!(token.instead_of(Some(&HeaderValue::from_static("two"))).unwrap(), "three");
        assert!(token.instead_of(Some(&HeaderValue::from_static("three"))).is_none());
    }
}
