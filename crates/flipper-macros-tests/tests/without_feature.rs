//! The error without the feature `macros`.

const PROGRAM: &str = r#"
flipper::flags! { struct Flags { new_checkout } }

#[flipper::is_enabled(features, "MY_FEATURE")]
fn sound(features: &flipper::FeatureFlagClient) {}

fn main() {}
"#;

#[test]
fn compiler_names_the_feature() {
    let (mut cargo, _) = flipper_testkit::package(env!("CARGO_TARGET_TMPDIR"), "without_feature", PROGRAM, &[]);
    let output = cargo.args(["check", "--quiet", "--offline", "--color=never"]).output().unwrap();
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
