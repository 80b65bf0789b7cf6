//! Sends no command that could change anything.

use std::time::{Duration, Instant, SystemTime};

use redis::{Cmd, FromRedisValue, RedisResult, Value};

use super::RedisFeatureFlagStore;
use super::client::Connection;
use super::cluster::primaries;
use super::errors::{from_driver, is_refusal};
use super::link::command;
use super::notifications::are_enough;
use super::state::field;
use crate::inspection::{Check, Finding};
use crate::store::FeatureFlagStore;
use crate::stores::base_key::history_key;

/// As arguments of `ACL DRYRUN`; the name is for the report.
const COMMANDS: &[(&str, &[&str])] = &[
    ("GET", &["GET", "KEY"]),
    ("MGET", &["MGET", "KEY"]),
    ("TYPE", &["TYPE", "KEY"]),
    ("SCAN", &["SCAN", "0"]),
    ("SET", &["SET", "KEY", "x"]),
    ("DEL", &["DEL", "KEY"]),
    ("EVAL", &["EVAL", "return 1", "1", "KEY"]),
    ("EVALSHA", &["EVALSHA", "x", "1", "KEY"]),
];

const HISTORY: &[(&str, &[&str])] = &[
    ("XADD", &["XADD", "KEY", "*", "a", "b"]),
    ("XDEL", &["XDEL", "KEY", "0-1"]),
    ("XRANGE", &["XRANGE", "KEY", "-", "+"]),
    ("XREVRANGE", &["XREVRANGE", "KEY", "+", "-"]),
];

const MOST_OFF: Duration = Duration::from_secs(5);

pub(super) async fn inspect(store: &RedisFeatureFlagStore) -> Vec<Check> {
    let started = Instant::now();
    let ask = Asker { store };
    let mut checks = Vec::new();
    let reached = match store.link.connection(store.timeout).await {
        Ok(live) => ask.text(redis::cmd("PING")).await.map(|_| live),
        Err(error) => Err(error),
    };
    let live = match reached {
        Ok(live) => live,
        Err(error) => return vec![Check::fault("reachable", from_driver(error).chain())],
    };
    checks.push(Check::fine("reachable", format!("in {:.1} ms", started.elapsed().as_secs_f64() * 1e3)));
    let info = ask.text(redis::cmd("INFO")).await.unwrap_or_default();
    checks.extend(version(&info));
    checks.push(kind(store, &live.connection, &info).await);
    checks.push(ask.rights().await);
    checks.push(ask.push(&live.connection).await);
    checks.extend(persistence(&info));
    checks.extend(eviction(&info));
    checks.extend(ask.clock().await);
    let identity = store.identity();
    let identity = field(&info, "run_id").map_or(identity.clone(), |run_id| identity.with_epoch(run_id));
    checks.push(Check::fine("identity", identity.to_string()));
    checks.push(match store.list().await {
        Ok(flags) => Check::fine("flags", flags.len().to_string()),
        Err(error) => Check::fault("flags", error.chain()),
    });
    checks
}

fn version(info: &str) -> Option<Check> {
    // Valkey also reports the version of Redis that it is compatible with.
    let text = match (field(info, "valkey_version"), field(info, "redis_version")) {
        (Some(version), _) => format!("Valkey {version}"),
        (None, Some(version)) => format!("Redis {version}"),
        (None, None) => return None,
    };
    Some(Check::fine("version", text))
}

async fn kind(store: &RedisFeatureFlagStore, connection: &Connection, info: &str) -> Check {
    let by = if store.link.client().is_sentinel() { ", named by Sentinels" } else { "" };
    if let Connection::Cluster(cluster) = connection {
        return match primaries(store, &mut cluster.clone()).await {
            Ok(primaries) => Check::fine("kind", format!("a cluster of {} primaries", primaries.len())),
            Err(error) => Check::fault("kind", from_driver(error).chain()),
        };
    }
    match (field(info, "role"), field(info, "connected_slaves"), field(info, "master_link_status")) {
        (Some("slave"), _, Some("up")) => Check::problem("kind", "a replica, which takes no writes")
            .hint("give the primary, or its Sentinels: `redis-sentinel://HOST,HOST/MASTER`"),
        (Some("slave"), ..) => Check::fault("kind", "a replica that has lost its primary"),
        (Some(_), Some("0"), _) => Check::fine("kind", format!("a single server{by}")),
        (Some(_), Some(count), _) => Check::fine("kind", format!("a primary with replicas: {count}{by}")),
        _ => Check::problem("kind", "not known: the user may not ask `INFO`")
            .hint("allow `+info`: it shows restarts and lost primaries"),
    }
}

fn persistence(info: &str) -> Option<Check> {
    if field(info, "loading") == Some("1") {
        return Some(Check::fault("persistence", "the server is loading its data"));
    }
    let (aof, saved) = (field(info, "aof_enabled")?, field(info, "rdb_last_save_time"));
    let started = field(info, "uptime_in_seconds").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let saved =
        saved.and_then(|text| text.parse::<u64>().ok()).is_some_and(|saved| saved > now.saturating_sub(started) + 1);
    Some(match (aof == "1", saved) {
        (true, _) => Check::fine("persistence", "each write goes to a file (AOF)"),
        (false, true) => Check::problem("persistence", "a snapshot now and then (RDB)")
            .hint("a crash loses what was written since the last; `appendonly yes` keeps it"),
        (false, false) => Check::problem("persistence", "no AOF, and nothing saved since the start")
            .hint("a restart may come back without flags; `appendonly yes` keeps them"),
    })
}

fn eviction(info: &str) -> Option<Check> {
    let (policy, limit) = (field(info, "maxmemory_policy")?, field(info, "maxmemory")?);
    Some(match policy.starts_with("allkeys-") && limit != "0" {
        true => Check::problem("eviction", format!("{policy}: flags may be evicted when memory is full"))
            .hint("`maxmemory-policy volatile-lru` spares keys without expiry, which flags are"),
        false => Check::fine("eviction", policy),
    })
}

struct Asker<'a> {
    store: &'a RedisFeatureFlagStore,
}

impl Asker<'_> {
    async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        self.store.link.request(command, true, self.store.timeout).await?.extract_error()
    }

    /// In a cluster several nodes may answer.
    async fn text(&self, command: Cmd) -> RedisResult<String> {
        let answer = match self.ask(&command).await? {
            Value::Map(answers) => match answers.into_iter().next() {
                Some((_, first)) => first,
                None => return Ok(String::new()),
            },
            answer => answer,
        };
        Ok(String::from_redis_value(answer)?)
    }

    async fn rights(&self) -> Check {
        let whoami = self.text(command(&["ACL", "WHOAMI"])).await;
        let Ok(user) = whoami else {
            return Check::fine("rights", "not known: the server has no users, or does not say");
        };
        let (key, history) = (self.store.keys.of("flipper-doctor"), history_key(self.store.keys.base()));
        let (mut missing, mut of_history, mut unknown) = (Vec::new(), Vec::new(), false);
        let has_history = self.store.capabilities().history;
        let commands = COMMANDS.iter().map(|command| (command, &key));
        let commands = commands.chain(HISTORY.iter().filter(|_| has_history).map(|command| (command, &history)));
        for ((name, words), key) in commands {
            let missing = if *key == history { &mut of_history } else { &mut missing };
            let mut dry = command(&["ACL", "DRYRUN", &user]);
            words.iter().for_each(|word| {
                dry.arg(if *word == "KEY" { key.as_str() } else { word });
            });
            match self.ask(&dry).await {
                Ok(Value::Okay) => {}
                Ok(_) => missing.push(*name),
                // Before Redis 7, or not allowed.
                Err(_) => unknown = true,
            }
        }
        if unknown {
            let text = format!("as {user}; the server does not report what that user may do");
            return Check::fine("rights", text);
        }
        if missing.is_empty() && !of_history.is_empty() {
            let text =
                format!("as {user}, who may not use {} on {history}, so no write is taken", of_history.join(", "));
            let more = of_history.join(" +").to_lowercase();
            return Check::new("rights", Finding::Problem, text)
                .hint(format!("`ACL SETUSER {user} ~{history} +{more}`, or `?history=off` in the URL"));
        }
        match missing.is_empty() {
            true => Check::fine("rights", format!("as {user}, who may read and write flags")),
            false => {
                let reads = missing.iter().any(|name| ["GET", "MGET", "SCAN", "TYPE"].contains(name));
                let finding = if reads { Finding::Fault } else { Finding::Problem };
                let base = self.store.keys.prefix();
                Check::new("rights", finding, format!("as {user}, who may not use {} on {base}*", missing.join(", ")))
                    .hint(format!("`ACL SETUSER {user} ~{base}* +{}`", missing.join(" +").to_lowercase()))
            }
        }
    }

    async fn push(&self, connection: &Connection) -> Check {
        // Needs the same server and nearly the same rights as tracking.
        let why = match self.ask(&command(&["CLIENT", "TRACKINGINFO"])).await {
            Ok(_) => match connection {
                Connection::Cluster(_) => {
                    return Check::fine("push", "changes are pushed by each primary");
                }
                Connection::Node(_) if self.ask(&command(&["HELLO"])).await.is_ok() => {
                    return Check::fine("push", "changes are pushed (`CLIENT TRACKING`)");
                }
                Connection::Node(_) => "the server does not speak RESP3",
            },
            Err(error) if is_refusal(&error) => "the server or the user has no `CLIENT TRACKING`",
            Err(error) => return Check::fault("push", from_driver(error).chain()),
        };
        let classes = self.ask(&command(&["CONFIG", "GET", "notify-keyspace-events"])).await;
        let classes =
            classes.ok().and_then(|value| std::collections::BTreeMap::<String, String>::from_redis_value(value).ok());
        let on = classes.is_some_and(|answer| answer.values().any(|classes| are_enough(classes)));
        let every = self.store.poll_every;
        let text = match on {
            true => format!("keyspace notifications, for {why}; a flush is seen within {:?}", every * 10),
            false => format!("all flags are read every {every:?}, for {why}"),
        };
        Check::problem("push", text)
            .hint("allow `+client|tracking +hello` (Redis 6), or set `notify-keyspace-events K$gxe`")
    }

    async fn clock(&self) -> Option<Check> {
        let asked = SystemTime::now();
        let time = self.ask(&command(&["TIME"])).await.ok()?;
        let (seconds, micros) = <(u64, u64)>::from_redis_value(time).ok()?;
        let theirs = Duration::from_secs(seconds) + Duration::from_micros(micros);
        let ours = asked.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let off = theirs.abs_diff(ours);
        let text = format!("{off:.1?} {}", if theirs < ours { "behind ours" } else { "ahead of ours" });
        Some(match off > MOST_OFF {
            true => Check::problem("clock", text).hint("ramps go by the clock of each machine; set them by NTP"),
            false => Check::fine("clock", text),
        })
    }
}
