//! Compiles wrong programs in one run of cargo, and extracts our part of each error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The errors of each program in a directory, by file name.
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
    // The workspace's versions, so that cargo downloads nothing.
    fs::copy(library.join("../../Cargo.lock"), project.join("Cargo.lock")).unwrap();

    // Not a check, since constants of generic functions are evaluated late.
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
        // The compiler repeats some errors, and shows them once.
        errors.dedup();
        texts.insert(program, errors.into_iter().map(|(_, error)| error).collect::<Vec<_>>().join("\n"));
    }
    texts
}

/// The place, and the snapshot's text; `None` without an error or a place.
fn error(message: &Value) -> Option<((u64, u64), String)> {
    if message["level"] != "error" {
        return None;
    }
    let place = message["rendered"].as_str()?.lines().find_map(|line| line.trim_start().strip_prefix("--> "))?;
    let place = place.rsplit('/').next()?;
    let (rest, column) = place.rsplit_once(':')?;
    let (_, line) = rest.rsplit_once(':')?;

    let code = message.pointer("/code/code").and_then(Value::as_str);
    let shown = code.map_or_else(|| "error".to_owned(), |code| format!("error[{code}]"));
    let mut text = format!("{shown}: {}\n --> {place}\n", message["message"].as_str()?);
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
