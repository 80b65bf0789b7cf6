//! The corpus of the fuzz targets.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use tar::Archive;

/// The inputs of `fuzz/corpus/NAME.tar.gz`, which `scripts/fuzz` packs.
#[must_use]
pub fn corpus(name: &str) -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(format!("{name}.tar.gz"));
    inputs(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn inputs(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut archive = Archive::new(GzDecoder::new(File::open(path)?));
    let mut inputs = Vec::new();
    for entry in archive.entries()? {
        let mut input = Vec::new();
        entry?.read_to_end(&mut input)?;
        inputs.push(input);
    }
    Ok(inputs)
}
