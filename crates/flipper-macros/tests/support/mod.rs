//! Packages outside the workspace, for what a test builds by `cargo`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A `cargo` command in a package with this program, which depends on `flipper-client` with these features and on nothing else.
pub(crate) fn cargo(name: &str, program: &str, features: &[&str]) -> (Command, PathBuf) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&package).unwrap();
    let manifest = format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n[[bin]]\nname = {name:?}\npath = \"program.rs\"\n\
         [dependencies]\nflipper-client = {{ path = {:?}, features = {features:?} }}\n[workspace]\n",
        crates.join("flipper")
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("program.rs"), program).unwrap();
    // The versions that are there already.
    fs::copy(crates.parent().unwrap().join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
    (cargo, package)
}
