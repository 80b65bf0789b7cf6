//! Compiles the programs of `tests/ui` in one run of cargo, and extracts our part of each error.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// What the compiler made of a program.
#[derive(Default)]
pub(crate) struct Compiled {
    messages: Vec<Value>,
    pub(crate) executable: Option<PathBuf>,
}

/// By the name of the target, which is that of the folder and the file.
static COMPILED: LazyLock<BTreeMap<String, Compiled>> = LazyLock::new(compile);

/// Each program in a folder of `tests/ui`.
pub(crate) fn in_folder(folder: &str) -> Vec<(PathBuf, &'static Compiled)> {
    files(folder).into_iter().map(|path| (path.clone(), &COMPILED[&target(folder, &path)])).collect()
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    files
}

fn target(folder: &str, path: &Path) -> String {
    format!("{folder}_{}", path.file_stem().unwrap().to_str().unwrap())
}

fn compile() -> BTreeMap<String, Compiled> {
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../flipper");
    let mut manifest = format!(
        "[workspace]\n[package]\nname = \"programs\"\nedition = \"2024\"\n\
         [dependencies]\nflipper-client = {{ path = {library:?}, features = [\"macros\"] }}\n",
    );
    let mut compiled = BTreeMap::new();
    for folder in ["fail", "pass", "whole"] {
        for path in files(folder) {
            let name = target(folder, &path);
            write!(manifest, "[[bin]]\nname = {name:?}\npath = {path:?}\n").unwrap();
            compiled.insert(name, Compiled::default());
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
    // That of `flipper_testkit::package`.
    build.current_dir(&project).env("CARGO_TARGET_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("target"));
    let output = build.output().unwrap();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let Ok(message) = serde_json::from_str::<Value>(line) else { continue };
        let program = message.pointer("/target/name").and_then(Value::as_str).unwrap_or_default();
        if let Some(compiled) = compiled.get_mut(program) {
            compiled.executable = message["executable"].as_str().map(PathBuf::from);
            compiled.messages.extend(message.get("message").cloned());
        }
    }
    for (program, compiled) in &compiled {
        assert!(
            compiled.executable.is_some() || !compiled.messages.is_empty(),
            "cargo failed at {program}:\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    compiled
}

impl Compiled {
    /// All that a user sees.
    pub(crate) fn whole(&self) -> String {
        let shown = self.messages.iter().filter(|message| message["spans"].as_array().is_some_and(|at| !at.is_empty()));
        let shown: Vec<_> = shown.filter_map(|message| Some(message["rendered"].as_str()?.trim_end())).collect();
        shown.join("\n\n").replace(concat!(env!("CARGO_MANIFEST_DIR"), "/"), "") + "\n"
    }

    /// Message, place and notes of our traits of each error.
    pub(crate) fn first_lines(&self) -> String {
        let mut errors: Vec<_> = self.messages.iter().filter_map(error).collect();
        errors.sort();
        // The compiler repeats some errors, and shows them once.
        errors.dedup();
        errors.into_iter().map(|(_, error)| error).collect::<Vec<_>>().join("\n")
    }
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
