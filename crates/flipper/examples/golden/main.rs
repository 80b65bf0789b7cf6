//! Runs golden cases, recorded from the Python library, through the public API and says how many agree.
//!
//! `cargo run --example golden -- FILE…`; files of JSON lines, plain or gzip. A line with `steps` is a sequence of client
//! operations, any other an evaluation. Exits with 1 if any case differs, 2 if a file cannot be read.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod evaluations;
mod sequences;

use std::fs;
use std::io::{self, Read};
use std::process::ExitCode;

use flate2::read::MultiGzDecoder;
use flipper::Bucketer;
use flipper::json::{Json, Object};

/// How many differing cases are printed.
const SHOWN: usize = 20;

/// What differs in a case, with both answers.
type Difference = String;

fn main() -> ExitCode {
    let files: Vec<_> = std::env::args_os().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: golden FILE…");
        return ExitCode::from(2);
    }
    let (mut agree, mut differ) = (0, 0);
    for file in files {
        let text = match read(file.as_ref()) {
            Ok(text) => text,
            Err(error) => {
                eprintln!("{}: {error}", file.display());
                return ExitCode::from(2);
            }
        };
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            match run(line) {
                Ok(()) => agree += 1,
                Err(difference) => {
                    differ += 1;
                    if differ <= SHOWN {
                        println!("{}:{}: {difference}", file.display(), number + 1);
                    }
                }
            }
        }
    }
    println!("{agree} agree, {differ} differ");
    if differ == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn read(file: &std::path::Path) -> io::Result<String> {
    let bytes = fs::read(file)?;
    let mut text = String::new();
    if bytes.starts_with(&[0x1f, 0x8b]) {
        MultiGzDecoder::new(&*bytes).read_to_string(&mut text)?;
    } else {
        (&*bytes).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn run(line: &str) -> Result<(), Difference> {
    let case = Json::parse(line).map_err(|error| format!("not a case: {error}"))?;
    let case = case.as_object().ok_or("not a case: no object")?;
    if case.contains_key("steps") { sequences::run(case) } else { evaluations::run(case) }
}

/// A field that each case of its kind has.
fn field<'a>(object: &'a Object, name: &str) -> Result<&'a Json, Difference> {
    object.get(name).ok_or_else(|| format!("not a case: it has no {name:?}"))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, expected: &T, ours: &T) -> Result<(), Difference> {
    if expected == ours { Ok(()) } else { Err(format!("{what}: expected {expected:?}, ours {ours:?}")) }
}

/// A stored text with its key whitelist sorted: in Python it is a set, which has no order, and the cases have it sorted.
fn with_sorted_whitelist(text: &str) -> String {
    let Ok(json) = Json::parse(text) else { return text.to_owned() };
    sorted_whitelists(&json).to_string()
}

fn sorted_whitelists(json: &Json) -> Json {
    let Some(object) = json.as_object() else { return json.clone() };
    let is_bucketer = object.get("type").is_some() && Bucketer::from_json(json).is_ok();
    let sorted = object.iter().map(|(key, value)| {
        let value = match value.as_array() {
            Some(keys) if is_bucketer && key == "key_whitelist" => {
                let mut keys = keys.to_vec();
                keys.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
                Json::Array(keys)
            }
            _ if key == "meta" || key == "bucketer" => sorted_whitelists(value),
            _ => value.clone(),
        };
        (key.to_owned(), value)
    });
    Json::Object(sorted.collect())
}
