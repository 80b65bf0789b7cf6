//! What fuzzing found worth keeping.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::Archive;

/// The inputs of `fuzz/corpus/NAME.tar.gz`, which `scripts/fuzz` packs.
///
/// # Panics
///
/// If there is no such archive, or it is damaged.
#[must_use]
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(format!("{name}.tar.gz"));
    let fail = |error| panic!("{}: {error}", path.display());
    let file = File::open(&path).unwrap_or_else(fail);
    let mut archive = Archive::new(GzDecoder::new(file));
    let entries = archive.entries().unwrap_or_else(|error| fail(error));
    let mut inputs = Vec::new();
    for entry in entries {
        let mut entry = entry.unwrap_or_else(|error| fail(error));
        if entry.header().entry_type().is_file() {
            let mut input = Vec::new();
            entry.read_to_end(&mut input).unwrap_or_else(|error| fail(error));
            inputs.push(input);
        }
    }
    inputs
}
