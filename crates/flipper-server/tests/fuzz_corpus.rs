//! The corpus of `scripts/fuzz ofrep`.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

#[path = "../../../fuzz/ofrep.rs"]
mod ofrep;

#[test]
fn what_must_hold_for_any_request_holds_for_the_corpus() {
    let inputs = flipper_testkit::corpus("ofrep");
    assert!(inputs.len() > 10, "only {} inputs", inputs.len());
    for input in inputs {
        ofrep::check(&input);
    }
}
