//! The inputs that fuzzing found worth keeping; see `scripts/fuzz`.

use std::fs;
use std::path::Path;

#[path = "../../../fuzz/record.rs"]
mod record;

#[test]
fn what_must_hold_for_any_stored_text_holds_for_the_corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/record");
    let mut inputs = 0;
    for file in fs::read_dir(corpus).unwrap() {
        record::check(&fs::read(file.unwrap().path()).unwrap());
        inputs += 1;
    }
    assert!(inputs > 100, "only {inputs} inputs");
}
