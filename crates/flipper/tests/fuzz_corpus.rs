//! The corpus of `scripts/fuzz`.

#[path = "../../../fuzz/record.rs"]
mod record;

#[test]
fn what_must_hold_for_any_stored_text_holds_for_the_corpus() {
    let inputs = flipper_testkit::corpus("record");
    assert!(inputs.len() > 100, "only {} inputs", inputs.len());
    inputs.iter().for_each(|input| record::check(input));
}
