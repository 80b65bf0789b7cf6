use super::{ENABLED, FlagRecord};
use crate::targeting::{NONE, Prerequisite, Rule, Schedule, Targeting, Variants, When};

impl FlagRecord {
    pub(crate) fn targeting(&self) -> Option<&Targeting> {
        self.more().targeting.as_deref()
    }

    /// Whether it is stored as off, since the Python library would ignore what limits the flag, and does not know segments.
    #[doc(hidden)]
    #[must_use]
    pub fn is_off_for_python(&self) -> bool {
        self.targeting().is_some_and(|targeting| targeting.is_off_for_python())
    }

    /// The rules, in order: the first whose `when` holds decides. The Python library has none, and finds the flag off.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.parts().rules
    }

    /// Replaces the rules.
    pub fn set_rules(&mut self, rules: Vec<Rule>) {
        self.change(|parts| parts.rules = rules);
    }

    /// The variants. Without rules and the like the Python library finds the flag on or off as we do, and drops them on a write.
    #[must_use]
    pub fn variants(&self) -> Option<&Variants> {
        self.parts().variants.as_ref()
    }

    /// Replaces the variants, and moves as few callers as their weights allow.
    pub fn set_variants(&mut self, variants: Option<Variants>) {
        self.change(|parts| {
            let before = parts.variants.take();
            parts.variants = variants;
            if let (Some(before), Some(after)) = (before, &mut parts.variants) {
                after.keep_callers(&before);
            }
        });
    }

    /// The flags that must be on.
    #[must_use]
    pub fn prerequisites(&self) -> &[Prerequisite] {
        &self.parts().prerequisites
    }

    /// Replaces the prerequisites.
    pub fn set_prerequisites(&mut self, prerequisites: Vec<Prerequisite>) {
        self.change(|parts| parts.prerequisites = prerequisites);
    }

    /// When the flag is on.
    #[must_use]
    pub fn schedule(&self) -> Option<&Schedule> {
        self.parts().schedule.as_ref()
    }

    /// Replaces the schedule.
    pub fn set_schedule(&mut self, schedule: Option<Schedule>) {
        self.change(|parts| parts.schedule = schedule);
    }

    /// Whom the segment is about, if this is no flag but a segment.
    #[must_use]
    pub fn segment(&self) -> Option<&When> {
        self.parts().segment.as_ref()
    }

    /// Makes it a segment, which is neither on nor off, or a flag.
    pub fn set_segment(&mut self, segment: Option<When>) {
        if segment.is_some() {
            // Another program may have turned it on.
            self.set_enabled(false);
        }
        self.change(|parts| parts.segment = segment);
    }

    /// Whether the flag is on at this time, in seconds of Unix time, as far as its switch and its schedule decide.
    #[must_use]
    pub fn is_on_at(&self, now: i64) -> bool {
        let open = |schedule: &Schedule| {
            schedule.enable_at.is_none_or(|at| at <= now) && schedule.disable_at.is_none_or(|at| now < at)
        };
        self.is_enabled() && self.schedule().is_none_or(open)
    }

    /// Turns the flag on or off now: what of the schedule would keep it off is dropped. `now`: in seconds of Unix time.
    pub fn switch(&mut self, on: bool, now: i64) {
        self.set_enabled(on);
        if !on || self.is_on_at(now) {
            return;
        }
        let mut schedule = self.schedule().cloned().unwrap_or_default();
        schedule.begin(now);
        self.set_schedule(Some(schedule).filter(|schedule| !schedule.is_empty()));
    }

    /// Removes the schedule. A flag that it keeps off now, or whose first step is to come, is turned off: it would be on for everybody.
    pub fn clear_schedule(&mut self, now: i64) {
        let waits = self.schedule().and_then(|schedule| schedule.steps.first()).is_some_and(|step| now < step.at);
        if waits || !self.is_on_at(now) {
            self.set_enabled(false);
        }
        self.set_schedule(None);
    }

    fn parts(&self) -> &Targeting {
        self.targeting().unwrap_or(&NONE)
    }

    fn change(&mut self, change: impl FnOnce(&mut Targeting)) {
        let mut parts = self.more_mut().targeting.take().unwrap_or_default();
        change(&mut parts);
        self.more_mut().targeting = (!parts.is_empty()).then_some(parts);
        if self.is_off_for_python() {
            // It did not count until now.
            self.more_mut().unknown_meta.remove(ENABLED);
        }
    }
}
