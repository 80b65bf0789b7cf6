//! A store's URL, and the form without secrets in which it is shown.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use flipper::stores::{STORE_KINDS, StoreKind};

use super::shown::shown;
use crate::failure::{Done, Failure};
use crate::text::{after, path_text, plain};

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite(PathBuf),
    Remote,
}

/// Of the primary, if there are replicas: commands work on it.
#[derive(Clone)]
pub(crate) struct Location {
    pub(crate) kind: Kind,
    /// May hold a password.
    pub(crate) url: String,
    pub(crate) shown: String,
    /// Each without replicas of its own.
    pub(crate) replicas: Vec<Location>,
}

/// The forms of URLs, without the store that exists only within one process, and without those that are made of others.
pub(crate) fn forms() -> String {
    let forms: Vec<_> = STORE_KINDS
        .iter()
        .map(|kind| kind.form)
        .filter(|form| !form.starts_with("memory:") && !form.starts_with("replicated:"))
        .collect();
    let (last, others) = forms.split_last().unwrap_or((&"", &[]));
    format!("a store's URL is {} or {last}", others.join(", "))
}

impl Location {
    pub(crate) fn parse(url: impl AsRef<OsStr>) -> Done<Self> {
        Self::relative_to(url.as_ref(), Path::new(""))
    }

    pub(crate) fn file(path: PathBuf) -> Self {
        let shown = format!("sqlite:{}", path_text(&path));
        Self::of(Kind::Sqlite(path), shown.clone(), shown)
    }

    fn of(kind: Kind, url: String, shown: String) -> Self {
        Self { kind, url, shown, replicas: Vec::new() }
    }

    /// With the replicas.
    pub(crate) fn shown_whole(&self) -> String {
        if self.replicas.is_empty() {
            return self.shown.clone();
        }
        let all: Vec<_> = std::iter::once(self).chain(&self.replicas).map(|location| &*location.shown).collect();
        format!("replicated:{}", all.join("|"))
    }

    /// `PRIMARY|REPLICA…`: no URL has a `|`, which is percent-encoded in a password.
    fn replicated(urls: &str, folder: &Path) -> Done<Self> {
        let one = |url: &str| match url.trim().starts_with("replicated:") {
            true => {
                Err(Failure::usage("a replica is no replicated: store").hint("write all replicas behind the primary"))
            }
            false => Self::relative_to(OsStr::new(url), folder),
        };
        let mut locations = urls.split('|').map(one).collect::<Done<Vec<_>>>()?;
        let replicas = locations.split_off(1);
        match locations.pop() {
            Some(primary) if !replicas.is_empty() => Ok(Self { replicas, ..primary }),
            _ => {
                Err(Failure::usage("replicated: names no replica").hint("write replicated:PRIMARY|REPLICA, in quotes"))
            }
        }
    }

    /// Relative paths start at this directory.
    pub(crate) fn relative_to(url: &OsStr, folder: &Path) -> Done<Self> {
        let Some(url) = url.to_str() else {
            let path = after(url, "sqlite:").ok_or_else(|| {
                Failure::usage("what is given as the store is not UTF-8, and no sqlite:PATH").hint(forms())
            })?;
            return Ok(Self::file(folder.join(after(path, "//").unwrap_or(path))));
        };
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            // Do not show the text, which may be a password, unless a file has that name.
            let hint =
                if Path::new(url).exists() { format!("for the file write sqlite:{}", plain(url)) } else { forms() };
            return Err(Failure::usage("what is given as the store is no URL").hint(hint));
        };
        match (scheme, StoreKind::of(url)) {
            ("memory", _) => Ok(Self::of(Kind::Memory, url.to_owned(), "memory:".to_owned())),
            ("sqlite", _) => match rest.strip_prefix("//").unwrap_or(rest) {
                "" => Err(Failure::usage("the store's URL has no path").hint("write sqlite:PATH")),
                path => Ok(Self::file(folder.join(path))),
            },
            ("replicated", _) => Self::replicated(rest, folder),
            (_, Some(_)) => Ok(Self::of(Kind::Remote, url.to_owned(), shown(url, scheme))),
            _ if scheme.len() < 20 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                let what = format!("there are no stores with URLs that begin with {scheme}:");
                Err(Failure::usage(what).hint(forms()))
            }
            _ => Err(Failure::usage("what is given as the store is no URL").hint(forms())),
        }
    }
}

/// Hides the secrets of URLs among the command's arguments.
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
            && (!matches!(location.kind, Kind::Sqlite(_)) || !location.replicas.is_empty())
        {
            text = text.replace(url, &location.shown_whole());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    #[test]
    fn errors_show_no_secrets() {
        for url in ["secret", "mysql://u:secret@h", "u secret:x", "sqlite:", "/tmp/secret"] {
            let failure = Location::parse(url).err().unwrap().to_string();
            assert!(!failure.contains("secret"), "{failure}");
        }
        let shown = Location::parse("postgresql:u:secret@h").ok().unwrap().shown;
        assert!(!shown.contains("secret"), "{shown}");
    }

    #[test]
    fn replicas() {
        let location = Location::parse("replicated:redis://u:secret@h | sqlite:a.db|s3://b").ok().unwrap();
        assert_eq!((&*location.url, &*location.shown), ("redis://u:secret@h", "redis://u:***@h"));
        assert_eq!(location.shown_whole(), "replicated:redis://u:***@h|sqlite:a.db|s3://b");
        assert!(location.replicas[0].kind == Kind::Sqlite(PathBuf::from("a.db")));
        for url in [
            "",
            "sqlite:a.db",
            "sqlite:a.db|",
            "sqlite:a.db|replicated:sqlite:b.db|sqlite:c.db",
            "redis://u:secret@h|x:secret",
        ] {
            let failure = Location::parse(format!("replicated:{url}")).err().unwrap();
            assert!(failure.code == Code::Usage && !failure.to_string().contains("secret"), "{failure}");
        }
    }

    #[test]
    fn paths_start_at_the_config_files_directory() {
        let kind = |url| Location::relative_to(OsStr::new(url), Path::new("/etc/flipper")).unwrap().kind;
        assert!(kind("sqlite:flags.db") == Kind::Sqlite(PathBuf::from("/etc/flipper/flags.db")));
        assert!(kind("sqlite:/srv/flags.db") == Kind::Sqlite(PathBuf::from("/srv/flags.db")));
    }
}
