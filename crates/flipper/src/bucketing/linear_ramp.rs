use std::time::{Duration, SystemTime};

use super::percentage::{number, of_percent};
use crate::context::ValueType;
use crate::json::{Json, Number, Object};
use crate::{Error, Result};

const MICROS: f64 = 1_000_000.0;
/// The years 1 to 9999, which Python can load, in microseconds.
const TIMES: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// A percentage that changes linearly from one value to another.
///
/// Before its start it has the initial value, after its end the final one; with a duration of zero or less, the final one at all times. It
/// goes up or down, in UTC. (In Python ramps down jump to their end, and daylight saving shifts ramps.)
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use flipper::bucketing::{LinearRampPercentage, PercentageBucketer};
///
/// let day = Duration::from_secs(86_400);
/// let ramp = LinearRampPercentage::new(0.0, 1.0, day).starting_at(SystemTime::now() + day);
/// let bucketer = PercentageBucketer::new(ramp);
/// ```
///
/// The start is stored in whole seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct LinearRampPercentage {
    stored: Box<Stored>,
    /// Without it the ramp stays at its start.
    initial_time: Option<Start>,
    line: Result<Line, ValueType>,
}

/// As stored; they need not be numbers.
#[derive(Clone, Debug, PartialEq)]
struct Stored {
    initial_value: Json,
    final_value: Json,
    ramp_duration: Json,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Start {
    time: SystemTime,
    micros: i64,
}

impl Start {
    fn of(micros: i64) -> Self {
        let distance = Duration::from_micros(micros.unsigned_abs());
        let epoch = SystemTime::UNIX_EPOCH;
        let time = if micros < 0 { epoch.checked_sub(distance) } else { epoch.checked_add(distance) };
        // `SystemTime` reaches beyond `TIMES`.
        Self { time: time.unwrap_or(epoch), micros }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    first: f64,
    last: f64,
    /// Microseconds after the start; negative without duration.
    end: i64,
    slope: f64,
}

impl LinearRampPercentage {
    pub(crate) const TYPE: &str = "LinearRampPercentage";

    /// A ramp that starts now, between percentages from 0 to 100.
    #[must_use]
    pub fn percent(initial_value: f64, final_value: f64, ramp_duration: Duration) -> Self {
        Self::new(of_percent(initial_value), of_percent(final_value), ramp_duration)
    }

    /// A ramp that starts now, between shares from 0 to 1.
    #[must_use]
    pub fn new(initial_value: f64, final_value: f64, ramp_duration: Duration) -> Self {
        let seconds = if ramp_duration.subsec_nanos() == 0 {
            Json::from(ramp_duration.as_secs())
        } else {
            float(ramp_duration.as_secs_f64())
        };
        let stored =
            Stored { initial_value: float(initial_value), final_value: float(final_value), ramp_duration: seconds };
        Self::of(stored, None).starting_at(SystemTime::now())
    }

    /// Sets the start.
    #[must_use]
    pub fn starting_at(mut self, initial_time: SystemTime) -> Self {
        let micros = match initial_time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => micros(since),
            Err(before) => -micros(before.duration()),
        };
        self.initial_time = Some(Start::of(micros.clamp(*TIMES.start(), *TIMES.end())));
        self
    }

    #[inline]
    pub(crate) fn value(&self, now: impl FnOnce() -> SystemTime) -> Result<f64, ValueType> {
        let Line { first, last, end, slope } = self.line?;
        if end < 0 {
            return Ok(last);
        }
        let Some(start) = self.initial_time else { return Ok(first) };
        let Ok(elapsed) = now().duration_since(start.time) else { return Ok(first) };
        let elapsed = micros(elapsed);
        if elapsed > end {
            return Ok(last);
        }
        // Python's own steps: the last bit is the same, even at the end of a ramp down.
        let value = slope * (elapsed as f64 / MICROS) + first;
        let short = if first <= last || elapsed == end { value < last } else { value > last };
        Ok(if short { value } else { last })
    }

    pub(crate) fn ends(&self) -> [Option<f64>; 2] {
        [&self.stored.initial_value, &self.stored.final_value].map(|value| number(value).ok())
    }

    fn of(stored: Stored, initial_time: Option<Start>) -> Self {
        let line = number(&stored.ramp_duration).and_then(|duration| {
            let last = number(&stored.final_value)?;
            // Python ignores the initial value then.
            let first = if duration <= 0.0 { last } else { number(&stored.initial_value)? };
            let end = if duration <= 0.0 { -1 } else { (duration * MICROS) as i64 };
            Ok(Line { first, last, end, slope: (last - first) / duration })
        });
        Self { stored: Box::new(stored), initial_time, line }
    }

    /// As JSON; null where it cannot be computed, and the final value as stored.
    pub(crate) fn shown(&self, now: impl FnOnce() -> SystemTime) -> Json {
        let value = self.value(now).ok();
        let over = number(&self.stored.ramp_duration).is_ok_and(|duration| duration <= 0.0);
        if over || value.is_some() && value == number(&self.stored.final_value).ok() {
            return self.stored.final_value.clone();
        }
        value.and_then(Number::from_f64).map_or(Json::Null, Json::Number)
    }

    pub(crate) fn from_json(fields: &Object) -> Result<Self> {
        let field = |name: &str, default: Json| fields.get(name).cloned().unwrap_or(default);
        let initial_time = match fields.get("initial_time") {
            None | Some(Json::Null) => None,
            Some(time) => Some(stored_start(time)?),
        };
        let stored = Stored {
            initial_value: field("initial_value", float(0.0)),
            final_value: field("final_value", float(1.0)),
            ramp_duration: field("ramp_duration", Json::from(3600)),
        };
        Ok(Self::of(stored, initial_time))
    }

    pub(crate) fn write_fields(&self, fields: &mut Object) {
        fields.insert("initial_value", self.stored.initial_value.clone());
        fields.insert("final_value", self.stored.final_value.clone());
        fields.insert("ramp_duration", self.stored.ramp_duration.clone());
        fields
            .insert("initial_time", self.initial_time.map_or(Json::Null, |start| Json::from(start.micros / 1_000_000)));
    }
}

/// The nearest JSON number; 0 for a NaN.
fn float(value: f64) -> Json {
    let value = if value.is_nan() { 0.0 } else { value.clamp(f64::MIN, f64::MAX) };
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

fn stored_start(time: &Json) -> Result<Start> {
    let seconds = number(time).map_err(|_| Error::corrupt("initial_time of a ramp is not a number"))?;
    let micros = seconds.trunc() * MICROS + (seconds.fract() * MICROS).round_ties_even();
    // Floats are exact well beyond this range: a value outside stays outside.
    let micros = micros as i64;
    if TIMES.contains(&micros) {
        Ok(Start::of(micros))
    } else {
        Err(Error::corrupt("initial_time of a ramp is beyond the year 9999"))
    }
}

#[inline]
fn micros(duration: Duration) -> i64 {
    // `as_nanos()` needs a 128-bit division.
    let seconds = i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
    seconds.saturating_mul(1_000_000).saturating_add(i64::from((duration.subsec_nanos() + 500) / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(text: &str) -> Result<LinearRampPercentage> {
        LinearRampPercentage::from_json(Json::parse(text).unwrap().as_object().unwrap())
    }

    fn at(ramp: &LinearRampPercentage, seconds: u64) -> f64 {
        ramp.value(|| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn both_directions_are_linear_and_clamped() {
        let up =
            ramp(r#"{"initial_value": 0.2, "final_value": 0.8, "ramp_duration": 100, "initial_time": 1000}"#).unwrap();
        assert_eq!([0, 1000, 1050, 1100, 9000].map(|time| at(&up, time)), [0.2, 0.2, 0.5, 0.8, 0.8]);
        let down =
            ramp(r#"{"initial_value": 1, "final_value": 0, "ramp_duration": 100, "initial_time": 1000}"#).unwrap();
        assert_eq!([0, 1000, 1050, 1100, 9000].map(|time| at(&down, time)), [1.0, 1.0, 0.5, 0.0, 0.0]);
    }

    #[test]
    fn odd_durations_and_times_do_not_panic() {
        for duration in ["0", "-5", "-1e308", "0.0"] {
            let ramp = ramp(&format!(r#"{{"ramp_duration": {duration}, "initial_time": 5}}"#)).unwrap();
            assert_eq!(at(&ramp, 3), 1.0, "{duration}");
        }
        let steep = ramp(r#"{"ramp_duration": 5e-324, "initial_time": 5}"#).unwrap();
        assert_eq!([4, 5, 6].map(|time| at(&steep, time)), [0.0, 1.0, 1.0]);
        for time in ["253402300799", "-62135596800", "1e11", "null", "true"] {
            let ramp = ramp(&format!(r#"{{"initial_time": {time}}}"#)).unwrap();
            assert!((0.0..=1.0).contains(&at(&ramp, 1 << 33)));
        }
        let digits = "9".repeat(400);
        for time in ["253402300800", "-62135596801", "1e300", &digits, "\"1\"", "[]"] {
            assert!(ramp(&format!(r#"{{"initial_time": {time}}}"#)).is_err(), "{time}");
        }
        let far = LinearRampPercentage::new(0.0, f64::NAN, Duration::MAX)
            .starting_at(SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 62));
        assert_eq!(far.value(SystemTime::now), Ok(0.0));
    }

    #[test]
    fn a_value_that_is_no_number_is_reported() {
        let ramp = ramp(r#"{"final_value": "1", "initial_time": 5}"#).unwrap();
        assert_eq!(ramp.value(SystemTime::now), Err(ValueType::Str));
    }
}
