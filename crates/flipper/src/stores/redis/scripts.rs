//! Writes under a precondition, each one script on the server and so atomic.

use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha1::{Digest, Sha1};

use super::link::Link;
use crate::state::{Precondition, Version};

/// `KEYS[1]` the flag, `ARGV[1]` what must hold. Errors are returned, not raised: a raised one loses its code in servers before 7.
/// A key that holds no string is left alone whatever the precondition.
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
    /// Whether the precondition held, and so the write was done.
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
                // There are servers that close the connection after an error. This finds it closed, and opens another, where the
                // script itself must not be sent twice. What is answered does not matter.
                let _ = link.request(&redis::cmd("PING"), true, limit).await;
                link.request(&self.call(false, key, when, value), false, limit).await?
            }
            other => other?,
        };
        is_done(&answer)
    }

    /// The command; by its digest where the server is known to have the script.
    pub(super) fn call(&self, known: bool, key: &str, when: &Precondition, value: Option<&str>) -> Cmd {
        let mut call = match known {
            true => redis::cmd("EVALSHA"),
            false => redis::cmd("EVAL"),
        };
        match known {
            true => call.arg(hex(&Sha1::digest(self.text))),
            false => call.arg(self.text),
        };
        call.arg(1).arg(key);
        match when {
            Precondition::Any => call.arg("any"),
            Precondition::Absent => call.arg("absent"),
            // A version of another store holds for nothing here.
            Precondition::Unchanged(version) => call.arg(hex(version.as_opaque().unwrap_or_default())),
        };
        if let Some(value) = value {
            call.arg(value);
        }
        call
    }
}

/// What a script answered: whether the precondition held.
pub(super) fn is_done(answer: &Value) -> RedisResult<bool> {
    match answer {
        Value::Int(done) => Ok(*done == 1),
        _ => Err((ErrorKind::UnexpectedReturnType, "a script did not answer with a number").into()),
    }
}

/// Equal for equal content. A digest, not the content: it is kept with every flag in memory, and sent with every write.
pub(super) fn version(content: &[u8]) -> Version {
    Version::opaque(Sha1::digest(content))
}

/// The digest of a text, as text.
pub(super) fn digest(text: &[u8]) -> String {
    hex(&Sha1::digest(text))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut hex, byte| {
        // Writing to a string never fails.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
