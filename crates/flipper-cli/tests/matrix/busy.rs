//! How busy the machine is, also with other programs.

use std::fs;
use std::time::{Duration, Instant};

const MOST: f64 = 10.0;

/// Of Linux's pressure stall information; elsewhere the machine counts as idle.
pub(crate) struct Busy {
    began: Instant,
    waited: Option<Duration>,
}

impl Busy {
    pub(crate) fn since_now() -> Self {
        Self { began: Instant::now(), waited: waited() }
    }

    /// How many times as long work has taken since then as with a free core.
    pub(crate) fn factor(&self) -> f64 {
        let (Some(before), Some(now)) = (self.waited, waited()) else { return 1.0 };
        let share = now.saturating_sub(before).as_secs_f64() / self.began.elapsed().as_secs_f64();
        (1.0 / (1.0 - share.min(1.0))).min(MOST)
    }
}

/// For how long some task has waited for a core, since the machine was started.
fn waited() -> Option<Duration> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    let some = text.lines().find(|line| line.starts_with("some"))?;
    let micros = some.rsplit_once("total=")?.1.parse().ok()?;
    Some(Duration::from_micros(micros))
}
