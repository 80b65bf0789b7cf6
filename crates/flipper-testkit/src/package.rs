use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// A `cargo` command, and the folder, of a package outside the workspace with this program. It depends only on `flipper-client`, with these
/// features. `below`: the test's `env!("CARGO_TARGET_TMPDIR")`.
///
/// # Panics
///
/// If it cannot be written.
#[must_use]
pub fn package(below: &str, name: &str, program: &str, features: &[&str]) -> (Command, PathBuf) {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is below `crates`");
    let package = Path::new(below).join(name);
    fs::create_dir_all(&package).expect("the folder can be made");
    let manifest = format!(
        "[package]\nname = {name:?}\nedition = \"2024\"\n[[bin]]\nname = {name:?}\npath = \"program.rs\"\n\
         [dependencies]\nflipper-client = {{ path = {:?}, features = {features:?} }}\n[workspace]\n",
        crates.join("flipper")
    );
    let lock = crates.parent().expect("`crates` is below the root").join("Cargo.lock");
    let written = fs::write(package.join("Cargo.toml"), manifest)
        .and_then(|()| fs::write(package.join("program.rs"), program))
        .and_then(|()| fs::copy(lock, package.join("Cargo.lock")));
    written.expect("the package can be written");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&package).env("CARGO_TARGET_DIR", package.join("target"));
    (cargo, package)
}
