//! The corpora of `scripts/fuzz ofrep` and `scripts/fuzz http`.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

#[path = "../../../fuzz/ofrep.rs"]
mod ofrep;

#[path = "../../../fuzz/http.rs"]
mod http_api;

#[test]
fn what_must_hold_for_any_request_of_the_api() {
    let inputs = flipper_testkit::corpus("http");
    assert!(inputs.len() > 10, "only {} inputs", inputs.len());
    for input in inputs {
        http_api::check(&input);
    }
}

#[test]
fn what_must_hold_for_any_request_holds_for_the_corpus() {
    let inputs = flipper_testkit::corpus("ofrep");
    assert!(inputs.len() > 10, "only {} inputs", inputs.len());
    for input in inputs {
        ofrep::check(&input);
    }
}
