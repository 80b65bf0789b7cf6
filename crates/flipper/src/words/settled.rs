use super::describe::ramp;
use super::text::now;
use crate::json::Json;
use crate::{Bucketer, FlagRecord};

/// Whether the flag is on or off for all callers, now and later.
pub fn is_settled(record: &FlagRecord) -> bool {
    settled_since(record, i64::MIN, now()).is_some()
}

/// From when on a flag that was written at one time is on or off for all callers: the end of its ramp, if it has one; `None` if it is not at
/// the other time. In seconds since 1970.
pub fn settled_since(record: &FlagRecord, written: i64, until: i64) -> Option<i64> {
    if !record.is_enabled() {
        return Some(written);
    }
    if !record.conditions().is_empty() || !record.deny_conditions().is_empty() {
        return None;
    }
    if let Some(ramp) = ramp(record.bucketer()) {
        let end = ramp.end() as i64;
        return (ramp.last >= 1.0 && end <= until).then_some(end.max(written));
    }
    let is_for_all = match record.bucketer().to_json().get("percentage") {
        Some(percentage) => percentage.get("value").and_then(Json::as_f64).is_some_and(|value| value >= 1.0),
        None => matches!(record.bucketer(), Bucketer::NoOp),
    };
    is_for_all.then_some(written)
}
