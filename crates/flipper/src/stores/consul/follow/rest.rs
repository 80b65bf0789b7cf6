//! How long to leave Consul alone after an answer that brought nothing new.

use std::time::Duration;

/// What an answer costs Consul (measured: 1 ms with one flag, 9 ms with 1,000, 80 ms with 10,000).
const ANSWER: Duration = Duration::from_millis(1);
const FLAG: Duration = Duration::from_micros(8);
const LONGEST: Duration = Duration::from_secs(1);

/// What was written by this process, or told by a hint before, makes Consul list all flags once more. Those who write often
/// would have Consul do little else; so the pauses grow while nothing new comes, up to ten times of what an answer costs.
#[derive(Default)]
pub(super) struct Rest {
    in_a_row: u32,
}

impl Rest {
    /// `changed`: whether something has changed at all. Nothing has in an empty folder, whose index is that of all keys of the
    /// store, nor with a server that does not know how to wait.
    pub(super) fn next(&mut self, flags: usize, changed: bool) -> Duration {
        let cost = ANSWER + FLAG * u32::try_from(flags).unwrap_or(u32::MAX);
        let pause = cost.saturating_mul(1 << self.in_a_row.min(10));
        self.in_a_row += 1;
        let longest = if changed && flags > 0 { LONGEST.min(cost * 10) } else { LONGEST };
        pause.min(longest)
    }
}
