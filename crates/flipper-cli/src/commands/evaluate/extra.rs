//! The steps of what the Python library does not have; a flag without it has none of them.

use flipper::__words::{brief, is_on_now, turns};
use flipper::FlagRecord;
use flipper::context::Attributes;
use flipper::evaluation::Reason;

use super::Step;
use crate::commands::check::Checked;
use crate::describe;
use crate::failure::Done;
use crate::output::{FAINT, OFF, ON, styled};
use crate::text::{date, now, plain, value};
use crate::time::until;

const NOT_ASKED: &str = "not asked";

pub(super) fn schedule(record: &FlagRecord, decided: &mut bool) -> Option<Step> {
    let schedule =
        record.schedule().filter(|schedule| schedule.enable_at.is_some() || schedule.disable_at.is_some())?;
    let outcome = match (*decided, is_on_now(record)) {
        (true, _) => NOT_ASKED,
        (false, true) => "yes, so on to the next step",
        (false, false) => "no, and that decides: off",
    };
    *decided |= !is_on_now(record);
    let mut step = Step::new("is it on by its schedule?", outcome);
    let whole = turns(schedule)
        .into_iter()
        .filter(|(at, _)| Some(*at) == schedule.enable_at || Some(*at) == schedule.disable_at);
    step.details = whole.map(|(at, what)| format!("{what} from {} ({})", date(at), until(at, now()))).collect();
    Some(step)
}

pub(super) async fn prerequisites(checked: &Checked<'_>, decided: &mut bool) -> Done<Option<Step>> {
    let Checked { record, links, context, evaluation, .. } = checked;
    if record.prerequisites().is_empty() {
        return Ok(None);
    }
    let unmet = match &evaluation.reason {
        Reason::Prerequisite { flag, .. } => Some(flag),
        _ => None,
    };
    let outcome = match (*decided, unmet) {
        (true, _) => NOT_ASKED.to_owned(),
        (false, None) => "yes, so on to the next step".to_owned(),
        (false, Some(_)) => format!("no, and that decides: off, since {}", plain(&evaluation.reason.to_string())),
    };
    *decided |= unmet.is_some();
    let mut step = Step::new("are the flags on that it needs?", outcome);
    for each in record.prerequisites() {
        let says = match links.get(&each.flag) {
            None => styled(OFF, "is missing or cannot be read"),
            Some(other) => {
                let other = links.evaluate(&each.flag, other, context).await?;
                let state = if other.is_enabled { styled(ON, "on") } else { styled(OFF, "off") };
                let variant = other.variant.as_ref().map(|chosen| format!(", variant {}", plain(chosen.name())));
                format!("is {state}{}: {}", variant.unwrap_or_default(), plain(&other.reason.to_string()))
            }
        };
        step.details.push(format!("{} {says}", plain(&each.to_string())));
    }
    Ok(Some(step))
}

pub(super) fn rules(checked: &Checked<'_>, decided: &mut bool) -> Option<Step> {
    let Checked { record, context, evaluation, .. } = checked;
    if record.rules().is_empty() {
        return None;
    }
    let holding = match evaluation.reason {
        Reason::Rule { index, .. } => Some(index),
        _ => None,
    };
    let outcome = match (*decided, holding) {
        (true, _) => NOT_ASKED.to_owned(),
        (false, None) => "no, so on to the next step".to_owned(),
        (false, Some(index)) => {
            let state = if evaluation.is_enabled { "on" } else { "off" };
            format!("yes, rule {index}, and that decides: {state}")
        }
    };
    let mut step = Step::new("does a rule hold?", outcome);
    for (index, (rule, text)) in record.rules().iter().zip(describe::rules(record)).enumerate() {
        let mut missing = Vec::new();
        if let Some(when) = &rule.when {
            when.each_attribute(&mut |name| missing.push(name));
        }
        missing.retain(|name| !(0..context.len()).any(|place| context.attribute(place).0 == *name));
        missing.dedup();
        let says = match holding {
            _ if *decided => styled(FAINT, NOT_ASKED),
            Some(last) if index > last => styled(FAINT, NOT_ASKED),
            Some(last) if index == last => styled(ON, "holds"),
            _ if missing.is_empty() => styled(OFF, "does not hold"),
            _ => styled(OFF, format_args!("does not hold; not given: {}", plain(&missing.join(", ")))),
        };
        step.details.push(format!("{index}. {}: {says}", brief(&text)));
    }
    *decided |= holding.is_some();
    Some(step)
}

/// The schedule's steps, which are instead of the rollout.
pub(super) fn share(checked: &Checked<'_>, decided: bool) -> Option<Step> {
    let schedule = checked.record.schedule().filter(|schedule| !schedule.steps.is_empty())?;
    let outcome = if decided { NOT_ASKED } else { "that decides" };
    let mut step = Step::new("is the caller within the schedule's steps?", outcome);
    let steps = turns(schedule).into_iter().filter(|(_, what)| what != "on" && what != "off");
    step.details = steps.map(|(at, what)| format!("{what} from {} ({})", date(at), until(at, now()))).collect();
    Some(step)
}

pub(super) fn variant(checked: &Checked<'_>) -> Option<Step> {
    let variants = checked.record.variants()?;
    let outcome = match &checked.evaluation.variant {
        Some(chosen) => format!("{}, whose value is {}", plain(chosen.name()), brief(&value(chosen.value()))),
        None => "none, so a check gets its default".to_owned(),
    };
    let mut step = Step::new("which variant is it?", outcome);
    step.details.push(brief(&variants.to_string()));
    Some(step)
}
