use super::describe::ramp;
use crate::json::Json;
use crate::{Bucketer, FlagRecord};

/// Whether the flag is on or off for all callers, now and later.
pub fn is_settled(record: &FlagRecord) -> bool {
    if !record.is_enabled() {
        return true;
    }
    let is_for_all = || match ramp(record.bucketer()) {
        Some(ramp) => ramp.is_over() && ramp.last >= 1.0,
        None => match record.bucketer().to_json().get("percentage") {
            Some(percentage) => percentage.get("value").and_then(Json::as_f64).is_some_and(|value| value >= 1.0),
            None => matches!(record.bucketer(), Bucketer::NoOp),
        },
    };
    record.conditions().is_empty() && record.deny_conditions().is_empty() && is_for_all()
}
