//! The inputs that fuzzing found worth keeping; see `scripts/fuzz`.

use std::fs;
use std::path::Path;

#[test]
fn the_decoder_survives_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/thrift");
    let (mut inputs, mut messages) = (0, 0);
    for file in fs::read_dir(corpus).unwrap() {
        messages += flipper_thrift::feed(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 100, "only {inputs} inputs");
    assert!(messages > 100, "only {messages} whole messages");
}
