//! `SCHEME://[USER[:PASSWORD]@]HOST[:PORT][,HOST[:PORT]…][/PATH][?NAME=VALUE&…]`. Within a part, `@ : / ? # %` are percent-encoded. No
//! message contains what may be a secret.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::{Error, Result};
use crate::state::HistoryLimits;

const DAY: Duration = Duration::from_secs(86_400);
const MOST_DAYS: u32 = 36_500;

pub(crate) struct Parts {
    pub(crate) scheme: String,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    has_login: bool,
    pub(crate) authority: String,
    /// Percent-encoded, with its leading slash.
    pub(crate) path: String,
    pub(crate) parameters: Parameters,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

impl Parts {
    pub(crate) fn parse(url: &str, schemes: &[&str], form: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| Error::invalid_input(form))?;
        if !schemes.contains(&scheme) {
            return Err(Error::invalid_input(form));
        }
        if rest.contains('#') {
            return Err(Error::invalid_input("a `#` in a store's URL: in a password it is written as `%23`"));
        }
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if path.contains('@') || query.contains('@') {
            return Err(Error::invalid_input(
                "an `@` behind the host of a store's URL: write a `/` in a password as `%2F`, a `?` as `%3F`, an `@` as `%40`",
            ));
        }
        let (login, authority) = match authority.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, authority),
        };
        let (user, password) = match login.map(|login| login.split_once(':').unwrap_or((login, ""))) {
            Some((user, password)) => {
                let is_given = |text: &String| !text.is_empty();
                (Some(decoded(user)?).filter(is_given), Some(decoded(password)?).filter(is_given))
            }
            None => (None, None),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user,
            password,
            has_login: login.is_some(),
            authority: authority.to_owned(),
            path: path.to_owned(),
            parameters: Parameters::parse(query)?,
        })
    }

    /// `instead` says where secrets go.
    pub(crate) fn refuse_login(&self, instead: &str) -> Result<()> {
        if self.has_login { Err(Error::invalid_input(instead)) } else { Ok(()) }
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn has_host(&self) -> bool {
        !self.authority.is_empty()
    }

    pub(crate) fn host(&self, default_port: u16) -> Result<Host> {
        if self.authority.contains(',') {
            return Err(Error::invalid_input("this kind of store's URL names one host"));
        }
        host(&self.authority, default_port)
    }

    pub(crate) fn hosts(&self, default_port: u16) -> Result<Vec<Host>> {
        self.authority.split(',').map(|text| host(text, default_port)).collect()
    }

    pub(crate) fn decoded_path(&self) -> Result<String> {
        decoded(self.path.trim_matches('/'))
    }

    pub(crate) fn base_key(&mut self) -> Result<Option<String>> {
        let path = Some(self.decoded_path()?).filter(|path| !path.is_empty());
        match (path, self.parameters.take("base_key")) {
            (Some(path), Some(named)) if path != named => {
                Err(Error::invalid_input("a store's URL names two base keys"))
            }
            (path, named) => Ok(path.or(named)),
        }
    }
}

fn host(text: &str, default_port: u16) -> Result<Host> {
    let wrong = || {
        Error::invalid_input(
            "the host of a store's URL is a name, an IPv4 address, or an IPv6 address in brackets, with or without `:PORT`",
        )
    };
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or_else(wrong)?;
            let address: Ipv6Addr = address.parse().map_err(|_| wrong())?;
            (address.to_string(), if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name.to_ascii_lowercase(), Some(port)),
            None => (text.to_ascii_lowercase(), None),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
    // Unspecified addresses cannot be connected to.
    if name.is_empty() || !name.chars().all(is_name) || name == "0.0.0.0" || name == "::" {
        return Err(wrong());
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?,
        None => default_port,
    };
    Ok(Host { name, port })
}

impl Host {
    pub(crate) fn to_address(&self) -> String {
        match self.name.contains(':') {
            true => format!("[{}]:{}", self.name, self.port),
            false => format!("{}:{}", self.name, self.port),
        }
    }
}

pub(crate) fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Error::invalid_input("a part of a store's URL is not UTF-8"))
}

pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(query: &str) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // As in HTML forms.
            let [name, value] = [name, value].map(|text| decoded(&text.replace('+', " ")));
            let name = name?;
            if parameters.insert(name.clone(), value?).is_some() {
                return Err(Error::invalid_input(format!("a store's URL has the parameter {} twice", quoted(&name))));
            }
        }
        Ok(Self(parameters))
    }

    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub(crate) fn take_one_of<T: Copy>(&mut self, name: &str, values: &[(&str, T)]) -> Result<Option<T>> {
        let Some(given) = self.take(name) else { return Ok(None) };
        match values.iter().find(|(value, _)| *value == given) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => {
                let values: Vec<_> = values.iter().map(|(value, _)| format!("`{value}`")).collect();
                Err(Error::invalid_input(format!("`{name}` in a store's URL is one of {}", values.join(", "))))
            }
        }
    }

    /// How much history is kept; `None` with `history=off`, which allows no limits.
    pub(crate) fn take_history(&mut self, limits: HistoryLimits) -> Result<Option<HistoryLimits>> {
        let is_kept = self.take_one_of("history", &[("on", true), ("off", false)])?.unwrap_or(true);
        let (entries, days) =
            (self.take_number("history_entries", u32::MAX)?, self.take_number("history_days", MOST_DAYS)?);
        if !is_kept && (entries.is_some() || days.is_some()) {
            return Err(Error::invalid_input("a store's URL has `history=off`, and a limit of the history too"));
        }
        let limits = set(limits, entries, HistoryLimits::entries);
        let limits = set(limits, days, |limits, days| limits.age(DAY * days));
        Ok(is_kept.then_some(limits))
    }

    /// From 1 to `most`.
    pub(crate) fn take_number<T: FromStr + PartialOrd + From<u8> + Copy>(
        &mut self,
        name: &str,
        most: T,
    ) -> Result<Option<T>> {
        let Some(given) = self.take(name) else { return Ok(None) };
        let number = given.parse().ok().filter(|number| (T::from(1)..=most).contains(number));
        number.map(Some).ok_or_else(|| Error::invalid_input(format!("`{name}` in a store's URL is no number in range")))
    }

    pub(crate) fn refuse_rest(self, known: &[&str]) -> Result<()> {
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        let known: Vec<_> = known.iter().map(|name| format!("`{name}`")).collect();
        let message = format!("a store's URL has no parameter {} here; there are {}", quoted(&name), known.join(", "));
        Err(Error::invalid_input(message))
    }
}

/// As `500ms`, `30s` or `1m`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let number: u64 = number.parse().ok()?;
    match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        _ => None,
    }
}

pub(crate) fn set<B, V>(builder: B, value: Option<V>, setter: impl FnOnce(B, V) -> B) -> B {
    match value {
        Some(value) => setter(builder, value),
        None => builder,
    }
}

/// Other characters may be part of a password.
fn quoted(name: &str) -> String {
    match name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        true => format!("`{name}`"),
        false => "of this name".to_owned(),
    }
}
