//! The corpora of `scripts/fuzz record` and `scripts/fuzz changes`.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

#[path = "../../../fuzz/changes.rs"]
mod changes;
#[path = "../../../fuzz/record.rs"]
mod record;

#[test]
fn what_must_hold_for_any_stored_text_holds_for_the_corpus() {
    let inputs = flipper_testkit::corpus("record");
    assert!(inputs.len() > 100, "only {} inputs", inputs.len());
    inputs.iter().for_each(|input| record::check(input));
}

#[test]
fn what_must_hold_for_any_stream_of_changes_holds_for_the_corpus() {
    let inputs = flipper_testkit::corpus("changes");
    assert!(inputs.len() > 10, "only {} inputs", inputs.len());
    inputs.iter().for_each(|input| changes::check(input));
}
