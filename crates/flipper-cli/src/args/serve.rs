//! Options of `serve`. A config file has the same ones, by the same names.

use std::ffi::OsString;
use std::fmt::Display;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use flipper_server::{Network, Role};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use tracing::level_filters::LevelFilter;

use super::flags::duration;
use super::tokens::role;
use crate::store::{Kind, Location};

#[derive(Args, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[command(after_help = "\
The flags of a remote store are mirrored in memory: reads are answered from there, also while the store is unreachable, and writes \
go to the store. With neither --http nor --thrift it serves Thrift on 127.0.0.1:9090. docs/serve.md has the paths of HTTP, and how to \
run it under systemd and Kubernetes.

Without --tokens and --proxy-header anyone on this machine can change all flags. So addresses that other machines can reach are \
refused, unless callers are known (--tokens, --tls-client-ca or --proxy-header) and cannot be overheard (--tls-cert, or \
--plaintext-behind-proxy). Thrift has no tokens: there --tls-client-ca decides. --admin shows no flags, and needs neither.

SIGTERM and Ctrl-C end it: /readyz turns to 503, and after --drain pending requests finish. SIGHUP reads tokens and certificates \
again; that happens by itself when their files change.")]
pub(crate) struct Serve {
    /// The address for HTTP: the JSON API, OFREP, live changes, and a web page under /flags; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", help_heading = "Addresses")]
    pub(crate) http: Option<String>,
    /// The address for Thrift
    #[arg(long, value_name = "HOST:PORT", help_heading = "Addresses")]
    pub(crate) thrift: Option<String>,
    /// The address for health and metrics alone, which need no token there
    #[arg(long, value_name = "HOST:PORT", help_heading = "Addresses")]
    pub(crate) admin: Option<String>,
    /// Allows addresses that other machines can reach, whatever is missing
    #[arg(long, help_heading = "Addresses")]
    pub(crate) listen_everywhere: bool,
    /// Allows them without TLS: a proxy encrypts, and no one else reaches the port
    #[arg(long, help_heading = "Addresses")]
    pub(crate) plaintext_behind_proxy: bool,
    /// The URL of HTTP for clients, such as https://flags.example.com: where OFREP sends web pages for changes
    #[arg(long, value_name = "URL", help_heading = "Addresses")]
    pub(crate) public_url: Option<String>,

    /// Callers need a token of this file; `flipper token` makes them
    #[arg(long, value_name = "FILE", help_heading = "Who may do what")]
    pub(crate) tokens: Option<PathBuf>,
    /// Trusts this header to name a user, from --proxy-from alone; from elsewhere it is refused
    #[arg(long, value_name = "NAME", help_heading = "Who may do what")]
    pub(crate) proxy_header: Option<String>,
    /// The addresses of the proxy, such as 10.0.0.0/8; may be repeated
    #[arg(long, value_name = "NETWORK", help_heading = "Who may do what")]
    #[serde(deserialize_with = "texts")]
    pub(crate) proxy_from: Vec<Network>,
    /// What the proxy's users may do [default: read]
    #[arg(long, value_parser = role(), hide_default_value = true, help_heading = "Who may do what")]
    pub(crate) proxy_role: Option<Role>,
    /// An origin whose pages may evaluate flags by OFREP, such as https://app.example.com; may be repeated
    #[arg(long, value_name = "ORIGIN", help_heading = "Who may do what")]
    #[serde(deserialize_with = "list")]
    pub(crate) cors_origin: Vec<String>,
    /// Flags that the web page asks about twice, such as `pay.*`; may be repeated
    #[arg(long, value_name = "PATTERN", help_heading = "Who may do what")]
    #[serde(deserialize_with = "list")]
    pub(crate) protect: Vec<String>,
    /// Changes on the web page need a reason, which the history then has
    #[arg(long, help_heading = "Who may do what")]
    pub(crate) require_reason: bool,
    /// Refuses changes of flags over HTTP that do not name the version they change
    #[arg(long, help_heading = "Who may do what")]
    pub(crate) require_if_match: bool,

    /// The certificate of HTTP and Thrift, as PEM, followed by those of its issuers
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// Its private key
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Clients need a certificate of one of these authorities
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) tls_client_ca: Option<PathBuf>,

    /// Requests a second of one caller over HTTP; more are answered 429
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) requests_per_second: Option<NonZeroU32>,
    /// Open connections of each server [default: 16384 for HTTP, of which streams get seven eighths; 4096 for Thrift]
    #[arg(long, value_name = "NUMBER", help_heading = "Limits")]
    pub(crate) max_connections: Option<NonZeroUsize>,
    /// How long it still serves, and is not ready, before it ends [default: 5s]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Limits")]
    #[serde(deserialize_with = "time")]
    pub(crate) drain: Option<Duration>,

    /// The attribute that OpenFeature's targeting key is in conditions and bucketers [default: targeting_key]
    #[arg(long, value_name = "NAME")]
    pub(crate) targeting_key: Option<String>,
    /// Keeps the last known flags in this file, for a start while the store is unreachable; an SQLite store needs none
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Copies the flags to this store too, and has its flags if the other is unreachable at the start; may be repeated
    #[arg(long, value_name = "URL")]
    #[serde(deserialize_with = "urls")]
    pub(crate) replica: Vec<OsString>,
    /// Reads options from this TOML file, such as `http = "127.0.0.1:8080"`, and `store`; the command line wins
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub(crate) config: Option<PathBuf>,
    /// Checks options, files and the store, and serves nothing
    #[arg(long)]
    #[serde(skip)]
    pub(crate) check: bool,
    /// The log level [default: info]
    #[arg(long, value_name = "LEVEL", value_parser = log_level())]
    #[serde(deserialize_with = "text")]
    pub(crate) log_level: Option<LevelFilter>,
    /// Logs each request over HTTP: who asked for what, the answer, and why it was refused
    #[arg(long)]
    pub(crate) access_log: bool,
    /// The log format, on standard error [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Of the config file alone: the command has `--store`.
    #[arg(skip)]
    pub(crate) store: Option<String>,
}

#[derive(Clone, Copy, Default, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Serve {
    /// Fills in what the command line left out.
    pub(crate) fn or(mut self, file: Self) -> Self {
        macro_rules! fill {
            ($($field:ident)*) => { $(self.$field = self.$field.or(file.$field);)* };
        }
        fill!(http thrift admin public_url tokens proxy_header proxy_role tls_cert tls_key tls_client_ca);
        fill!(targeting_key requests_per_second max_connections drain snapshot log_level log_format store);
        if self.proxy_from.is_empty() {
            self.proxy_from = file.proxy_from;
        }
        if self.cors_origin.is_empty() {
            self.cors_origin = file.cors_origin;
        }
        if self.protect.is_empty() {
            self.protect = file.protect;
        }
        if self.replica.is_empty() {
            self.replica = file.replica;
        }
        self.listen_everywhere |= file.listen_everywhere;
        self.plaintext_behind_proxy |= file.plaintext_behind_proxy;
        self.require_reason |= file.require_reason;
        self.require_if_match |= file.require_if_match;
        self.access_log |= file.access_log;
        self
    }

    /// Paths in a config file begin at its folder.
    pub(crate) fn relative_to(mut self, folder: &Path) -> Self {
        let files =
            [&mut self.tokens, &mut self.tls_cert, &mut self.tls_key, &mut self.tls_client_ca, &mut self.snapshot];
        for file in files.into_iter().flatten() {
            *file = folder.join(&*file);
        }
        for replica in &mut self.replica {
            // What is no URL is reported when it is opened.
            if let Ok(Location { kind: Kind::Sqlite(path), replicas, .. }) = Location::relative_to(replica, folder)
                && replicas.is_empty()
            {
                *replica = "sqlite:".into();
                replica.push(path);
            }
        }
        self
    }
}

fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]).try_map(|level| level.parse::<LevelFilter>())
}

fn text<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Option<T>, D::Error> {
    String::deserialize(deserializer)?.parse().map(Some).map_err(serde::de::Error::custom)
}

fn texts<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    list(deserializer)?.iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// An error of its own: that of serde shows what is no list, and a URL may have a password.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        List(Vec<String>),
        Other(IgnoredAny),
    }
    match Given::deserialize(deserializer)? {
        Given::List(texts) => Ok(texts),
        Given::Other(_) => Err(serde::de::Error::custom("it takes a list of texts in brackets: [\"…\", \"…\"]")),
    }
}

fn urls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<OsString>, D::Error> {
    Ok(list(deserializer)?.into_iter().map(OsString::from).collect())
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(&String::deserialize(deserializer)?).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = r#"
        http = "h:1"
        thrift = "t:2"
        admin = "a:3"
        listen-everywhere = true
        plaintext-behind-proxy = true
        public-url = "https://flags.example.com"
        tokens = "tokens.json"
        proxy-header = "x-user"
        proxy-from = ["10.0.0.0/8"]
        proxy-role = "write"
        cors-origin = ["https://app.example.com"]
        protect = ["pay.*"]
        require-reason = true
        require-if-match = true
        tls-cert = "server.crt"
        tls-key = "server.key"
        tls-client-ca = "ca.crt"
        requests-per-second = 4
        max-connections = 5
        drain = "6s"
        targeting-key = "user"
        snapshot = "flags.json"
        replica = ["memory:"]
        log-level = "warn"
        access-log = true
        log-format = "json"
        store = "sqlite:flags.db"
    "#;

    /// Without `..`: a new option is missing here until the file has it too.
    #[test]
    fn a_file_has_every_option() {
        let Serve {
            http,
            thrift,
            admin,
            listen_everywhere,
            plaintext_behind_proxy,
            public_url,
            tokens,
            proxy_header,
            proxy_from,
            proxy_role,
            cors_origin,
            protect,
            require_reason,
            require_if_match,
            tls_cert,
            tls_key,
            tls_client_ca,
            requests_per_second,
            max_connections,
            drain,
            targeting_key,
            snapshot,
            replica,
            config,
            check,
            log_level,
            access_log,
            log_format,
            store,
        } = Serve::default().or(toml::from_str(ALL).unwrap());
        let texts = [http, thrift, admin, public_url, proxy_header, targeting_key, store].map(Option::unwrap);
        assert_eq!(texts, ["h:1", "t:2", "a:3", "https://flags.example.com", "x-user", "user", "sqlite:flags.db"]);
        let files = [tokens, tls_cert, tls_key, tls_client_ca, snapshot].map(Option::unwrap);
        assert_eq!(files, ["tokens.json", "server.crt", "server.key", "ca.crt", "flags.json"].map(PathBuf::from));
        assert_eq!((cors_origin, protect), (vec!["https://app.example.com".to_owned()], vec!["pay.*".to_owned()]));
        assert_eq!((proxy_from.len(), proxy_role), (1, Some(Role::Write)));
        assert_eq!(replica, [OsString::from("memory:")]);
        assert_eq!((requests_per_second.unwrap().get(), max_connections.unwrap().get()), (4, 5));
        assert_eq!((drain, log_level), (Some(Duration::from_secs(6)), Some(LevelFilter::WARN)));
        assert!(matches!(log_format, Some(LogFormat::Json)));
        assert!([listen_everywhere, plaintext_behind_proxy, require_reason, require_if_match, access_log] == [true; 5]);
        // Only on the command line.
        assert!(config.is_none() && !check);
    }
}
