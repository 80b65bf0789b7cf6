//! Rules, variants, prerequisites and the schedule of a flag as the fields of a form, and back.

mod facts;
mod fields;
mod lines;
mod linked;
mod times;

pub(super) use self::facts::facts;
pub(super) use self::fields::fields;
pub(super) use self::linked::{linked, must_exist};

use std::time::SystemTime;

use flipper::FlagRecord;
use flipper::targeting::{Schedule, Variants};

use super::draft::{Fault, pick};
use super::form::Form;
use crate::api::now;
use crate::problem::Problem;

const FIELDS: [&str; 9] = [
    "rules",
    "variants",
    "variants-by",
    "variants-off",
    "prerequisites",
    "enable-at",
    "disable-at",
    "steps",
    "steps-by",
];

/// What is not changed in a form stays as it is stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Targeting {
    /// One a line: `plan = pro: 25% by user_id`.
    pub(super) rules: String,
    pub(super) variants: VariantFields,
    /// One a line: `CHECKOUT`, or `CHECKOUT = red`.
    pub(super) prerequisites: String,
    pub(super) schedule: ScheduleFields,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct VariantFields {
    /// One a line: `red 50% "#f00"`.
    pub(super) lines: String,
    pub(super) by: String,
    /// The variant of a flag that is off.
    pub(super) off: String,
}

/// Times are UTC, as browsers write them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ScheduleFields {
    pub(super) enable_at: String,
    pub(super) disable_at: String,
    /// One a line: `25% from 2026-12-01T08:00`.
    pub(super) steps: String,
    pub(super) by: String,
}

impl Targeting {
    pub(super) fn of(record: &FlagRecord) -> Self {
        Self {
            rules: lines::all(record.rules(), lines::rule),
            variants: record.variants().map(VariantFields::of).unwrap_or_default(),
            prerequisites: lines::all(record.prerequisites(), ToString::to_string),
            schedule: record.schedule().map(ScheduleFields::of).unwrap_or_default(),
        }
    }

    /// `None`: the form has none of the fields, and changes nothing of them.
    pub(super) fn read(form: &Form) -> Option<Self> {
        let text = |name: &str| form.text(name).replace("\r\n", "\n").trim().to_owned();
        // In the form that a record's own fields have.
        let time = |name: &str| times::read(form.text(name)).map_or_else(|_| text(name), times::written);
        FIELDS.iter().any(|field| form.has(field)).then(|| Self {
            rules: text("rules"),
            variants: VariantFields { lines: text("variants"), by: text("variants-by"), off: text("variants-off") },
            prerequisites: text("prerequisites"),
            schedule: ScheduleFields {
                enable_at: time("enable-at"),
                disable_at: time("disable-at"),
                steps: text("steps"),
                by: text("steps-by"),
            },
        })
    }

    /// A form that ended early would remove what it does not have.
    pub(super) fn must_be_whole(form: &Form) -> Result<(), Problem> {
        let missing =
            FIELDS.iter().find(|field| !form.has(field)).filter(|_| FIELDS.iter().any(|field| form.has(field)));
        missing.map_or(Ok(()), |field| Err(Problem::bad_request(format!("the form has no field {field:?}"))))
    }

    /// Changes what differs from the record's own fields, and nothing else.
    pub(super) fn apply(&self, record: &mut FlagRecord, faults: &mut Vec<Fault>) {
        let was = Self::of(record);
        if self.variants != was.variants {
            match self.variants.read(record.variants()) {
                Ok(variants) => set(record, faults, "variants", &|record| record.set_variants(variants.clone())),
                Err(fault) => faults.push(fault),
            }
        }
        if self.rules != was.rules {
            match lines::read("rules", &self.rules, record.rules(), lines::rule, lines::read_rule) {
                Ok(rules) => set(record, faults, "rules", &|record| record.set_rules(rules.clone())),
                Err(fault) => faults.push(fault),
            }
        }
        if self.prerequisites != was.prerequisites {
            let before = record.prerequisites();
            let show = ToString::to_string;
            match lines::read("prerequisites", &self.prerequisites, before, show, lines::read_prerequisite) {
                Ok(all) => set(record, faults, "prerequisites", &|record| record.set_prerequisites(all.clone())),
                Err(fault) => faults.push(fault),
            }
        }
        if self.schedule != was.schedule {
            let read = self.schedule.read(record.schedule()).and_then(|schedule| {
                let checked = schedule.iter().try_for_each(|new| new.check_new(record.schedule(), SystemTime::now()));
                checked.map(|()| schedule).map_err(|error| Fault::new("schedule", without_flag(&error, record.name())))
            });
            match read {
                // The same in other words.
                Ok(schedule) if schedule.as_ref() == record.schedule() => {}
                Ok(schedule) => set(record, faults, "schedule", &|record| {
                    let on_from = |schedule: Option<&Schedule>| schedule.and_then(|schedule| schedule.enable_at);
                    let (before, after) = (on_from(record.schedule()), on_from(schedule.as_ref()));
                    // A new time to turn it on would do nothing for a flag whose switch is off. One that was there may be kept off.
                    if after != before && after.is_some_and(|at| at > now()) {
                        record.set_enabled(true);
                    }
                    match &schedule {
                        Some(_) => record.set_schedule(schedule.clone()),
                        None => record.clear_schedule(now()),
                    }
                }),
                Err(fault) => faults.push(fault),
            }
        }
    }

    /// Fields that `mine` changed since `base`, and else those of `theirs`.
    pub(super) fn merged(base: &Self, mine: &Self, theirs: &Self, is_clash: &mut bool) -> Self {
        Self {
            rules: pick(&*base.rules, &*mine.rules, &*theirs.rules, is_clash).to_owned(),
            variants: pick(&base.variants, &mine.variants, &theirs.variants, is_clash).clone(),
            prerequisites: pick(&*base.prerequisites, &*mine.prerequisites, &*theirs.prerequisites, is_clash)
                .to_owned(),
            schedule: pick(&base.schedule, &mine.schedule, &theirs.schedule, is_clash).clone(),
        }
    }
}

/// Unless the flag contradicts itself then, as far as this field does it.
fn set(record: &mut FlagRecord, faults: &mut Vec<Fault>, field: &'static str, change: &dyn Fn(&mut FlagRecord)) {
    let mut alone = FlagRecord::new(record.name(), 0);
    if field == "rules" {
        alone.set_variants(record.variants().cloned());
    }
    change(&mut alone);
    match alone.validate() {
        Ok(()) => change(record),
        Err(error) => faults.push(Fault::new(field, without_flag(&error, record.name()))),
    }
}

/// The message alone.
pub(super) fn without_flag(error: &flipper::Error, name: &str) -> String {
    let text = error.to_string();
    let end = text.find(&format!(": flag {name:?}")).unwrap_or(text.len());
    text[..end].to_owned()
}

impl VariantFields {
    fn of(variants: &Variants) -> Self {
        Self {
            lines: lines::all(&variants.values, lines::variant),
            by: variants.by.clone(),
            off: variants.off.clone().unwrap_or_default(),
        }
    }

    fn read(&self, before: Option<&Variants>) -> Result<Option<Variants>, Fault> {
        let before = before.map(|variants| &variants.values[..]).unwrap_or_default();
        let mut values = lines::read("variants", &self.lines, before, lines::variant, lines::read_variant)?;
        // Of all or of none: the record finds out which callers stay.
        values.iter_mut().for_each(|variant| variant.buckets.clear());
        if values.is_empty() {
            return match self.off.is_empty() {
                true => Ok(None),
                false => Err(Fault::new("variants-off", "there are no variants")),
            };
        }
        if self.by.is_empty() {
            return Err(Fault::new("variants-by", "the attribute that chooses callers is missing, such as user_id"));
        }
        let off = Some(self.off.clone()).filter(|off| !off.is_empty());
        Ok(Some(Variants { by: self.by.clone(), off, values }))
    }
}

impl ScheduleFields {
    fn of(schedule: &Schedule) -> Self {
        let time = |at: Option<i64>| at.map(times::written).unwrap_or_default();
        Self {
            enable_at: time(schedule.enable_at),
            disable_at: time(schedule.disable_at),
            steps: lines::all(&schedule.steps, times::step),
            by: schedule.by.clone(),
        }
    }

    fn read(&self, before: Option<&Schedule>) -> Result<Option<Schedule>, Fault> {
        let time = |field: &'static str, text: &str| match text {
            "" => Ok(None),
            text => times::read(text).map(Some).map_err(|message| Fault::new(field, message)),
        };
        let before = before.map(|schedule| &schedule.steps[..]).unwrap_or_default();
        let steps = lines::read("steps", &self.steps, before, times::step, times::read_step)?;
        let schedule = Schedule {
            enable_at: time("enable-at", &self.enable_at)?,
            disable_at: time("disable-at", &self.disable_at)?,
            by: if steps.is_empty() { String::new() } else { self.by.clone() },
            steps,
        };
        Ok(Some(schedule).filter(|schedule| *schedule != Schedule::default()))
    }
}
