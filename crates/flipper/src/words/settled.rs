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
    if record.segment().is_some() {
        return None;
    }
    if !record.is_enabled() {
        return Some(written);
    }
    let schedule = record.schedule();
    if let Some(end) = schedule.and_then(|schedule| schedule.disable_at) {
        return (end <= until).then_some(end.max(written));
    }
    let is_limited = !record.rules().is_empty() || !record.prerequisites().is_empty();
    let varies =
        record.variants().is_some_and(|variants| variants.values.iter().filter(|each| each.weight > 0).count() > 1);
    if is_limited || varies || !record.conditions().is_empty() || !record.deny_conditions().is_empty() {
        return None;
    }
    // Without an end it is on from its begin, or with its last step, which takes the bucketer's place.
    if let Some(step) = schedule.and_then(|schedule| schedule.steps.last()) {
        return (step.at <= until && step.share >= 1.0).then_some(step.at.max(written));
    }
    let written = match schedule.and_then(|schedule| schedule.enable_at) {
        Some(at) if at > until => return None,
        Some(at) => at.max(written),
        None => written,
    };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targeting::{Rule, Schedule, Serve, Step, Variant, Variants, When};

    #[test]
    fn a_schedule_settles_with_its_last_turn() {
        let since = |change: &dyn Fn(&mut Schedule)| {
            let mut record = FlagRecord::new("F", 1);
            let mut schedule = Schedule { by: "id".into(), ..Schedule::default() };
            change(&mut schedule);
            record.set_enabled(true);
            record.set_schedule(Some(schedule));
            settled_since(&record, 5, 100)
        };
        assert_eq!(since(&|schedule| schedule.enable_at = Some(50)), Some(50));
        assert_eq!(since(&|schedule| schedule.enable_at = Some(3)), Some(5), "it was written later");
        assert_eq!(since(&|schedule| schedule.enable_at = Some(101)), None);
        assert_eq!(since(&|schedule| schedule.disable_at = Some(60)), Some(60));
        assert_eq!(since(&|schedule| schedule.disable_at = Some(101)), None);
        let steps = |share| move |schedule: &mut Schedule| schedule.steps = vec![Step { at: 70, share }];
        assert_eq!(since(&steps(1.0)), Some(70));
        assert_eq!(since(&steps(0.5)), None);
    }

    #[test]
    fn what_differs_between_callers_is_not_settled() {
        let settled = |change: &dyn Fn(&mut FlagRecord)| {
            let mut record = FlagRecord::new("F", 1);
            record.set_enabled(true);
            change(&mut record);
            is_settled(&record)
        };
        let begun = Schedule { enable_at: Some(5), ..Schedule::default() };
        assert!(!settled(&|record| {
            record.set_schedule(Some(begun.clone()));
            record.set_bucketer(crate::bucketing::SaltedPercentageBucketer::new("id", 0.1).into());
        }));
        let variants = |red| Variants::new("id").with(Variant::new("red", red)).with(Variant::new("blue", 100.0 - red));
        assert!(!settled(&|record| record.set_rules(vec![Rule::new(Serve::On)])));
        assert!(!settled(&|record| record.set_variants(Some(variants(50.0)))));
        assert!(settled(&|record| record.set_variants(Some(variants(100.0)))));
        assert!(!settled(&|record| record.set_segment(Some(When::All(Vec::new())))));
    }
}
