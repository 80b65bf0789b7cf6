//! One check of one stored flag.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::evaluation::{Clock, RandomSource, Reason};
use flipper::json::{Json, Object};
use flipper::{Bucketer, Context, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};

use crate::{Difference, field, same, with_sorted_whitelist};

const NAME: &str = "FLAG";

/// The time and the chance of a case.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At(pub(crate) f64);

impl Clock for At {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs_f64(self.0)
    }
}

impl RandomSource for At {
    fn next(&self) -> f64 {
        // The cases have percentages of 0 and below, or of 1 and above only, for which chance has no say.
        0.5
    }
}

pub(crate) fn run(case: &Object) -> Result<(), Difference> {
    let expect = field(case, "expect")?.as_object().ok_or("`expect` is no object")?;
    let known = ["result", "error", "stage", "rt", "hash_input", "score", "percentage"];
    if let Some(unknown) = expect.keys().find(|key| !known.contains(key)) {
        return Err(format!("`expect` has {unknown:?}, which this program does not know"));
    }
    let text = match (case.get("item_raw"), case.get("item")) {
        (Some(raw), _) => Some(raw.as_str().ok_or("`item_raw` is no string")?.to_owned()),
        (None, None | Some(Json::Null)) => None,
        (None, Some(item)) => Some(item.to_string()),
    };
    let now = At(case.get("now").and_then(Json::as_f64).unwrap_or(0.0));
    let default = case.get("default").and_then(Json::as_bool).unwrap_or(false);
    let context = context(field(case, "kwargs")?)?;

    let store = MemoryFeatureFlagStore::new();
    if let Some(text) = &text {
        store.put_text(NAME, text);
    }
    let features = FeatureFlagClient::builder().clock(now).random(now).build(store);
    let evaluation = features.evaluate(NAME, &context);
    let by_default = matches!(evaluation.reason, Reason::NoSuchFlag | Reason::Corrupt);
    let result = if by_default { default } else { evaluation.is_enabled };

    let mismatch = matches!(evaluation.reason, Reason::TypeMismatch { .. });
    match (expect.get("error"), expect.get("stage").and_then(Json::as_str)) {
        (Some(error), Some("load")) if evaluation.reason != Reason::Corrupt => {
            return Err(format!("expected {error} at load, ours {evaluation}"));
        }
        (Some(error), Some("eval")) if !mismatch || result => {
            return Err(format!("expected {error}, ours {evaluation}"));
        }
        (Some(_), Some("load" | "eval")) => {}
        (Some(error), stage) => return Err(format!("unknown stage {stage:?} of {error}")),
        (None, _) => {
            let expected = field(expect, "result")?.as_bool().ok_or("`result` is no bool")?;
            if expected != result || mismatch || (evaluation.reason == Reason::Corrupt) {
                return Err(format!("expected {expected}, ours {evaluation}"));
            }
        }
    }
    if by_default {
        // Nothing could be loaded, so there is nothing more to compare.
        return Ok(());
    }
    same("check", &evaluation.is_enabled, &features.is_enabled_with(NAME, &context))?;
    if let (Some(rt), Some(text)) = (expect.get("rt"), &text) {
        let ours = FlagRecord::from_json(text).map_err(|error| format!("{error}"))?.to_json();
        same("text", &with_sorted_whitelist(rt.as_str().unwrap_or_default()), &with_sorted_whitelist(&ours))?;
    }
    let bucket = evaluation.bucket.as_ref();
    if let Some(score) = expect.get("score") {
        same("score", &score.as_f64(), &bucket.map(|bucket| bucket.score))?;
    }
    if let Some(percentage) = expect.get("percentage") {
        // By value, as everywhere in Python: a ramp between whole numbers ends on one, and 1 is 1.0.
        let by_value = |json: &Json| json.as_f64().map_or(json.to_string(), |number| number.to_string());
        let ours = bucket.map(|bucket| by_value(&bucket.percentage));
        same("percentage", &Some(by_value(percentage)), &ours)?;
    }
    if let Some(input) = expect.get("hash_input") {
        let record = features.record(NAME).map_err(|error| format!("{error}"))?;
        let Bucketer::ConsistentHash(bucketer) = record.bucketer() else {
            return Err("no bucketer that hashes".into());
        };
        same("hash input", &input.as_str(), &Some(bucketer.hash_input(&context).as_str()))?;
    }
    Ok(())
}

pub(crate) fn context(kwargs: &Json) -> Result<Context, Difference> {
    let kwargs = kwargs.as_object().ok_or("`kwargs` is no object")?;
    Ok(kwargs.iter().fold(Context::new(), |context, (name, value)| context.with(name, value)))
}
