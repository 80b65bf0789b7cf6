//! A store's URL, and how it is shown: without what is secret.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use url::Url;

use crate::failure::{Done, Failure};
use crate::text::{after, path_text, plain};

/// What a password, or whatever may be one, is shown as.
const HIDDEN: &str = "***";
/// Parameters whose values are no secrets.
const SHOWN: [&str; 13] = [
    "base_key",
    "connect_timeout_ms",
    "consistency",
    "datacenter",
    "dc",
    "max_connections",
    "namespace",
    "ns",
    "partition",
    "protocol",
    "tls",
    "timeout_ms",
    "transport",
];

/// The kinds of stores.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    Sqlite(PathBuf),
    Redis,
    Consul,
    Thrift,
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

const KINDS: &str = "a store's URL is sqlite:PATH, redis://HOST, consul://HOST or thrift://HOST";

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
                Failure::usage("what is given as the store is not UTF-8, and no sqlite:PATH").hint(KINDS)
            })?;
            return Ok(Self::file(folder.join(after(path, "//").unwrap_or(path))));
        };
        let url = url.trim();
        let Some((scheme, rest)) = url.split_once(':') else {
            // It may be anything, a password too, unless there is such a file.
            let hint = if Path::new(url).exists() {
                format!("for the file write sqlite:{}", plain(url))
            } else {
                KINDS.to_owned()
            };
            return Err(Failure::usage("what is given as the store is no URL").hint(hint));
        };
        let kind = match scheme {
            "memory" => Kind::Memory,
            "sqlite" => {
                let path = rest.strip_prefix("//").unwrap_or(rest);
                if path.is_empty() {
                    return Err(Failure::usage("the store's URL has no path").hint("write sqlite:PATH"));
                }
                return Ok(Self::file(folder.join(path)));
            }
            // Also what says how to reach it: `redis-cluster`, `redis+unix`.
            _ if matches!(scheme.split(['-', '+']).next(), Some("redis" | "rediss")) => Kind::Redis,
            "consul" => Kind::Consul,
            "thrift" => Kind::Thrift,
            _ if scheme.len() < 20 && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c)) => {
                return Err(
                    Failure::usage(format!("there are no stores with URLs that begin with {scheme}:")).hint(KINDS)
                );
            }
            _ => return Err(Failure::usage("what is given as the store is no URL").hint(KINDS)),
        };
        let shown = match &kind {
            Kind::Memory => "memory:".to_owned(),
            _ => shown(url, scheme),
        };
        Ok(Self { kind, url: url.to_owned(), shown })
    }
}

/// The URL without secrets; if it is not understood, the scheme alone, since the rest may be one.
fn shown(url: &str, scheme: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return format!("{scheme}:{HIDDEN}") };
    let userinfo = (!parsed.username().is_empty(), parsed.password().is_some());
    // Both fail for URLs that can have no user, and so have none.
    let hidden = match userinfo {
        (_, true) => parsed.set_password(Some(HIDDEN)),
        // A user without a password is a token, mostly.
        (true, false) => parsed.set_username(HIDDEN),
        (false, false) => Ok(()),
    };
    // An `@` elsewhere is the end of a password that was not escaped.
    let elsewhere =
        parsed.host_str().is_none() && url.contains('@') || parsed[url::Position::AfterPort..].contains('@');
    if hidden.is_err() || elsewhere {
        return format!("{scheme}:{HIDDEN}");
    }
    let parameters: Vec<(String, String)> = parsed
        .query_pairs()
        .map(|(name, value)| {
            let value = if SHOWN.contains(&&*name) { value.into_owned() } else { HIDDEN.to_owned() };
            (name.into_owned(), value)
        })
        .collect();
    parsed.set_fragment(None);
    parsed.set_query(None);
    let mut shown = parsed.to_string();
    for (index, (name, value)) in parameters.iter().enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(&format!("{name}={value}"));
    }
    plain(&shown).into_owned()
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
    fn secrets_are_not_shown() {
        for (url, expected) in [
            ("redis://localhost/0", "redis://localhost/0"),
            ("redis://user:secret@h:1/3?base_key=a%2Fb", "redis://user:***@h:1/3?base_key=a/b"),
            ("redis://:secret@h", "redis://:***@h"),
            ("redis://secret@h", "redis://***@h"),
            ("redis://u:sec@ret@h/0", "redis://u:***@h/0"),
            ("redis://u:secret@h:port/0", "redis:***"),
            ("redis://u:sec/ret@h", "redis:***"),
            ("redis://u:12/secret@h", "redis:***"),
            ("redis://u:12?secret@h", "redis:***"),
            ("redis://u:12#secret@h", "redis:***"),
            ("consul://h:8500/flags?token=secret&dc=eu", "consul://h:8500/flags?token=***&dc=eu"),
            ("redis:secret@h", "redis:***"),
            ("sqlite:/var/a b.db", "sqlite:/var/a b.db"),
        ] {
            let shown = Location::parse(url).unwrap().shown;
            assert_eq!(shown, expected);
            assert!(!shown.contains("secret"));
        }
    }

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
