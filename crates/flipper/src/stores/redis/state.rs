//! Whether a single server has all data, and is still the same.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{ErrorKind, FromRedisValue, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

/// The longest silence of a primary to its replicas (`repl-ping-replica-period`), with a margin.
const HEARD_EVERY: Duration = Duration::from_secs(12);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Single,
    Cluster,
    Sentinel,
}

/// By `HELLO`, which no ACL forbids, or `INFO` before Redis 6. A server without either counts as single.
pub(super) async fn mode(node: &mut MultiplexedConnection) -> RedisResult<Mode> {
    let mode = match redis::cmd("HELLO").query_async::<BTreeMap<String, Value>>(node).await {
        Ok(hello) => hello.get("mode").and_then(|mode| String::from_redis_value_ref(mode).ok()),
        Err(error) if error.is_io_error() => return Err(error),
        Err(_) => match redis::cmd("INFO").arg("server").query_async::<String>(node).await {
            Ok(info) => field(&info, "redis_mode").map(str::to_owned),
            Err(error) if error.is_io_error() => return Err(error),
            Err(_) => None,
        },
    };
    Ok(match mode.as_deref() {
        Some("cluster") => Mode::Cluster,
        Some("sentinel") => Mode::Sentinel,
        _ => Mode::Single,
    })
}

/// From `INFO`; empty if the user may not ask.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) run_id: Option<String>,
    pub(super) is_replica: bool,
    trouble: Option<Trouble>,
    /// The replication id; new with each full copy from another server.
    history: String,
    previous_history: String,
    offset: i64,
    /// How long a replica has heard nothing from its primary.
    behind: Duration,
    /// Commands that changed keys without a push from Redis.
    pub(super) unpushed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    Loading,
    NoPrimary,
}

impl State {
    pub(super) async fn ask(mut node: MultiplexedConnection) -> RedisResult<Self> {
        let sections = ["server", "replication", "persistence", "commandstats"];
        let mut pipeline = Pipeline::new();
        for section in sections {
            pipeline.cmd("INFO").arg(section);
        }
        let mut text = String::new();
        for answer in node.req_packed_commands(&pipeline, 0, sections.len()).await? {
            if let Ok(section) = answer.extract_error() {
                text.push_str(&String::from_redis_value(section).unwrap_or_default());
            }
        }
        Ok(Self::read(&text))
    }

    pub(super) fn of_cluster(run_id: Option<String>) -> Self {
        Self { run_id, ..Self::default() }
    }

    /// Until when a read at `asked` has every change, and for how long that holds. A replica hears from its primary every ten seconds.
    pub(super) fn confirms(&self, asked: Instant, valid_for: Duration) -> (Instant, Duration) {
        let behind = if self.is_replica { HEARD_EVERY } else { Duration::ZERO };
        (asked.checked_sub(self.behind).unwrap_or(asked), valid_for + behind)
    }

    fn read(info: &str) -> Self {
        let field = |name| field(info, name);
        let number = |name| field(name).and_then(|text| text.parse().ok());
        let is_replica = field("role") == Some("slave");
        let trouble = if field("loading") == Some("1") {
            Some(Trouble::Loading)
        } else if is_replica && field("master_link_status") != Some("up") {
            Some(Trouble::NoPrimary)
        } else {
            None
        };
        let heard = number("master_last_io_seconds_ago").and_then(|seconds: i64| u64::try_from(seconds).ok());
        let calls = info.lines().filter_map(|line| {
            let (command, stats) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let unpushed = command == "swapdb" || command.split('|').next() == Some("debug");
            unpushed.then(|| stats.split(',').next()?.parse::<u64>().ok()).flatten()
        });
        Self {
            run_id: field("run_id").map(str::to_owned),
            is_replica,
            trouble,
            history: field("master_replid").unwrap_or_default().to_owned(),
            previous_history: field("master_replid2").unwrap_or_default().to_owned(),
            offset: number("master_repl_offset").unwrap_or_default(),
            behind: Duration::from_secs(if is_replica { heard.unwrap_or_default() + 1 } else { 0 }),
            unpushed: calls.sum(),
        }
    }

    pub(super) fn believable(&self) -> RedisResult<()> {
        let (kind, why) = match self.trouble {
            None => return Ok(()),
            Some(Trouble::Loading) => (ServerErrorKind::BusyLoading, "INFO says so"),
            Some(Trouble::NoPrimary) => (ServerErrorKind::MasterDown, "INFO says that the link is down"),
        };
        Err(RedisError::from((ErrorKind::Server(kind), why)))
    }

    pub(super) fn follows(&self, before: &Self) -> Result<(), &'static str> {
        if self.run_id != before.run_id {
            return Err("another server answers, or it was started again");
        }
        // A primary takes a new replication id when its first replica connects, or reconnects after a long time.
        if self.history != before.history && self.previous_history != before.history && self.is_replica {
            return Err("the server's data were replaced by those of another primary");
        }
        if self.history == before.history && self.offset < before.offset {
            return Err("the server went back to an earlier state");
        }
        Ok(())
    }

    /// A push of "all keys" means replaced data then, not a flush.
    pub(super) fn was_replaced(&self, before: &Self) -> bool {
        (self.is_replica || before.is_replica) && self.history != before.history
    }
}

pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primary(history: &str, offset: i64) -> State {
        State::read(&format!(
            "run_id:a\r\nrole:master\r\nloading:0\r\nmaster_replid:{history}\r\nmaster_repl_offset:{offset}"
        ))
    }

    fn replica(history: &str, earlier: &str, offset: i64) -> State {
        State::read(&format!(
            "run_id:a\r\nrole:slave\r\nmaster_link_status:up\r\nmaster_last_io_seconds_ago:3\r\nmaster_replid:{history}\r\n\
             master_replid2:{earlier}\r\nmaster_repl_offset:{offset}"
        ))
    }

    #[test]
    fn what_begins_a_doubt() {
        assert!(primary("x", 5).follows(&primary("x", 5)).is_ok());
        assert!(primary("y", 0).follows(&primary("x", 0)).is_ok());
        assert!(primary("x", 4).follows(&primary("x", 5)).is_err());
        assert!(replica("y", "x", 9).follows(&replica("x", "", 5)).is_ok());
        assert!(replica("y", "", 9).follows(&replica("x", "", 5)).is_err());
        // Promoted, and demoted with only a part of the history.
        assert!(State { previous_history: "x".into(), ..primary("y", 9) }.follows(&replica("x", "", 5)).is_ok());
        assert!(replica("y", "", 9).follows(&primary("x", 5)).is_err());
        assert!(State { run_id: Some("b".into()), ..primary("x", 5) }.follows(&primary("x", 5)).is_err());
    }

    #[test]
    fn what_is_not_believed() {
        assert!(primary("x", 5).believable().is_ok());
        assert!(replica("x", "", 5).believable().is_ok());
        assert_eq!(replica("x", "", 5).behind, Duration::from_secs(4));
        assert!(State::read("loading:1\r\nrole:master").believable().is_err());
        assert!(State::read("loading:0\r\nrole:slave\r\nmaster_link_status:down").believable().is_err());
        assert!(State::read("").believable().is_ok());
    }

    #[test]
    fn commands_that_push_nothing_are_counted() {
        let info = "cmdstat_swapdb:calls=2,usec=3\r\ncmdstat_debug:calls=1,usec=1\r\ncmdstat_get:calls=9,usec=1";
        assert_eq!(State::read(info).unpushed, 3);
    }
}
