//! Compiles programs that are wrong, all in one run of cargo, and takes from each error what is ours.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The errors of each program of a folder, by the program's file name.
pub(crate) fn of_programs_in(folder: &Path) -> BTreeMap<String, String> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flipper");
    let mut manifest = format!(
        "[workspace]\n[package]\nname = \"programs\"\nedition = \"2024\"\n\
         [dependencies]\nflipper-client = {{ path = {library:?}, features = [\"macros\"] }}\n",
    );
    let mut errors = BTreeMap::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap();
            write!(manifest, "[[bin]]\nname = {name:?}\npath = {path:?}\n").unwrap();
            errors.insert(format!("{name}.rs"), Vec::new());
        }
    }

    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("programs");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    // The same versions as in the workspace, so that nothing is fetched.
    fs::copy(library.join("../../Cargo.lock"), project.join("Cargo.lock")).unwrap();

    // A build, not a check: constants of generic functions are evaluated late.
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--offline", "--bins", "--keep-going", "--message-format=json"]);
    let output = build.current_dir(&project).env("CARGO_TARGET_DIR", project.join("target")).output().unwrap();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let program = message.pointer("/target/name").and_then(Value::as_str).unwrap_or_default();
        if let Some(errors) = errors.get_mut(&format!("{program}.rs")) {
            errors.extend(error(&message["message"]));
        }
    }
    let mut texts = BTreeMap::new();
    for (program, mut errors) in errors {
        assert!(
            !errors.is_empty(),
            "{program} compiles, or cargo failed:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        errors.sort();
        // The compiler has some errors twice, and shows them once.
        errors.dedup();
        texts.insert(program, errors.into_iter().map(|(_, error)| error).collect::<Vec<_>>().join("\n"));
    }
    texts
}

/// The line and column, and what the snapshot holds; `None` if this is no error, or has no place.
fn error(message: &Value) -> Option<((u64, u64), String)> {
    if message["level"] != "error" {
        return None;
    }
    // Of the spans, which those of macros are among, the compiler shows one as the place.
    let place = message["rendered"].as_str()?.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let place = place.rsplit('/').next()?;
    let (rest, column) = place.rsplit_once(':')?;
    let (_, line) = rest.rsplit_once(':')?;

    let code = message.pointer("/code/code").and_then(Value::as_str);
    let shown = code.map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"));
    let mut text = format!("{shown}: {}\n --> {place}\n", message["message"].as_str()?);
    // A trait that is not implemented may have notes of ours.
    if code == Some("E0277") {
        for note in message["children"].as_array()? {
            let note_text = note["message"].as_str()?;
            let ours = note["level"] == "note" && note["spans"].as_array()?.is_empty();
            if ours && !note_text.starts_with("this error originates in") {
                writeln!(text, "  = note: {note_text}").ok()?;
            }
        }
    }
    Some(((line.parse().ok()?, column.parse().ok()?), text))
}
