//! Conditional writes, each one script, and so atomic.

use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha1::{Digest, Sha1};

use super::link::Link;
use crate::state::{Precondition, Version};

/// `KEYS[1]`: the flag; `ARGV[1]`: the precondition. Errors are returned: raised ones lose their code before Redis 7.
macro_rules! script {
    ($write:literal) => {
        concat!(
            "local now = redis.pcall('GET', KEYS[1]) ",
            "if type(now) == 'table' then return now end ",
            "local when = ARGV[1] ",
            "if when == 'absent' then if now then return 0 end ",
            "elseif when ~= 'any' then if not now or redis.sha1hex(now) ~= when then return 0 end end ",
            "local done = redis.pcall(",
            $write,
            ") if type(done) == 'table' and done.err then return done end return 1",
        )
    };
}

pub(super) struct Script {
    text: &'static str,
}

pub(super) const PUT: Script = Script { text: script!("'SET', KEYS[1], ARGV[2]") };
pub(super) const DELETE: Script = Script { text: script!("'DEL', KEYS[1]") };

impl Script {
    pub(super) async fn run(
        &self,
        link: &Link,
        key: &str,
        when: &Precondition,
        value: Option<&str>,
        limit: Duration,
    ) -> RedisResult<bool> {
        let answer = match link.request(&self.call(true, key, when, value), false, limit).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                // Some servers close the connection after an error. The ping meets that: the script must not be sent twice.
                let _ = link.request(&redis::cmd("PING"), true, limit).await;
                link.request(&self.call(false, key, when, value), false, limit).await?
            }
            other => other?,
        };
        is_done(&answer)
    }

    /// `known`: the server has the script, so its digest is enough.
    pub(super) fn call(&self, known: bool, key: &str, when: &Precondition, value: Option<&str>) -> Cmd {
        let mut call = redis::cmd(if known { "EVALSHA" } else { "EVAL" });
        match known {
            true => call.arg(digest(self.text.as_bytes())),
            false => call.arg(self.text),
        };
        call.arg(1).arg(key);
        match when {
            Precondition::Any => call.arg("any"),
            Precondition::Absent => call.arg("absent"),
            // Another store's version matches nothing here.
            Precondition::Unchanged(version) => call.arg(version.opaque_hex()),
        };
        if let Some(value) = value {
            call.arg(value);
        }
        call
    }
}

pub(super) fn is_done(answer: &Value) -> RedisResult<bool> {
    match answer {
        Value::Int(done) => Ok(*done == 1),
        _ => Err((ErrorKind::UnexpectedReturnType, "a script did not answer with a number").into()),
    }
}

/// Equal for equal content, and smaller: it is held with every flag, and sent with every write.
pub(super) fn version(content: &[u8]) -> Version {
    Version::opaque(Sha1::digest(content))
}

pub(super) fn digest(text: &[u8]) -> String {
    version(text).opaque_hex()
}
