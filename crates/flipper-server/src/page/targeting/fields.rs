//! The fields of the form.

use maud::{Markup, html};

use super::super::edit::Edit;
use super::{ScheduleFields, Targeting, VariantFields};

pub(in super::super) fn fields(edit: &Edit<'_>, writes: bool, draft: &Targeting) -> Markup {
    let Targeting { rules, variants, prerequisites, schedule } = draft;
    html! {
        section aria-labelledby="rules-title" {
            h2 #rules-title { "Rules" }
            fieldset disabled[!writes] {
                legend.hidden { "Rules" }
                (edit.lines("rules", "Rules", rules, &html! {
                    "One a line, in order; the first that holds decides, before the conditions. After a colon it says what it serves: "
                    code { "plan = pro and in segment beta: on" } ", " code { "country = CH: 25% by user_id" } " or "
                    code { "[staff] email ends with \"@corp.com\": variant red" } ". A line without a condition is for everybody: " code { "off" } ". Python finds such a flag off."
                }))
                (edit.lines("prerequisites", "Needs", prerequisites, &html! {
                    "Flags that must be on, one a line: " code { "CHECKOUT" } " or, with a variant, " code { "CHECKOUT = red" } "."
                }))
            }
        }
        (variants_of(edit, writes, variants))
        (schedule_of(edit, writes, schedule))
    }
}

fn variants_of(edit: &Edit<'_>, writes: bool, VariantFields { lines, by, off }: &VariantFields) -> Markup {
    html! {
        section aria-labelledby="variants-title" {
            h2 #variants-title { "Variants" }
            fieldset disabled[!writes] {
                legend.hidden { "Variants" }
                (edit.lines("variants", "Values that callers get", lines, &html! {
                    "One a line: a name, a share and a value in JSON, such as " code { "red 50% \"#f00\"" }
                    ". The shares add up to 100%. A variant that grows takes callers only from those that shrink."
                }))
                div.fields {
                    (edit.text("variants-by", "By", by, "The attribute that chooses callers", "user_id"))
                    (edit.text("variants-off", "When off", off, "The variant of a flag that is off. Without it callers get their default", ""))
                }
            }
        }
    }
}

fn schedule_of(edit: &Edit<'_>, writes: bool, draft: &ScheduleFields) -> Markup {
    let ScheduleFields { enable_at, disable_at, steps, by } = draft;
    html! {
        section aria-labelledby="schedule-title" {
            h2 #schedule-title { "Schedule" }
            fieldset disabled[!writes] aria-describedby=[edit.is_wrong("schedule").map(|_| "schedule-fault")] {
                legend.hidden { "Schedule" }
                (edit.fault("schedule"))
                p.hint { "All times are UTC. They count while the switch is on; a new time to turn it on also turns on the switch." }
                div.fields {
                    (time(edit, "enable-at", "On from", enable_at))
                    (time(edit, "disable-at", "Off from", disable_at))
                }
                (edit.lines("steps", "Rollout in steps", steps, &html! {
                    "One a line, in order, instead of the rollout below: " code { "25% from 2026-12-01T08:00" } ". Before the first it is off."
                }))
                (edit.text("steps-by", "Steps by", by, "The attribute that chooses callers", "user_id"))
            }
        }
    }
}

fn time(edit: &Edit<'_>, name: &'static str, label: &str, value: &str) -> Markup {
    html! {
        div.field {
            label for=(name) { (label) }
            input id=(name) name=(name) value=(value) type="datetime-local" step="1" max="9999-12-31T23:59:59"
                aria-invalid=[edit.is_wrong(name)] aria-describedby=(edit.fault_id(name));
            (edit.fault(name))
        }
    }
}
