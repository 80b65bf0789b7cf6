//! Packages outside the workspace, which tests build with `cargo`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A `cargo` command for a package with this program, which depends only on `flipper-client` with these features.
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
    fs::copy(crates.parent().unwrap().join("Cargo.lock"), package.join("Cargo.lock")).unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
    (cargo, package)
}
