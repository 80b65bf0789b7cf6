//! What a server of ours says about itself.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::inspection::Check;

/// Ramps and creation times depend on the clocks of all writers.
const CLOCKS_DIFFER: Duration = Duration::from_secs(2);

pub(super) struct Description {
    pub(super) version: Option<String>,
    /// This start.
    pub(super) server: Option<String>,
    pub(super) store: Option<String>,
    pub(super) lost: Option<String>,
    pub(super) confirmed_ms_ago: u64,
    pub(super) clock_ms: Option<i64>,
}

/// `clock`: ours when it was asked, as [`now_ms`]; `took`: until the answer.
pub(super) fn describe(server: &Description, clock: i64, took: Duration) -> Vec<Check> {
    let mut checks = vec![reachable(took), Check::fine("kind", "has Flipper's own calls")];
    if let Some(version) = &server.version {
        checks.push(Check::fine("version", version));
    }
    let (start, behind) = (server.server.as_deref().unwrap_or("unknown"), server.store.as_deref());
    checks.push(Check::fine(
        "identity",
        match behind {
            Some(store) => format!("serves {store}; this start is {start}"),
            None => format!("this start is {start}"),
        },
    ));
    let age = Duration::from_millis(server.confirmed_ms_ago);
    checks.push(match &server.lost {
        Some(reason) => Check::fault(
            "flags",
            format!("the server's flags are those of its store of {:.1} s ago: {reason}", age.as_secs_f64()),
        )
        .hint("look at the store behind the server"),
        None => Check::fine("flags", "the server's flags are those of its store"),
    });
    checks.push(Check::fine("push", "the server reports changes as they come to it"));
    if let Some(theirs) = server.clock_ms {
        let middle = clock.saturating_add(i64::try_from(took.as_millis() / 2).unwrap_or_default());
        let difference = Duration::from_millis(theirs.abs_diff(middle));
        let text = format!("differs from ours by {:.1} s", difference.as_secs_f64());
        checks.push(match difference > CLOCKS_DIFFER + took {
            true => Check::problem("clock", text).hint("ramps go by the clock: set both by NTP"),
            false => Check::fine("clock", text),
        });
    }
    checks
}

pub(super) fn reachable(took: Duration) -> Check {
    Check::fine("reachable", format!("answers in {:.1} ms", took.as_secs_f64() * 1000.0))
}

pub(super) fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    i64::try_from(now).unwrap_or(i64::MAX)
}
