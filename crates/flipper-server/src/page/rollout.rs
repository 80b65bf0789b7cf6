//! A rollout as the fields of a form.

use std::time::Duration;

use flipper::__words::{hashed, percent, percentage, ramp};
use flipper::Bucketer;
use flipper::bucketing::{ConsistentHashPercentageBucketer, PercentageBucketer, SaltedPercentageBucketer};
use flipper::json::Json;

use super::draft::Fault;
use super::form::Form;

const PERCENTAGE: &str = "percentage";

pub(super) const FIELD: &str = "rollout";

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// No rollout.
    #[default]
    Everybody,
    Share,
    Random,
    /// One that this page has no fields for.
    Other,
}

impl Kind {
    pub(super) fn code(self) -> &'static str {
        match self {
            Self::Everybody => "everybody",
            Self::Share => "share",
            Self::Random => "random",
            Self::Other => "other",
        }
    }
}

/// What is not changed in a form stays as it is stored, such as the begin of a ramp.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rollout {
    pub(super) kind: Kind,
    /// `25%`, or `0..100%`.
    pub(super) share: String,
    /// Of a ramp: `2h`.
    pub(super) over: String,
    /// Attributes, with commas; none for all.
    pub(super) by: String,
    pub(super) is_salted: bool,
}

impl Rollout {
    pub(super) fn of(bucketer: &Bucketer) -> Self {
        let kind = match bucketer {
            Bucketer::NoOp => return Self::default(),
            Bucketer::Percentage(_) => Kind::Random,
            Bucketer::ConsistentHash(_) | Bucketer::Salted(_) => Kind::Share,
            _ => return Self { kind: Kind::Other, ..Self::default() },
        };
        let Some((share, over)) = share_and_time(bucketer) else {
            return Self { kind: Kind::Other, ..Self::default() };
        };
        Self { kind, share, over, by: hashed(bucketer).join(", "), is_salted: matches!(bucketer, Bucketer::Salted(_)) }
    }

    pub(super) fn read(form: &Form) -> Self {
        let text = |name: &str| form.text(name).trim().to_owned();
        let all = [Kind::Everybody, Kind::Share, Kind::Random, Kind::Other];
        // One that this page does not know stays as it is stored.
        let kind = all.into_iter().find(|kind| kind.code() == form.text(FIELD)).unwrap_or(Kind::Other);
        let read =
            Self { kind, share: text("share"), over: text("over"), by: text("by"), is_salted: form.has("salted") };
        read.with_used_fields()
    }

    /// The other fields are hidden, whatever is in them.
    fn with_used_fields(self) -> Self {
        match self.kind {
            Kind::Everybody | Kind::Other => Self { kind: self.kind, ..Self::default() },
            Kind::Random => Self { by: String::new(), is_salted: false, ..self },
            Kind::Share => self,
        }
    }

    pub(super) fn bucketer(&self, before: &Bucketer) -> Result<Bucketer, Fault> {
        let was = Self::of(before);
        if *self == was {
            return Ok(before.clone());
        }
        let by: Vec<&str> = self.by.split(',').map(str::trim).filter(|by| !by.is_empty()).collect();
        // Its share is set below.
        let bucketer: Bucketer = match (self.kind, &by[..]) {
            (Kind::Everybody, _) => return Ok(Bucketer::NoOp),
            (Kind::Other, _) => return Ok(before.clone()),
            (Kind::Random, _) => PercentageBucketer::new(1.0).into(),
            (Kind::Share, [by]) if self.is_salted => SaltedPercentageBucketer::new(*by, 1.0).into(),
            (Kind::Share, _) if self.is_salted => {
                return Err(Fault::new("by", "a salted rollout needs exactly one attribute"));
            }
            (Kind::Share, by) => ConsistentHashPercentageBucketer::new(1.0).key_whitelist(by).into(),
        };
        let had_share = matches!(was.kind, Kind::Share | Kind::Random);
        let share = match had_share && (&self.share, &self.over) == (&was.share, &was.over) {
            true => before.to_json().get(PERCENTAGE).cloned(),
            false => Some(self.new_share()?),
        };
        let mut stored = bucketer.to_json();
        if let (Json::Object(fields), Some(share)) = (&mut stored, share) {
            fields.insert(PERCENTAGE, share);
        }
        Bucketer::from_json(&stored).map_err(|error| Fault::new("share", error.chain()))
    }

    fn new_share(&self) -> Result<Json, Fault> {
        let wrong = |error| Fault::new("over", format!("{error}; write it like 30min, 2h or 3d"));
        let over = match &*self.over {
            "" => None,
            text => Some(humantime::parse_duration(text).map_err(wrong)?),
        };
        if self.share.contains("..") && over.is_none() {
            return Err(Fault::new(
                "over",
                "a rollout from one share to another takes time; write it like 30min, 2h or 3d",
            ));
        }
        let percentage = percentage(&self.share, over)
            .map_err(|what| Fault::new("share", format!("{what}; write it like 25%, or 0..100% for a ramp")))?;
        let stored = Bucketer::from(PercentageBucketer::new(percentage)).to_json();
        Ok(stored.get(PERCENTAGE).cloned().unwrap_or_default())
    }
}

/// `None` for what no form can have, such as a share that is a text.
fn share_and_time(bucketer: &Bucketer) -> Option<(String, String)> {
    if let Some(ramp) = ramp(bucketer) {
        let share = format!("{}..{}", percent(ramp.first).trim_end_matches('%'), percent(ramp.last));
        let over = Duration::try_from_secs_f64(ramp.seconds).ok()?;
        return Some((share, humantime::format_duration(over).to_string()));
    }
    let share = bucketer.to_json().get(PERCENTAGE)?.get("value")?.as_f64()?;
    Some((percent(share), String::new()))
}

#[cfg(test)]
mod tests {
    use flipper::bucketing::LinearRampPercentage;

    use super::*;

    fn hashed_by(keys: &[&str]) -> Bucketer {
        ConsistentHashPercentageBucketer::new(0.25).key_whitelist(keys).into()
    }

    #[test]
    fn what_is_stored_is_what_a_form_has() {
        let ramp = LinearRampPercentage::new(0.0, 1.0, Duration::from_secs(7200));
        for (bucketer, expected) in [
            (Bucketer::NoOp, ("everybody", "", "", "", false)),
            (hashed_by(&["a", "b"]), ("share", "25%", "", "a, b", false)),
            (hashed_by(&[]), ("share", "25%", "", "", false)),
            (SaltedPercentageBucketer::new("a", ramp).into(), ("share", "0..100%", "2h", "a", true)),
            (PercentageBucketer::new(0.5).into(), ("random", "50%", "", "", false)),
        ] {
            let rollout = Rollout::of(&bucketer);
            let shown = (rollout.kind.code(), &*rollout.share, &*rollout.over, &*rollout.by, rollout.is_salted);
            assert_eq!(shown, expected);
            assert_eq!(rollout.bucketer(&bucketer).ok(), Some(bucketer));
        }
    }

    #[test]
    fn what_is_not_changed_stays() {
        let start = std::time::UNIX_EPOCH + Duration::from_secs(1000);
        let ramp = LinearRampPercentage::new(0.0, 1.0, Duration::from_secs(7200)).starting_at(start);
        let before = ConsistentHashPercentageBucketer::new(ramp.clone()).key_whitelist(["a"]).into();
        let rollout = Rollout { by: "b".to_owned(), ..Rollout::of(&before) };
        let expected: Bucketer = ConsistentHashPercentageBucketer::new(ramp).key_whitelist(["b"]).into();
        assert_eq!(rollout.bucketer(&before).ok(), Some(expected));
        let faster = Rollout { over: "1h".to_owned(), ..Rollout::of(&before) };
        let begun = faster.bucketer(&before).ok().unwrap();
        assert_ne!(begun.to_json()[PERCENTAGE]["initial_time"].as_i64(), Some(1000), "a new ramp begins now");
    }

    #[test]
    fn faults_name_their_field() {
        let share = |share: &str, over: &str, by: &str, is_salted| Rollout {
            kind: Kind::Share,
            share: share.into(),
            over: over.into(),
            by: by.into(),
            is_salted,
        };
        for (rollout, field) in [
            (share("25", "", "", false), "share"),
            (share("", "", "", false), "share"),
            (share("0..50%", "", "", false), "over"),
            (share("0..50%", "soon", "", false), "over"),
            (share("50%", "2h", "", false), "share"),
            (share("50%", "", "", true), "by"),
            (share("50%", "", "a, b", true), "by"),
        ] {
            assert_eq!(rollout.bucketer(&Bucketer::NoOp).unwrap_err().field, field, "{rollout:?}");
        }
    }
}
