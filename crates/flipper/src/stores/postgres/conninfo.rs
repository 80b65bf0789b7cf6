//! libpq's connection strings: `KEYWORD=VALUE …` or a URL, then the variables `PG*`. What the driver cannot honour is refused by name.

use std::collections::BTreeMap;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::config::ChannelBinding;

use super::place::{Checked, Host, Login, Place, Session, Tls, default_host};
use crate::error::{Error, Result};
use crate::stores::url_parts::decoded;

pub(super) const FORM: &str = "a PostgreSQL store's URL is `postgresql://[USER[:PASSWORD]@][HOST[:PORT][,…]][/DATABASE][?NAME=VALUE&…]`, \
    or libpq's `host=HOST dbname=DATABASE …`";

/// By keyword, its variable, if there is one.
const KEYWORDS: &[(&str, &str)] = &[
    ("application_name", "PGAPPNAME"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("client_encoding", "PGCLIENTENCODING"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("dbname", "PGDATABASE"),
    ("fallback_application_name", ""),
    ("gssdelegation", "PGGSSDELEGATION"),
    ("gssencmode", "PGGSSENCMODE"),
    ("gsslib", "PGGSSLIB"),
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("keepalives", ""),
    ("keepalives_count", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("options", "PGOPTIONS"),
    ("passfile", "PGPASSFILE"),
    ("password", "PGPASSWORD"),
    ("port", "PGPORT"),
    ("replication", ""),
    ("require_auth", "PGREQUIREAUTH"),
    ("requirepeer", "PGREQUIREPEER"),
    ("service", "PGSERVICE"),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION"),
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION"),
    ("sslcert", "PGSSLCERT"),
    ("sslcertmode", "PGSSLCERTMODE"),
    ("sslcompression", "PGSSLCOMPRESSION"),
    ("sslcrl", "PGSSLCRL"),
    ("sslcrldir", "PGSSLCRLDIR"),
    ("sslkey", "PGSSLKEY"),
    ("sslmode", "PGSSLMODE"),
    ("sslnegotiation", "PGSSLNEGOTIATION"),
    ("sslpassword", ""),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslsni", "PGSSLSNI"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("tcp_user_timeout", ""),
    ("user", "PGUSER"),
];

/// Without effect here, or with one of these values: nothing that libpq would do is left out.
const HONOURED: &[(&str, &[&str])] = &[
    ("client_encoding", &["UTF8", "utf8", "UTF-8", "utf-8", "auto"]),
    ("gssencmode", &["disable", "prefer"]),
    ("replication", &["false", "off", "no", "0"]),
    ("require_auth", &[]),
    ("requirepeer", &[]),
    ("service", &[]),
    ("ssl_max_protocol_version", &["TLSv1.3"]),
    ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("sslcertmode", &["allow"]),
    ("sslcompression", &["0"]),
    ("sslcrl", &[]),
    ("sslcrldir", &[]),
    ("sslnegotiation", &["postgres"]),
    ("sslpassword", &[]),
    ("sslsni", &["1"]),
];

/// Settings by keyword, and the parameters of our own.
pub(super) struct Conninfo {
    given: BTreeMap<String, String>,
}

impl Conninfo {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let url = ["postgres://", "postgresql://"].iter().find_map(|scheme| text.strip_prefix(scheme));
        let given = match url {
            Some(rest) => of_url(rest)?,
            None => of_keywords(text)?,
        };
        Ok(Self { given })
    }

    /// One that is no keyword of libpq.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.given.remove(name)
    }

    /// `variable`: of the environment.
    pub(super) fn place(mut self, variable: impl Fn(&str) -> Option<String>) -> Result<Place> {
        let known = |name: &String| KEYWORDS.iter().any(|(keyword, _)| keyword == name);
        if let Some(name) = self.given.keys().find(|name| !known(name)) {
            return Err(Error::invalid_input(format!("a PostgreSQL store's URL has no parameter {}", shown(name))));
        }
        for (keyword, name) in KEYWORDS {
            // As for libpq, an empty variable counts as unset.
            if !self.given.contains_key(*keyword)
                && !name.is_empty()
                && let Some(value) = variable(name).filter(|value| !value.is_empty())
            {
                self.given.insert((*keyword).to_owned(), value);
            }
        }
        // An old variable of libpq.
        if !self.given.contains_key("sslmode") && variable("PGREQUIRESSL").is_some_and(|value| value.starts_with('1')) {
            self.given.insert("sslmode".to_owned(), "require".to_owned());
        }
        self.given.retain(|_, value| !value.is_empty());
        for (keyword, values) in HONOURED {
            if let Some(value) = self.given.remove(*keyword)
                && !values.contains(&value.as_str())
            {
                let value = if *keyword == "sslpassword" { "" } else { &value };
                return Err(refused(keyword, value));
            }
        }
        let home = variable("HOME").filter(|home| !home.is_empty());
        let hosts = self.hosts()?;
        let tls = self.tls(home.as_deref(), &hosts)?;
        let user = self.take("user").or_else(|| variable("USER").filter(|user| !user.is_empty()));
        let passfile = self.take("passfile").or_else(|| home.map(|home| format!("{home}/.pgpass")));
        let login = Login { user, password: self.take("password"), passfile: passfile.map(Into::into) };
        let name = self.take("fallback_application_name").unwrap_or_else(|| "flipper".to_owned());
        let session = Session {
            application_name: self.take("application_name").unwrap_or(name),
            options: self.take("options"),
            channel_binding: self.one_of(
                "channel_binding",
                &[
                    ("disable", ChannelBinding::Disable),
                    ("prefer", ChannelBinding::Prefer),
                    ("require", ChannelBinding::Require),
                ],
            )?,
            connect_timeout: self.number::<u64>("connect_timeout")?.filter(|s| *s > 0).map(Duration::from_secs),
            keepalives: self.one_of("keepalives", &[("0", false), ("1", true)])?,
            keepalives_idle: self.number("keepalives_idle")?.map(Duration::from_secs),
            keepalives_interval: self.number("keepalives_interval")?.map(Duration::from_secs),
            keepalives_count: self.number("keepalives_count")?,
            tcp_user_timeout: self.number("tcp_user_timeout")?.map(Duration::from_millis),
        };
        let wanted = self.one_of(
            "target_session_attrs",
            &[
                ("any", Checked::Any),
                ("read-write", Checked::ReadWrite),
                ("read-only", Checked::ReadOnly),
                ("primary", Checked::Primary),
                ("standby", Checked::Standby),
                ("prefer-standby", Checked::PreferStandby),
            ],
        )?;
        let shuffled = self.one_of("load_balance_hosts", &[("disable", false), ("random", true)])?.unwrap_or(false);
        let database = self.take("dbname");
        Ok(Place { hosts, database, login, session, tls, wanted: wanted.unwrap_or(Checked::Any), shuffled })
    }

    fn hosts(&mut self) -> Result<Vec<Host>> {
        let list = |text: Option<String>| -> Vec<String> {
            text.map(|text| text.split(',').map(|part| part.trim().to_owned()).collect()).unwrap_or_default()
        };
        let (names, addresses, ports) = (list(self.take("host")), list(self.take("hostaddr")), list(self.take("port")));
        let count = names.len().max(addresses.len()).max(1);
        if [names.len(), addresses.len()].iter().any(|length| *length > 1 && *length != count)
            || (ports.len() > 1 && ports.len() != count)
        {
            return Err(Error::invalid_input(
                "`host`, `hostaddr` and `port` of a PostgreSQL store name different numbers",
            ));
        }
        let given = |texts: &[String], at: usize| {
            texts.get(at).or(texts.first().filter(|_| texts.len() == 1)).cloned().filter(|text| !text.is_empty())
        };
        (0..count)
            .map(|at| {
                let port = match given(&ports, at) {
                    None => 5432,
                    Some(text) => text.parse().ok().filter(|port| *port > 0).ok_or_else(|| {
                        Error::invalid_input("the port of a PostgreSQL store is a number up to 65535")
                    })?,
                };
                let address = match given(&addresses, at).map(|text| text.parse()).transpose() {
                    Ok(address) => address,
                    Err(_) => return Err(Error::invalid_input("`hostaddr` of a PostgreSQL store is an IP address")),
                };
                let name = given(&names, at);
                if name.as_ref().is_some_and(|name| name.contains('@') && !name.starts_with('@')) {
                    return Err(Error::invalid_input(
                        "the host of a PostgreSQL store has an `@`: in a password it is written as `%40`",
                    ));
                }
                let name = match (name, address) {
                    (None, None) => default_host(),
                    (name, _) => name.unwrap_or_default(),
                };
                Ok(Host { name, address, port })
            })
            .collect()
    }

    fn tls(&mut self, home: Option<&str>, hosts: &[Host]) -> Result<Tls> {
        let mode = self.take("sslmode").unwrap_or_else(|| "prefer".to_owned());
        let root = self.take("sslrootcert");
        // A socket has no TLS: libpq ignores the mode there.
        if hosts.iter().all(Host::is_socket) {
            return Ok(Tls::disabled());
        }
        let system = root.as_deref() == Some("system");
        if system && mode != "verify-full" {
            return Err(Error::invalid_input("`sslrootcert=system` needs `sslmode=verify-full`"));
        }
        if mode == "disable" {
            return Ok(Tls::disabled());
        }
        let files =
            |name: &str| home.map(|home| format!("{home}/.postgresql/{name}")).filter(|path| Path::new(path).exists());
        let (certificate, key) = match (self.take("sslcert"), self.take("sslkey")) {
            (None, None) => (files("postgresql.crt"), files("postgresql.key")),
            pair => pair,
        };
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err(Error::invalid_input("`sslcert` and `sslkey` of a PostgreSQL store go together")),
        };
        let authorities = root.or_else(|| files("root.crt")).map(Into::into);
        let trusted = authorities.is_some();
        let tls = |required, verified, named| Tls { allowed: true, required, verified, named, authorities, identity };
        Ok(match mode.as_str() {
            "prefer" => tls(false, false, false),
            // With authorities at hand, it is `verify-ca`.
            "require" => tls(true, trusted, false),
            "verify-ca" | "verify-full" if !trusted => {
                return Err(Error::invalid_input(format!(
                    "`sslmode={mode}` needs `sslrootcert=FILE`, or `sslrootcert=system` for the system's authorities"
                )));
            }
            "verify-ca" => tls(true, true, false),
            "verify-full" => tls(true, true, true),
            "allow" => return Err(refused("sslmode", "allow")),
            _ => {
                return Err(Error::invalid_input(
                    "`sslmode` of a PostgreSQL store is one of `disable`, `prefer`, `require`, `verify-ca`, `verify-full`",
                ));
            }
        })
    }

    fn one_of<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Result<Option<T>> {
        let Some(given) = self.take(name) else { return Ok(None) };
        let found = values.iter().find(|(value, _)| *value == given).map(|(_, meaning)| *meaning);
        let wrong = || {
            let values: Vec<_> = values.iter().map(|(value, _)| format!("`{value}`")).collect();
            Error::invalid_input(format!("`{name}` of a PostgreSQL store is one of {}", values.join(", ")))
        };
        found.ok_or_else(wrong).map(Some)
    }

    fn number<T: FromStr>(&mut self, name: &str) -> Result<Option<T>> {
        let Some(given) = self.take(name) else { return Ok(None) };
        let wrong = |_| Error::invalid_input(format!("`{name}` of a PostgreSQL store is a number"));
        given.trim().parse().map_err(wrong).map(Some)
    }
}

fn refused(keyword: &str, value: &str) -> Error {
    let value = if value.is_empty() { String::new() } else { format!("={value}") };
    Error::invalid_input(format!("`{keyword}{value}` of a PostgreSQL store cannot be honoured here"))
}

/// Other characters may be part of a password.
fn shown(name: &str) -> String {
    match name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => format!("`{name}`"),
        false => "of this name".to_owned(),
    }
}

fn of_url(rest: &str) -> Result<BTreeMap<String, String>> {
    let misplaced = || {
        Error::invalid_input(
            "a PostgreSQL store's URL: in a password write a `/` as `%2F`, a `?` as `%3F`, an `@` as `%40`, a `#` as `%23`",
        )
    };
    if rest.contains('#') {
        return Err(misplaced());
    }
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if behind.contains('@') || authority.matches('@').count() > 1 {
        return Err(misplaced());
    }
    let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
    let mut found = BTreeMap::new();
    let hosts = match authority.split_once('@') {
        None => authority,
        Some((login, hosts)) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            found.insert("user".to_owned(), decoded(user)?);
            found.insert("password".to_owned(), decoded(password)?);
            hosts
        }
    };
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',').filter(|_| !hosts.is_empty()) {
        let (name, port) = match host.strip_prefix('[') {
            Some(inner) => {
                let (name, port) = inner.split_once(']').ok_or_else(|| Error::invalid_input(FORM))?;
                (
                    name,
                    if port.is_empty() {
                        ""
                    } else {
                        port.strip_prefix(':').ok_or_else(|| Error::invalid_input(FORM))?
                    },
                )
            }
            None => host.split_once(':').unwrap_or((host, "")),
        };
        names.push(decoded(name)?);
        ports.push(port.to_owned());
    }
    let any = |parts: &[String]| parts.iter().any(|part| !part.is_empty());
    if any(&names) {
        found.insert("host".to_owned(), names.join(","));
    }
    if any(&ports) {
        found.insert("port".to_owned(), ports.join(","));
    }
    found.insert("dbname".to_owned(), decoded(path.strip_prefix('/').unwrap_or(path))?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or_else(|| Error::invalid_input(FORM))?;
        match (decoded(name)?, decoded(value)?) {
            // As JDBC spells it.
            (name, value) if name == "ssl" && value == "true" => {
                found.insert("sslmode".to_owned(), "require".to_owned())
            }
            (name, value) => found.insert(name, value),
        };
    }
    found.retain(|_, value| !value.is_empty());
    Ok(found)
}

fn of_keywords(text: &str) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    let mut rest = text.trim_start();
    if rest.is_empty() || !rest.contains('=') || rest.contains("://") && !rest.contains(' ') {
        return Err(Error::invalid_input(FORM));
    }
    while !rest.is_empty() {
        let (name, behind) = rest.split_once('=').ok_or_else(|| Error::invalid_input(FORM))?;
        let name = name.trim();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Error::invalid_input(FORM));
        }
        let (value, behind) = value(behind.trim_start())?;
        found.insert(name.to_owned(), value);
        rest = behind.trim_start();
    }
    Ok(found)
}

/// Quoted or not, with backslashes; and what follows.
fn value(text: &str) -> Result<(String, &str)> {
    let quoted = text.starts_with('\'');
    let text = text.strip_prefix('\'').unwrap_or(text);
    let (mut value, mut letters) = (String::new(), text.char_indices());
    while let Some((at, letter)) = letters.next() {
        match letter {
            '\\' => value.extend(letters.next().map(|(_, letter)| letter)),
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            letter if !quoted && letter.is_whitespace() => return Ok((value, &text[at..])),
            letter => value.push(letter),
        }
    }
    match quoted {
        true => Err(Error::invalid_input("a PostgreSQL connection string has a quote without its end")),
        false => Ok((value, "")),
    }
}
