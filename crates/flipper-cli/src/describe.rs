//! A flag in the words of a person.

use flipper::{Bucketer, FlagRecord, Json};

use crate::condition;
use crate::text::{date, now, percent, plain, value};

/// The key of the client data that has the description.
const DESCRIPTION: &str = "description";

/// What the client data say that the flag is for.
pub(crate) fn description(record: &FlagRecord) -> Option<&str> {
    record.client_data().get(DESCRIPTION)?.as_str()
}

/// Whom an enabled flag is on for; `None` where it is everybody.
pub(crate) fn targeting(record: &FlagRecord) -> Option<String> {
    let deny = record.deny_conditions().iter().map(|deny| format!("not if {}", condition::show(deny)));
    let conditions = record.conditions().iter().map(condition::show);
    let parts: Vec<_> = deny.chain(conditions).chain(rollout(record.bucketer())).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The share of a bucketer, and by what it is chosen.
pub(crate) fn rollout(bucketer: &Bucketer) -> Option<String> {
    let stored = bucketer.to_json();
    let share = || share(stored.get("percentage"));
    Some(match bucketer {
        Bucketer::NoOp => return None,
        Bucketer::Percentage(_) => format!("{} of all checks, at random", share()),
        Bucketer::ConsistentHash(hash) => {
            let keys: Vec<_> = hash.keys().map(|key| plain(key).into_owned()).collect();
            let by = if keys.is_empty() { "all attributes".to_owned() } else { keys.join(", ") };
            format!("{} by {by}", share())
        }
        Bucketer::Salted(salted) => format!("{} by {}, salted", share(), plain(salted.bucket_by())),
        other => format!("bucketer {}", plain(other.bucketer_type())),
    })
}

/// `25%`, or where a ramp stands now.
fn share(percentage: Option<&Json>) -> String {
    let number = |key: &str| percentage.and_then(|percentage| percentage.get(key)).and_then(Json::as_f64);
    let kind = percentage.and_then(|percentage| percentage.get("type")).and_then(Json::as_str);
    if kind != Some("LinearRampPercentage") {
        return match percentage.and_then(|percentage| percentage.get("value")) {
            Some(stored) => stored.as_f64().map_or_else(|| format!("{} (not a number)", value(stored)), percent),
            None => "no percentage".to_owned(),
        };
    }
    let (Some(first), Some(last), Some(seconds), Some(start)) =
        (number("initial_value"), number("final_value"), number("ramp_duration"), number("initial_time"))
    else {
        return "a ramp without numbers".to_owned();
    };
    let elapsed = now() as f64 - start;
    let part = if seconds > 0.0 { (elapsed / seconds).clamp(0.0, 1.0) } else { 1.0 };
    let line = format!("{} to {}", percent(first), percent(last));
    let end = date((start + seconds) as i64);
    if part >= 1.0 {
        return format!("{line}, done {end}");
    }
    let at = (first + (last - first) * part) * 100.0;
    format!("{line} by {end}, now {at:.1}%")
}

/// All that can be told of a flag, as pairs of what and how: what two states of a flag are compared by.
pub(crate) fn fields(record: &FlagRecord) -> Vec<(String, String)> {
    let mut fields = vec![("enabled".to_owned(), record.is_enabled().to_string())];
    match record.client_data() {
        Json::Object(data) => {
            fields.extend(data.iter().map(|(key, data)| (format!("data {}", plain(key)), value(data))));
        }
        other => fields.push(("data".to_owned(), value(other))),
    }
    fields.extend(record.conditions().iter().map(|each| ("condition".to_owned(), condition::show(each))));
    fields.extend(record.deny_conditions().iter().map(|each| ("deny condition".to_owned(), condition::show(each))));
    fields.extend(rollout_to_compare(record.bucketer()).map(|rollout| ("rollout".to_owned(), rollout)));
    fields.push(("created".to_owned(), record.created_date().map_or_else(|| "unknown".to_owned(), date)));
    fields.extend(unknown(record));
    fields
}

/// Without the present value of a ramp, which is another at each look.
fn rollout_to_compare(bucketer: &Bucketer) -> Option<String> {
    let rollout = rollout(bucketer)?;
    Some(match rollout.split_once(", now ") {
        Some((line, rest)) => format!("{line}{}", rest.split_once('%').map_or("", |(_, rest)| rest)),
        None => rollout,
    })
}

/// Fields that this version has no words for.
pub(crate) fn unknown(record: &FlagRecord) -> Vec<(String, String)> {
    const KNOWN: [&str; 8] = [
        "feature_name",
        "is_enabled",
        "meta",
        "client_data",
        "created_date",
        "conditions",
        "bucketer",
        "deny_conditions",
    ];
    let stored = Json::parse(&record.to_json()).unwrap_or_default();
    let meta = record.meta();
    let all = [("", &stored), ("meta ", &meta)];
    let fields = all.iter().flat_map(|(prefix, object)| {
        object
            .as_object()
            .into_iter()
            .flat_map(move |object| object.iter().map(move |(key, data)| (*prefix, key, data)))
    });
    fields
        .filter(|(_, key, _)| !KNOWN.contains(key))
        .map(|(prefix, key, data)| (format!("{prefix}{}", plain(key)), value(data)))
        .collect()
}
