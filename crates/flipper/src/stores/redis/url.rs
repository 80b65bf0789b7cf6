use super::place::{Credentials, Form, Place, Tls};
use crate::error::{Error, Result};
use crate::state::HistoryLimits;
use crate::stores::kinds::REDIS;
use crate::stores::url_parts::{Parameters, Parts, decoded};

const FORM: &str = "a Redis store's URL is `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?base_key=KEY]`, \
    `redis-cluster://HOST[:PORT],…`, `redis-sentinel://HOST[:PORT],…/MASTER[/DATABASE]` or `redis+unix:///PATH[?db=DATABASE]`; \
    with TLS it begins with `rediss`";

pub(super) struct Parsed {
    pub(super) place: Place,
    pub(super) base_key: Option<String>,
    pub(super) history: Option<HistoryLimits>,
}

pub(super) fn parse(url: &str) -> Result<Parsed> {
    let mut parts = Parts::parse(url, REDIS.schemes, FORM)?;
    let base_key = parts.parameters.take("base_key");
    let protocols = [("3", false), ("resp3", false), ("2", true), ("resp2", true)];
    let resp2 = parts.parameters.take_one_of("protocol", &protocols)?.unwrap_or(false);
    let history = parts.parameters.take_history(HistoryLimits::default())?;
    let form = form(&mut parts)?;
    let secured = matches!(parts.scheme.as_str(), "rediss" | "valkeys" | "rediss-cluster" | "rediss-sentinel");
    let tls = tls(secured, &mut parts.parameters)?;
    parts.parameters.refuse_rest(REDIS.parameters)?;
    let user = Credentials { user: parts.user, password: parts.password }.complete();
    Ok(Parsed { place: Place { form, user, tls, resp2 }, base_key, history })
}

fn form(parts: &mut Parts) -> Result<Form> {
    let named = parts.parameters.take("db");
    if parts.scheme.ends_with("unix") {
        if parts.has_host() || parts.path.len() < 2 {
            return Err(Error::invalid_input("the URL of a Unix socket is `redis+unix:///PATH[?db=DATABASE]`"));
        }
        return Ok(Form::Unix { path: decoded(&parts.path)?.into(), db: database("", named.as_deref())? });
    }
    if parts.scheme.ends_with("-cluster") {
        return Ok(Form::Cluster { hosts: parts.hosts(6379)?, db: database(&parts.path, named.as_deref())? });
    }
    if parts.scheme.ends_with("-sentinel") {
        let path = parts.path.trim_start_matches('/');
        let (master, db) = path.split_once('/').unwrap_or((path, ""));
        if master.is_empty() {
            return Err(Error::invalid_input(
                "the URL of Sentinels names the service: `redis-sentinel://HOST,…/MASTER`",
            ));
        }
        let [user, password] = ["sentinel_username", "sentinel_password"].map(|name| parts.parameters.take(name));
        return Ok(Form::Sentinel {
            hosts: parts.hosts(26379)?,
            master: decoded(master)?,
            db: database(db, named.as_deref())?,
            user: Credentials { user, password }.complete(),
        });
    }
    let mut found = parts.hosts(6379)?;
    match (found.pop(), found.is_empty()) {
        (Some(host), true) => Ok(Form::Node { host, db: database(&parts.path, named.as_deref())? }),
        _ => Err(Error::invalid_input(
            "several hosts are a cluster, `redis-cluster://HOST,HOST`, or Sentinels, `redis-sentinel://HOST,HOST/MASTER`",
        )),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::store::FeatureFlagStore;
    use crate::stores::RedisFeatureFlagStore;

    fn identity(url: &str) -> String {
        RedisFeatureFlagStore::from_url(url).unwrap().identity().to_string()
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
    fn how_much_history_is_kept() {
        let kept = |url: &str| {
            parse(url).unwrap().history.map(|limits| (limits.kept_entries(), limits.kept_age().as_secs() / 86_400))
        };
        assert_eq!(kept("redis://h"), Some((10_000, 90)));
        assert_eq!(kept("redis://h?history=on&history_entries=5"), Some((5, 90)));
        assert_eq!(kept("redis://h?history_days=400&history_entries=1000000"), Some((1_000_000, 400)));
        assert_eq!(kept("redis://h?history=off"), None);
        for wrong in [
            "history=no",
            "history_entries=0",
            "history_days=1h",
            "history_days=36501",
            "history=off&history_days=7",
            "history=off&history_entries=7",
        ] {
            assert!(parse(&format!("redis://h?{wrong}")).is_err(), "{wrong}");
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
            let Parsed { place, .. } = parse(url).unwrap();
            assert_eq!((place.user.user.as_deref(), place.user.password.as_deref()), (user, password), "{url}");
        }
        let Parsed { place, .. } = parse("redis-sentinel://a/m?sentinel_password=x").unwrap();
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
            let error = RedisFeatureFlagStore::from_url(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("secret"), "{url}: {error:?}");
        }
        let error = RedisFeatureFlagStore::from_url("redis://h?timeout=3").unwrap_err();
        assert!(error.to_string().contains("no parameter `timeout`"), "{error}");
        let store = RedisFeatureFlagStore::from_url("redis://u:secret@localhost").unwrap();
        assert!(!format!("{store} {store:?} {}", store.identity()).contains("secret"));
    }
}
