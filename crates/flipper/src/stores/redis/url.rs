//! The URLs of Redis stores, all read here.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::place::{Credentials, Form, Host, Place, Tls};
use crate::error::{Error, Result};

/// The schemes of Redis stores' URLs.
pub(super) const SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "valkey",
    "valkeys",
    "redis-cluster",
    "rediss-cluster",
    "redis-sentinel",
    "rediss-sentinel",
    "redis+unix",
    "unix",
];

const FORM: &str = "a Redis store's URL is `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?base_key=KEY]`, \
    `redis-cluster://HOST[:PORT],…`, `redis-sentinel://HOST[:PORT],…/MASTER[/DATABASE]` or `redis+unix:///PATH[?db=DATABASE]`; \
    with TLS it begins with `rediss`";

/// What an address shows as it is.
const SHOWN: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'/').remove(b'~').remove(b':');

/// A place and the base key, if the URL names one. No message holds anything that may be a secret.
pub(super) fn parse(url: &str) -> Result<(Place, Option<String>)> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| Error::invalid_input(FORM))?;
    if !SCHEMES.contains(&scheme) {
        return Err(Error::invalid_input(FORM));
    }
    if rest.contains('#') {
        return Err(Error::invalid_input("a `#` in a Redis URL: in a password it is written as `%23`"));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    if path.contains('@') || query.contains('@') {
        return Err(Error::invalid_input(
            "an `@` behind the host of a Redis URL: write a `/` in a password as `%2F`, a `?` as `%3F`, an `@` as `%40`",
        ));
    }
    let (user, hosts) = match authority.rsplit_once('@') {
        Some((user, hosts)) => (credentials(user)?, hosts),
        None => (Credentials::default(), authority),
    };
    let mut parameters = Parameters::parse(query)?;
    let base_key = parameters.take("base_key");
    let resp2 = match parameters.take("protocol").as_deref() {
        None | Some("3" | "resp3") => false,
        Some("2" | "resp2") => true,
        Some(_) => return Err(Error::invalid_input("`protocol` is `resp2` or `resp3`")),
    };
    let form = form(scheme, hosts, path, &mut parameters)?;
    let secured = matches!(scheme, "rediss" | "valkeys" | "rediss-cluster" | "rediss-sentinel");
    let tls = tls(secured, &mut parameters)?;
    parameters.refuse_rest()?;
    Ok((Place { form, user, tls, resp2 }, base_key))
}

fn form(scheme: &str, hosts: &str, path: &str, parameters: &mut Parameters) -> Result<Form> {
    let named = parameters.take("db");
    if scheme.ends_with("unix") {
        if !hosts.is_empty() || path.len() < 2 {
            return Err(Error::invalid_input("the URL of a Unix socket is `redis+unix:///PATH[?db=DATABASE]`"));
        }
        return Ok(Form::Unix { path: decoded(path)?.into(), db: database("", named.as_deref())? });
    }
    if scheme.ends_with("-cluster") {
        return Ok(Form::Cluster { hosts: self::hosts(hosts, 6379)?, db: database(path, named.as_deref())? });
    }
    if scheme.ends_with("-sentinel") {
        let (master, db) = path.trim_start_matches('/').split_once('/').unwrap_or((path.trim_start_matches('/'), ""));
        if master.is_empty() {
            return Err(Error::invalid_input(
                "the URL of Sentinels names the service: `redis-sentinel://HOST,…/MASTER`",
            ));
        }
        let user =
            Credentials { user: parameters.take("sentinel_username"), password: parameters.take("sentinel_password") };
        return Ok(Form::Sentinel {
            hosts: self::hosts(hosts, 26379)?,
            master: decoded(master)?,
            db: database(db, named.as_deref())?,
            user: user.complete(),
        });
    }
    let mut found = self::hosts(hosts, 6379)?;
    match (found.pop(), found.is_empty()) {
        (Some(host), true) => Ok(Form::Node { host, db: database(path, named.as_deref())? }),
        _ => Err(Error::invalid_input(
            "several hosts are a cluster, `redis-cluster://HOST,HOST`, or Sentinels, `redis-sentinel://HOST,HOST/MASTER`",
        )),
    }
}

fn credentials(text: &str) -> Result<Credentials> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(decoded(password)?)),
        None => (text, None),
    };
    let user = Some(decoded(user)?).filter(|user| !user.is_empty());
    let password = password.filter(|password| user.is_some() || !password.is_empty());
    Ok(Credentials { user, password }.complete())
}

fn hosts(text: &str, port: u16) -> Result<Vec<Host>> {
    text.split(',').map(|host| self::host(host, port)).collect()
}

fn host(text: &str, default_port: u16) -> Result<Host> {
    let wrong = || Error::invalid_input("the host of a Redis URL is a name or an address, with or without `:PORT`");
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
    // The driver refuses the addresses that stand for all.
    if name.is_empty() || !name.chars().all(is_name) || name == "0.0.0.0" || name == "::" {
        return Err(wrong());
    }
    let port = match port {
        Some(port) => port.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)?,
        None => default_port,
    };
    Ok(Host { name, port })
}

fn database(path: &str, named: Option<&str>) -> Result<i64> {
    let number = |text: &str| {
        let digits = !text.is_empty() && text.len() < 10 && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse().ok()).flatten().ok_or_else(|| Error::invalid_input("a Redis database is a number"))
    };
    let path = path.trim_matches('/');
    match (path, named) {
        ("", None) => Ok(0),
        ("", Some(named)) => number(named),
        (path, None) => number(path),
        (path, Some(named)) if number(path)? == number(named)? => number(path),
        _ => Err(Error::invalid_input("a Redis URL names two databases")),
    }
}

fn tls(secured: bool, parameters: &mut Parameters) -> Result<Option<Tls>> {
    let [ca, cert, key] = ["ca", "cert", "key"].map(|name| parameters.take(name).map(Into::into));
    if cert.is_some() != key.is_some() {
        return Err(Error::invalid_input("`cert` and `key`, the files of a client certificate, go together"));
    }
    let tls = Tls { ca, cert, key };
    if !secured && tls != Tls::default() {
        return Err(Error::invalid_input("`ca`, `cert` and `key` are for TLS: the URL then begins with `rediss`"));
    }
    Ok(secured.then_some(tls))
}

fn decoded(text: &str) -> Result<String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| Error::invalid_input("a part of the Redis URL is not UTF-8"))
}

/// For a place: nothing in it can be taken for another part of the URL.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SHOWN).to_string()
}

/// Hosts in one order, however they were given.
pub(super) fn shown(hosts: &[Host]) -> String {
    let mut hosts: Vec<_> = hosts.iter().collect();
    hosts.sort();
    let mut text = String::new();
    for host in hosts {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string never fails.
        let _ = match host.name.contains(':') {
            true => write!(text, "{comma}[{}]:{}", host.name, host.port),
            false => write!(text, "{comma}{}:{}", host.name, host.port),
        };
    }
    text
}

struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn parse(query: &str) -> Result<Self> {
        let mut parameters = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // As in forms, which the other stores' URLs follow too.
            let [name, value] = [name, value].map(|text| decoded(&text.replace('+', " ")));
            let name = name?;
            if parameters.insert(name.clone(), value?).is_some() {
                return Err(Error::invalid_input(format!("the Redis URL has {} twice", quoted(&name))));
            }
        }
        Ok(Self(parameters))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    fn refuse_rest(self) -> Result<()> {
        let Some(name) = self.0.into_keys().next() else { return Ok(()) };
        let known = "`base_key`, `db`, `protocol`, with `rediss` `ca`, `cert` and `key`, with Sentinels `sentinel_username` and \
            `sentinel_password`";
        Err(Error::invalid_input(format!("a Redis URL has no parameter {} here; there are {known}", quoted(&name))))
    }
}

/// A name that can be no secret; what has other characters may be a part of a password.
fn quoted(name: &str) -> String {
    match name.len() <= 32 && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)) {
        true => format!("`{name}`"),
        false => "of this name".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::store::FeatureFlagStore;
    use crate::stores::RedisFeatureFlagStore;

    fn identity(url: &str) -> String {
        RedisFeatureFlagStore::connect(url).unwrap().identity().to_string()
    }

    #[test]
    fn urls() {
        for (url, place) in [
            ("redis://localhost", "redis://localhost:6379/0?base_key=features"),
            ("valkey://LOCALHOST:1/", "redis://localhost:1/0?base_key=features"),
            ("rediss://u:p@[::1]:7000/3?base_key=a%2Fb&protocol=resp3", "rediss://[::1]:7000/3?base_key=a/b"),
            ("redis://h?db=4&base_key=a+%26b", "redis://h:6379/4?base_key=a%20%26b"),
            ("redis-cluster://b,a:7", "redis-cluster://a:7,b:6379/0?base_key=features"),
            ("redis-sentinel://u:p@b,a:7/my%20set/2", "redis-sentinel://a:7,b:26379/my%20set/2?base_key=features"),
            ("redis+unix:///run/a%20b.sock?db=2", "redis+unix:///run/a%20b.sock?db=2&base_key=features"),
            ("unix://u:p@/run/s", "redis+unix:///run/s?db=0&base_key=features"),
        ] {
            assert_eq!(identity(url), place);
        }
    }

    #[test]
    fn credentials_are_decoded_and_complete() {
        for (url, user, password) in [
            ("redis://h", None, None),
            ("redis://:@h", None, None),
            ("redis://:p%40%2F%3F%23%25@h", None, Some("p@/?#%")),
            ("redis://viewer@h", Some("viewer"), Some("")),
            ("redis://viewer:@h", Some("viewer"), Some("")),
            ("redis-cluster://u%3A:p:q@a,b", Some("u:"), Some("p:q")),
            ("redis-sentinel://u:p+q@a/m", Some("u"), Some("p+q")),
            ("redis+unix://u:p@/s", Some("u"), Some("p")),
        ] {
            let (place, _) = parse(url).unwrap();
            assert_eq!((place.user.user.as_deref(), place.user.password.as_deref()), (user, password), "{url}");
        }
        let (place, _) = parse("redis-sentinel://a/m?sentinel_password=x").unwrap();
        let Form::Sentinel { user, .. } = place.form else { panic!() };
        assert_eq!((user.user, user.password.as_deref()), (None, Some("x")));
    }

    #[test]
    fn what_is_refused_and_without_a_secret() {
        for url in [
            "redis:/nowhere:secret",
            "redis://u:secret@h/notadb",
            "redis://u:secret@h/-1",
            "redis://u:secret@h/1/2",
            "redis://u:secret@h/1?db=2",
            "redis://u:secret@h?base=x",
            "redis://u:secret@h?base_key=a&base_key=b",
            "redis://u:12/secret@h",
            "redis://u:12?secret@h",
            "redis://u:12#secret@h",
            "redis://u:secret@",
            "redis://u:secret@h:0",
            "redis://u:secret@h:70000",
            "redis://u:secret@0.0.0.0",
            "redis://u:secret@a,b",
            "redis://u:secret@h%41",
            "redis://u:%ffsecret@h",
            "redis://u:secret@h?ca=/x",
            "rediss://u:secret@h?cert=/x",
            "redis-sentinel://u:secret@h",
            "redis-cluster://u:secret@a,,b",
            "redis+unix://u:secret@h/path",
            "redis+unix://u:secret@",
            "http://u:secret@h",
        ] {
            let error = RedisFeatureFlagStore::connect(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error:?}");
        }
        let error = RedisFeatureFlagStore::connect("redis://h?timeout=3").unwrap_err();
        assert!(error.to_string().contains("no parameter `timeout`"), "{error}");
        let store = RedisFeatureFlagStore::connect("redis://u:secret@localhost").unwrap();
        assert!(!format!("{store} {store:?} {}", store.identity()).contains("secret"));
    }
}
