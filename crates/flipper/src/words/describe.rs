use super::parts;
use super::text::{date, now, percent, plain, value};
use crate::json::Json;
use crate::{Bucketer, FlagRecord};

/// A strict flag: a condition on a missing attribute does not hold.
const STRICT: &str = "strict";

/// Which callers an enabled flag is on for, and with which variants; `None` for all. Of a segment: whom it is about.
pub fn targeting(record: &FlagRecord) -> Option<String> {
    if let Some(segment) = record.segment() {
        return Some(parts::segment(segment));
    }
    let deny = deny(record);
    let before = parts::prerequisites(record).into_iter().chain(deny).chain(parts::rules_briefly(record));
    let all: Vec<_> = before.chain(allowed(record)).chain(parts::variants(record)).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

/// The same without prerequisites, rules and variants: what decides where no rule holds.
pub fn callers(record: &FlagRecord) -> Option<String> {
    let all: Vec<_> = deny(record).chain(allowed(record)).collect();
    (!all.is_empty()).then(|| all.join("; "))
}

fn deny(record: &FlagRecord) -> impl Iterator<Item = String> {
    record.deny_conditions().iter().map(|deny| format!("not if {deny}"))
}

fn allowed(record: &FlagRecord) -> impl Iterator<Item = String> {
    // It is about conditions alone.
    let has_conditions = !record.conditions().is_empty() || !record.deny_conditions().is_empty();
    let strict = (record.is_strict() && has_conditions).then(|| STRICT.to_owned());
    let share = parts::steps(record).or_else(|| rollout(record.bucketer()));
    record.conditions().iter().map(ToString::to_string).chain(strict).chain(share)
}

/// The share, the attributes that choose callers, and the current share of a ramp.
pub fn rollout(bucketer: &Bucketer) -> Option<String> {
    let settled = settled_rollout(bucketer)?;
    Some(match ramp(bucketer).and_then(|ramp| ramp.now()) {
        Some(share) => format!("{settled}, now {:.1}%", share * 100.0),
        None => settled,
    })
}

/// The same without the current share, which differs from one look to the next.
fn settled_rollout(bucketer: &Bucketer) -> Option<String> {
    Some(match bucketer {
        Bucketer::NoOp => return None,
        Bucketer::Percentage(_) | Bucketer::ConsistentHash(_) | Bucketer::Salted(_) => {
            format!("{} {}", share_of(bucketer), choice(bucketer))
        }
        _ => choice(bucketer),
    })
}

/// How callers are chosen: `by user_id`.
pub fn choice(bucketer: &Bucketer) -> String {
    match bucketer {
        Bucketer::NoOp => String::new(),
        Bucketer::Percentage(_) => "of all checks, at random".to_owned(),
        Bucketer::ConsistentHash(hash) => {
            let keys: Vec<_> = hash.keys().map(|key| plain(key).into_owned()).collect();
            let by = if keys.is_empty() { "all attributes".to_owned() } else { keys.join(", ") };
            format!("by {by}")
        }
        Bucketer::Salted(salted) => format!("by {}, salted", plain(salted.bucket_by())),
        other => format!("bucketer {}", plain(other.bucketer_type())),
    }
}

/// The attributes that choose callers.
pub fn hashed(bucketer: &Bucketer) -> Vec<&str> {
    match bucketer {
        Bucketer::ConsistentHash(hash) => hash.keys().collect(),
        Bucketer::Salted(salted) => vec![salted.bucket_by()],
        _ => Vec::new(),
    }
}

/// `25%`, `0% to 100% until …`
pub fn share_of(bucketer: &Bucketer) -> String {
    if let Some(ramp) = ramp(bucketer) {
        let until = if ramp.is_over() { "since" } else { "until" };
        return format!("{} to {} {until} {}", percent(ramp.first), percent(ramp.last), date(ramp.end() as i64));
    }
    let stored = bucketer.to_json();
    match stored.get("percentage").and_then(|percentage| percentage.get("value")) {
        Some(stored) => stored.as_f64().map_or_else(|| format!("{} (not a number)", value(stored)), percent),
        None => "no percentage".to_owned(),
    }
}

/// A share that grows over time. Shares are from 0 to 1, times in seconds.
pub struct Ramp {
    /// At the begin.
    pub first: f64,
    /// At the end.
    pub last: f64,
    start: f64,
    /// From the begin to the end.
    pub seconds: f64,
}

impl Ramp {
    /// When it ends, in seconds since 1970.
    pub fn end(&self) -> f64 {
        self.start + self.seconds
    }

    /// Whether its last share is reached.
    pub fn is_over(&self) -> bool {
        self.end() <= now() as f64
    }

    /// The current share; `None` once the ramp is over.
    fn now(&self) -> Option<f64> {
        let part = ((now() as f64 - self.start) / self.seconds).max(0.0);
        (!self.is_over()).then_some(self.first + (self.last - self.first) * part)
    }
}

/// The ramp of a bucketer, if its share is one.
pub fn ramp(bucketer: &Bucketer) -> Option<Ramp> {
    let stored = bucketer.to_json();
    let percentage = stored.get("percentage")?;
    let number = |key: &str| percentage.get(key).and_then(Json::as_f64);
    Some(Ramp {
        first: number("initial_value")?,
        last: number("final_value")?,
        start: number("initial_time")?,
        seconds: number("ramp_duration")?,
    })
}

/// All fields of a flag but its rules, as names and values that may be long. Two states of a flag are compared by them.
pub(super) fn whole_fields(record: &FlagRecord) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    // A segment is neither on nor off.
    if record.segment().is_none() || record.is_enabled() {
        fields.push(("enabled".to_owned(), record.is_enabled().to_string()));
    }
    match record.client_data() {
        Json::Object(data) => {
            fields.extend(data.iter().map(|(key, data)| (format!("data {}", plain(key)), value(data))));
        }
        other => fields.push(("data".to_owned(), value(other))),
    }
    fields.extend(record.conditions().iter().map(|each| ("condition".to_owned(), each.to_string())));
    fields.extend(record.deny_conditions().iter().map(|each| ("deny condition".to_owned(), each.to_string())));
    fields.extend(record.is_strict().then(|| ("conditions".to_owned(), STRICT.to_owned())));
    fields.extend(settled_rollout(record.bucketer()).map(|rollout| ("rollout".to_owned(), rollout)));
    fields.extend(parts::fields(record));
    fields.push(("created".to_owned(), record.created_date().map_or_else(|| "unknown".to_owned(), date)));
    fields.extend(unknown(record));
    fields
}

/// All fields of a flag as names and values, long ones cut.
pub fn fields(record: &FlagRecord) -> Vec<(String, String)> {
    whole_fields(record)
        .into_iter()
        .chain(parts::rule_fields(record))
        .map(|(what, how)| (what, parts::brief(&how)))
        .collect()
}

/// Stored fields that this library does not know, as names and values.
pub fn unknown(record: &FlagRecord) -> Vec<(String, String)> {
    const KNOWN: [&str; 14] = [
        "feature_name",
        "is_enabled",
        "meta",
        "client_data",
        "created_date",
        "conditions",
        "bucketer",
        "deny_conditions",
        "strict_conditions",
        "rules",
        "variants",
        "prerequisites",
        "schedule",
        "segment",
    ];
    // Where the Python library is to find the flag off, its state.
    const STATE: &str = "enabled";
    let stored = Json::parse(&record.to_json()).unwrap_or_default();
    let meta = record.meta();
    let mut unknown = Vec::new();
    for (prefix, object) in [("", &stored), ("meta ", &meta)] {
        let fields = object.as_object().into_iter().flat_map(|object| object.iter());
        let is_state = |key: &str| record.is_off_for_python() && !prefix.is_empty() && key == STATE;
        let fields = fields.filter(|(key, _)| !KNOWN.contains(key) && !is_state(key));
        unknown.extend(fields.map(|(key, data)| (format!("{prefix}{}", plain(key)), value(data))));
    }
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Condition;
    use crate::targeting::{Prerequisite, Rule, Schedule, Serve, Variant, Variants, When};

    fn full() -> FlagRecord {
        let mut record = FlagRecord::new("F", 1);
        record.set_enabled(true);
        record.set_variants(Some(Variants::new("id").with(Variant::new("red", 100.0)).off("red")));
        record.set_rules(vec![
            Rule::new(Serve::On).when("in segment beta".parse::<When>().unwrap()).named("first"),
            Rule::new(Serve::Variant("red".into())),
        ]);
        record.set_prerequisites(vec![Prerequisite::new("OTHER").with_variant("blue")]);
        record.set_schedule(Some(Schedule { enable_at: Some(10), ..Schedule::default() }));
        record.set_deny_conditions(vec![Condition::new().eq("country", "XX")]);
        FlagRecord::from_json(record.to_json()).unwrap()
    }

    #[test]
    fn all_parts_are_known_and_shown() {
        assert_eq!(unknown(&full()), []);
        let expected = "needs OTHER = blue; not if country = \"XX\"; if in segment beta: on; everybody: variant red; \
                        red 100% by id, red when off";
        assert_eq!(targeting(&full()).as_deref(), Some(expected));
        assert_eq!(callers(&full()).as_deref(), Some("not if country = \"XX\""));
        let fields: Vec<_> = fields(&full()).into_iter().map(|(what, how)| format!("{what}: {how}")).collect();
        assert_eq!(
            fields,
            [
                "enabled: true",
                "deny condition: country = \"XX\"",
                "schedule: on from 1970-01-01T00:00:10Z",
                "prerequisite: OTHER = blue",
                "variants by: id",
                "variant red: 100%, \"red\"",
                "variant when off: red",
                "created: 1970-01-01T00:00:01Z",
                "rule 0: first: if in segment beta: on",
                "rule 1: everybody: variant red",
            ]
        );
    }

    #[test]
    fn fields_of_other_programs_are_shown() {
        let stored = full().to_json().replace("\"rules\"", "\"mine\": 1, \"rules\"");
        assert_eq!(unknown(&FlagRecord::from_json(stored).unwrap()), [("meta mine".to_owned(), "1".to_owned())]);
        // Without a part that needs it, it is a foreign field.
        let plain =
            FlagRecord::new("F", 1).to_json().replace("\"created_date\"", "\"enabled\": true, \"created_date\"");
        assert_eq!(unknown(&FlagRecord::from_json(plain).unwrap()), [("meta enabled".to_owned(), "true".to_owned())]);
    }

    #[test]
    fn a_segment_is_neither_on_nor_off() {
        let mut record = FlagRecord::new("segments/beta", 1);
        record.set_segment(Some("id in 1, 2, 3, 4, 5, 6, 7".parse().unwrap()));
        assert_eq!(targeting(&record).as_deref(), Some("id in 7 values: 1, 2, 3, 4, 5, …"));
        assert!(fields(&record).iter().all(|(what, _)| what != "enabled"));
    }
}
