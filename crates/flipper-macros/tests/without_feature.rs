//! What the compiler says to a program that uses the macros without the feature.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

const PROGRAM: &str = r#"
flipper::flags! { struct Flags { new_checkout } }

#[flipper::is_enabled(features, "MY_FEATURE")]
fn sound(features: &flipper::FeatureFlagClient) {}

fn main() {}
"#;

#[test]
fn compiler_names_the_feature() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("without_feature");
    fs::create_dir_all(&package).unwrap();
    let manifest = format!(
        "[package]\nname = \"without-feature\"\nedition = \"2024\"\n[[bin]]\nname = \"program\"\npath = \"program.rs\"\n\
         [dependencies]\nflipper-client = {{ path = {:?} }}\n[workspace]\n",
        crates.join("flipper")
    );
    fs::write(package.join("Cargo.toml"), manifest).unwrap();
    fs::write(package.join("program.rs"), PROGRAM).unwrap();
    // The versions that are there already.
    fs::copy(crates.parent().unwrap().join("Cargo.lock"), package.join("Cargo.lock")).unwrap();

    let check = ["check", "--quiet", "--offline", "--color=never", "--target-dir", "target"];
    let output = Command::new(env!("CARGO")).args(check).current_dir(&package).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success());
    for expected in [
        "cannot find `flags` in `flipper`",
        "cannot find `is_enabled` in `flipper`",
        "the item is gated behind the `macros` feature",
    ] {
        assert!(said.contains(expected), "{expected:?} is not in:\n{said}");
    }
}
