//! The inputs that `scripts/fuzz` kept.

#[test]
fn the_decoder_survives_the_corpus() {
    let inputs = flipper_testkit::corpus("thrift");
    assert!(inputs.len() > 100, "only {} inputs", inputs.len());
    let messages: usize = inputs.iter().map(|input| flipper_thrift::feed(input)).sum();
    assert!(messages > 100, "only {messages} whole messages");
}
