//! Conditional writes, each one script, and so atomic.

use std::time::Duration;

use redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value};
use sha1::{Digest, Sha1};

use super::history::History;
use super::link::Link;
use crate::state::{Precondition, Version, WriteOptions};

/// `KEYS[1]`: the flag; `ARGV[1]`: the precondition; `ARGV[2]`: the text, of a put. Errors are returned: raised ones lose their code
/// before Redis 7.
macro_rules! script {
    ($write:literal) => {
        script!("", $write, "", "")
    };
    // `KEYS[2]`: the history; `ARGV[3]` its length, `ARGV[4]` the age of entries that are too old, if they are to be deleted, then the
    // fields of the entry. The id has the server's time. Redis 6.2 trims by time itself.
    (history $missing:literal $after:literal, $write:literal) => {
        script!(
            $missing,
            $write,
            concat!(
                "local add = {'XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*'} ",
                "for at = 5, #ARGV do add[#add + 1] = ARGV[at] end ",
                "if now then add[#add + 1] = 'before' add[#add + 1] = now end ",
                $after,
                "id = redis.pcall(unpack(add)) ",
                "if type(id) == 'table' then ",
                "if string.sub(id.err, 1, 9) == 'WRONGTYPE' then return {err = 'HISTORY its key has another type'} end ",
                "return id end ",
            ),
            concat!(
                "if ARGV[4] ~= '' then ",
                "local last = string.format('%.0f', math.max(0, string.match(id, '^%d+') - ARGV[4])) ",
                "local old = redis.pcall('XRANGE', KEYS[2], '-', last, 'COUNT', 100) ",
                "if not old.err then for _, entry in ipairs(old) do redis.pcall('XDEL', KEYS[2], entry[1]) end end end ",
            )
        )
    };
    ($missing:expr, $write:literal, $before:expr, $after:expr) => {
        concat!(
            "local now = redis.pcall('GET', KEYS[1]) ",
            "if type(now) == 'table' then return now end ",
            "local when = ARGV[1] ",
            "if when == 'absent' then if now then return 0 end ",
            "elseif when ~= 'any' then if not now or redis.sha1hex(now) ~= when then return 0 end end ",
            $missing,
            "local id ",
            $before,
            "local done = redis.pcall(",
            $write,
            ") if type(done) == 'table' and done.err then if id then redis.pcall('XDEL', KEYS[2], id) end return done end ",
            $after,
            "return 1",
        )
    };
}

pub(super) struct Script {
    text: &'static str,
    with_history: &'static str,
}

pub(super) const PUT: Script = Script {
    text: script!("'SET', KEYS[1], ARGV[2]"),
    with_history: script!(history "" "add[#add + 1] = 'after' add[#add + 1] = ARGV[2] ", "'SET', KEYS[1], ARGV[2]"),
};
pub(super) const DELETE: Script = Script {
    text: script!("'DEL', KEYS[1]"),
    with_history: script!(history "if not now then return 1 end " "", "'DEL', KEYS[1]"),
};

/// A write of one flag.
pub(super) struct Write<'a> {
    pub(super) name: &'a str,
    pub(super) key: &'a str,
    pub(super) value: Option<&'a str>,
    pub(super) options: &'a WriteOptions,
    pub(super) history: Option<&'a History>,
}

impl Script {
    pub(super) async fn run(&self, link: &Link, write: &Write<'_>, limit: Duration) -> RedisResult<bool> {
        let answer = match link.request(&self.call(true, write), false, limit).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                // Some servers close the connection after an error. The ping meets that: the script must not be sent twice.
                let _ = link.request(&redis::cmd("PING"), true, limit).await;
                link.request(&self.call(false, write), false, limit).await?
            }
            other => other?,
        };
        is_done(&answer)
    }

    /// `known`: the server has the script, so its digest is enough.
    pub(super) fn call(&self, known: bool, write: &Write<'_>) -> Cmd {
        let text = if write.history.is_some() { self.with_history } else { self.text };
        let mut call = redis::cmd(if known { "EVALSHA" } else { "EVAL" });
        match known {
            true => call.arg(digest(text.as_bytes())),
            false => call.arg(text),
        };
        match write.history {
            Some(history) => call.arg(2).arg(write.key).arg(&history.key),
            None => call.arg(1).arg(write.key),
        };
        match &write.options.when {
            Precondition::Any => call.arg("any"),
            Precondition::Absent => call.arg("absent"),
            // Another store's version matches nothing here.
            Precondition::Unchanged(version) => call.arg(version.opaque_hex()),
        };
        match (write.value, write.history) {
            (Some(value), _) => call.arg(value),
            (None, Some(_)) => call.arg(""),
            (None, None) => &mut call,
        };
        if let Some(history) = write.history {
            history.add_to(&mut call, write.name, write.options);
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
