//! An attribute costs no more than the check, and a typed flag no more than a handle: the assembly of a release build is the same.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

const PROGRAM: &str = include_str!("programs/same_instructions.rs");

/// The instructions of each compared function, by its name.
fn instructions(by_hand: bool) -> Vec<(String, Vec<String>)> {
    let (mut cargo, package) =
        flipper_testkit::package(env!("CARGO_TARGET_TMPDIR"), "same_instructions", PROGRAM, &["macros"]);
    let assembly = package.join(if by_hand { "by_hand.s" } else { "macros.s" });
    cargo.args(["rustc", "--quiet", "--offline", "--release", "--", "-Cdebuginfo=0"]);
    cargo.arg(format!("--emit=link,asm={}", assembly.display()));
    if by_hand {
        cargo.args(["--cfg", "by_hand"]);
    }
    let output = cargo.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    functions(&std::fs::read_to_string(&assembly).unwrap())
}

fn functions(assembly: &str) -> Vec<(String, Vec<String>)> {
    let mut functions: Vec<(String, Vec<String>)> = Vec::new();
    let mut inside = false;
    for line in assembly.lines() {
        if !line.starts_with(char::is_whitespace) {
            let label = line.split(':').next().unwrap_or_default();
            if !label.trim_start_matches('.').starts_with('L') {
                inside =
                    label.contains("same_instructions") && (label.contains("functions") || label.contains("polled"));
                if inside {
                    functions.push((without_hash(label), Vec::new()));
                }
            }
        } else if inside && !line.trim_start().starts_with('.') {
            functions.last_mut().unwrap().1.push(without_numbers(&without_hash(line.trim())));
        }
    }
    functions.sort();
    functions
}

/// Removes the hash of the crate, which differs in each build.
fn without_hash(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some(at) = text.find("17h").filter(|at| text.len() >= at + 20) {
        text.replace_range(at..at + 20, "");
    }
    text
}

/// Renumbers local labels, which count through the file.
fn without_numbers(text: &str) -> String {
    let Some((before, after)) = text.split_once(".L") else { return text.to_owned() };
    let after = after.trim_start_matches(|c: char| c.is_alphanumeric() || "._".contains(c));
    format!("{before}LABEL{}", without_numbers(after))
}

#[test]
fn as_written_by_hand() {
    let (macros, by_hand) = (instructions(false), instructions(true));
    for name in ["plain", "redirected", "polled", "typed"] {
        let of = |functions: &[(String, Vec<String>)]| -> Vec<String> {
            let found: Vec<_> = functions.iter().filter(|(label, _)| label.contains(name)).collect();
            found.iter().flat_map(|(_, lines)| lines.iter().cloned()).collect()
        };
        let (with, without) = (of(&macros), of(&by_hand));
        assert!(with.len() > 5, "{name} is not in the assembly: {macros:?}");
        assert_eq!(with, without, "{name}");
        println!("{name}: {} instructions, the same", with.len());
    }
}
