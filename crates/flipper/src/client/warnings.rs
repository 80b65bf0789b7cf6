use crate::bucketing::Bucketer;
use crate::record::FlagRecord;
use crate::state::Stored;
use crate::store::FeatureFlagStore;

/// Warns of what Python would do to the flag, if it shares the store.
pub(super) fn warn_of_python(store: &dyn FeatureFlagStore, record: &FlagRecord) {
    if !store.capabilities().shared_with_python {
        return;
    }
    if !record.deny_conditions().is_empty() {
        tracing::warn!(
            flag = record.name(),
            "the flag has deny conditions: the Python library does not obey them, and drops them when it writes the flag"
        );
    }
    if record.segment().is_some() {
        tracing::warn!(
            flag = record.name(),
            "the segment is a flag for the Python library, which drops its condition when it writes it: then the segment is missing"
        );
    } else if record.is_off_for_python() {
        tracing::warn!(
            flag = record.name(),
            "the flag has rules, prerequisites or a schedule: it is off for the Python library, which drops them when it writes the flag"
        );
    } else if record.variants().is_some() {
        tracing::warn!(
            flag = record.name(),
            "the flag has variants: the Python library does not know them, and drops them when it writes the flag"
        );
    }
    if record.is_strict() {
        tracing::warn!(
            flag = record.name(),
            "the flag is strict: for the Python library a condition holds whose attribute is not given, and it drops the setting when it \
             writes the flag"
        );
    }
    if matches!(record.bucketer(), Bucketer::Salted(_) | Bucketer::Custom(_)) {
        tracing::warn!(
            flag = record.name(),
            bucketer = record.bucketer().bucketer_type(),
            "the flag has a bucketer that the Python library cannot load unless it is registered there"
        );
    }
}

/// Warns when a flag gets both conditions and a bucketer, which is ignored where they hold.
pub(super) fn warn_of_conditions(before: &Stored, after: &FlagRecord) {
    let has_both =
        |record: &FlagRecord| !record.conditions().is_empty() && !matches!(record.bucketer(), Bucketer::NoOp);
    if has_both(after) && !before.record.as_ref().is_ok_and(|before| has_both(before)) {
        // A target for programs that print it themselves.
        tracing::warn!(
            target: "flipper::conditions",
            flag = after.name(),
            "the flag has conditions and a bucketer: where a check gives attributes the conditions alone decide; for a part of the \
             callers that meet them, deny the others by deny conditions"
        );
    }
}
