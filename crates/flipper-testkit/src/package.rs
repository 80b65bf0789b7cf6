use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A `cargo` command, and the folder, of a package outside the workspace with this program. It depends only on `flipper-client`, with these
/// features. `below`: the test's `env!("CARGO_TARGET_TMPDIR")`; all packages there share what is built in its `target`.
///
/// # Panics
///
/// If it cannot be written.
#[must_use]
pub fn package(below: &str, name: &str, program: &str, features: &[&str]) -> (Command, PathBuf) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let package = Path::new(below).join(name);
    let manifest = format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n[[bin]]\nname = {name:?}\npath = \"program.rs\"\n\
         [dependencies]\nflipper-client = {{ path = {:?}, features = {features:?} }}\n[workspace]\n",
        root.join("crates/flipper")
    );
    let written = fs::create_dir_all(&package)
        .and_then(|()| fs::write(package.join("Cargo.toml"), manifest))
        .and_then(|()| fs::write(package.join("program.rs"), program))
        .and_then(|()| fs::copy(root.join("Cargo.lock"), package.join("Cargo.lock")));
    written.unwrap_or_else(|error| panic!("the package in {} cannot be written: {error}", package.display()));
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).env("CARGO_TARGET_DIR", Path::new(below).join("target"));
    // With several units what is inlined depends on the folder.
    cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "1");
    (cargo, package)
}
