//! Times all contestants of a row, in turns.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::peer::Batch;

#[derive(Clone, Copy)]
pub struct Effort {
    /// How often the flags are loaded.
    pub loads: usize,
    /// Of each load.
    pub rounds: usize,
    /// Of one contestant in one round.
    pub slice: Duration,
}

pub const WHOLE: Effort = Effort { loads: 5, rounds: 7, slice: Duration::from_millis(5) };
pub const QUICK: Effort = Effort { loads: 1, rounds: 5, slice: Duration::from_micros(500) };

/// Nanoseconds of a check, by contestant and round. Each round begins with another contestant than the last.
#[must_use]
pub fn rounds(batches: &[Batch], threads: usize, effort: Effort) -> Vec<Vec<f64>> {
    let checks: Vec<usize> = batches.iter().map(|batch| calibrate(batch, effort.slice)).collect();
    let mut figures = vec![Vec::with_capacity(effort.rounds); batches.len()];
    for round in 0..effort.rounds {
        for turn in 0..batches.len() {
            let contestant = (round + turn) % batches.len();
            // Other flags than in the last round, so that few of them are in the cache.
            let first = round * checks[contestant];
            figures[contestant].push(time(&batches[contestant], threads, first, checks[contestant]));
        }
    }
    figures
}

/// The number of checks that takes this long.
#[must_use]
pub fn calibrate(batch: &Batch, slice: Duration) -> usize {
    let mut checks = 1;
    loop {
        let took = time(batch, 1, 0, checks) * checks as f64;
        let slice = slice.as_secs_f64() * 1e9;
        if took >= slice / 4.0 {
            return (checks as f64 * slice / took).ceil().max(1.0) as usize;
        }
        checks *= 2;
    }
}

/// Nanoseconds. One thread never waits, so its processor time leaves out only what other programs took of the slice; of several
/// threads one may wait for the other.
fn now(threads: usize) -> f64 {
    let clock = if threads == 1 { ClockId::ThreadCPUTime } else { ClockId::Monotonic };
    let now = clock_gettime(clock);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// With several threads the mean of theirs; each begins at other flags.
fn time(batch: &Batch, threads: usize, first: usize, checks: usize) -> f64 {
    let barrier = Barrier::new(threads);
    let time = |thread: usize| {
        let first = first + thread * checks;
        barrier.wait();
        let begin = now(threads);
        black_box(batch(black_box(first), black_box(checks)));
        (now(threads) - begin) / checks as f64
    };
    let times: Vec<f64> = thread::scope(|scope| {
        let time = &time;
        let others: Vec<_> = (1..threads).map(|thread| scope.spawn(move || time(thread))).collect();
        let own = time(0);
        others.into_iter().filter_map(|other| other.join().ok()).chain([own]).collect()
    });
    times.iter().sum::<f64>() / times.len() as f64
}

#[derive(Clone, Copy)]
pub struct Quartiles {
    pub low: f64,
    pub median: f64,
    pub high: f64,
}

#[must_use]
pub fn quartiles(values: &[f64]) -> Quartiles {
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    let at = |part: f64| values[((values.len() - 1) as f64 * part).round() as usize];
    Quartiles { low: at(0.25), median: at(0.5), high: at(0.75) }
}

/// The median of the rounds' ratios.
#[must_use]
pub fn ratio(values: &[f64], beside: &[f64]) -> f64 {
    quartiles(&values.iter().zip(beside).map(|(value, beside)| value / beside).collect::<Vec<_>>()).median
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_of_rounds_and_not_of_medians() {
        assert_eq!(ratio(&[2.0, 40.0, 400.0], &[1.0, 20.0, 20.0]), 2.0);
        let Quartiles { low, median, high } = quartiles(&[5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!([low, median, high], [2.0, 3.0, 4.0]);
    }
}
