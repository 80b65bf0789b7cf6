//! A store's URL, and how it is shown: without what is secret.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use flipper::stores::{STORE_KINDS, StoreKind};

use super::shown::shown;
use crate::failure::{Done, Failure};
use crate::text::{after, path_text, plain};

/// What there is to know of a store before it is opened.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    /// A file.
    Sqlite(PathBuf),
    /// Behind a server.
    Remote,
}

/// A store's URL.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) kind: Kind,
    /// May hold a password.
    pub(crate) url: String,
    /// Holds none.
    pub(crate) shown: String,
}

/// How stores' URLs look, but for the one within one process.
pub(crate) fn forms() -> String {
    let forms: Vec<_> = STORE_KINDS.iter().map(|kind| kind.form).filter(|form| *form != "memory:").collect();
    let (last, others) = forms.split_last().unwrap_or((&"", &[]));
    format!("a store's URL is {} or {last}", others.join(", "))
}

impl Location {
    pub(crate) fn parse(url: impl AsRef<OsStr>) -> Done<Self> {
        Self::relative_to(url.as_ref(), Path::new(""))
    }

    /// An SQLite file.
    pub(crate) fn file(path: PathBuf) -> Self {
        let shown = format!("sqlite:{}", path_text(&path));
        Self { kind: Kind::Sqlite(path), url: shown.clone(), shown }
    }

    /// A file's path counts from this folder.
    pub(crate) fn relative_to(url: &OsStr, folder: &Path) -> Done<Self> {
        let Some(url) = url.to_str() else {
            // A file's name need not be.
            let path = after(url, "sqlite:").ok_or_else(|| {
                Failure::usage("what is given as the store is not UTF-8, and no sqlite:PATH").hint(forms())
            })?;
            return Ok(Self::file(folder.join(after(path, "//").unwrap_or(path))));
        };
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            // It may be anything, a password too, unless there is such a file.
            let hint =
                if Path::new(url).exists() { format!("for the file write sqlite:{}", plain(url)) } else { forms() };
            return Err(Failure::usage("what is given as the store is no URL").hint(hint));
        };
        let kind = match (scheme, StoreKind::of(url)) {
            ("memory", _) => Kind::Memory,
            ("sqlite", _) => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(Failure::usage("the store's URL has no path").hint("write sqlite:PATH"));
                }
                return Ok(Self::file(folder.join(path)));
            }
            (_, Some(_)) => Kind::Remote,
            _ if scheme.len() < 20 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                return Err(
                    Failure::usage(format!("there are no stores with URLs that begin with {scheme}:")).hint(forms())
                );
            }
            _ => return Err(Failure::usage("what is given as the store is no URL").hint(forms())),
        };
        let shown = match &kind {
            Kind::Memory => "memory:".to_owned(),
            _ => shown(url, scheme),
        };
        Ok(Self { kind, url: url.to_owned(), shown })
    }
}

/// The text, with the URLs of stores among the command's arguments as they are shown.
pub(crate) fn without_secrets(text: &str) -> String {
    let mut text = text.to_owned();
    for argument in std::env::args_os().skip(1) {
        let argument = argument.to_string_lossy();
        // Also the value in `--store=URL`.
        let url = argument
            .split_once('=')
            .filter(|(option, _)| option.starts_with("--"))
            .map_or(&*argument, |(_, value)| value);
        if let Ok(location) = Location::parse(url)
            && location.shown != url
            && !matches!(location.kind, Kind::Sqlite(_))
        {
            text = text.replace(url, &location.shown);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_store() {
        for url in ["secret", "postgres://u:secret@h", "u secret:x", "sqlite:", "/tmp/secret"] {
            let failure = Location::parse(url).err().unwrap().to_string();
            assert!(!failure.contains("secret"), "{failure}");
        }
    }

    #[test]
    fn paths_count_from_the_config_files_folder() {
        let kind = |url| Location::relative_to(OsStr::new(url), Path::new("/etc/flipper")).unwrap().kind;
        assert!(kind("sqlite:flags.db") == Kind::Sqlite(PathBuf::from("/etc/flipper/flags.db")));
        assert!(kind("sqlite:/srv/flags.db") == Kind::Sqlite(PathBuf::from("/srv/flags.db")));
    }
}
