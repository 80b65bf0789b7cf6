//! The OpenAPI document says what the server does.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use flipper::json::Object;
use flipper_testkit::skip;
use support::Running;

/// Of the whole run.
const LIMIT: Duration = Duration::from_secs(600);

#[test]
fn every_path_of_the_document_exists() {
    let server = Running::memory();
    let document = server.expect(200, "GET /api/v1/openapi.json", "").json();
    assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 9);
    for (path, methods) in paths {
        let path = path.replace("{name}", "A");
        let documented: Vec<_> = methods.as_object().unwrap().keys().map(str::to_uppercase).collect();
        for method in ["GET", "PUT", "POST", "PATCH", "DELETE"] {
            if path.ends_with("/changes") && method == "GET" {
                continue;
            }
            let answer = server.send(&format!("{method} {path}"), if method == "GET" { "" } else { "0" });
            let is_there = !matches!(answer.status, 405) && !answer.body.contains("no_such_path");
            assert_eq!(is_there, documented.contains(&method.to_owned()), "{method} {path}: {}", answer.body);
        }
    }
}

#[test]
fn flags_have_the_fields_of_the_document() {
    let server = Running::memory();
    let document = server.expect(200, "GET /api/v1/openapi.json", "").json();
    let fields = |schema: &str| -> Vec<String> {
        let schema = &document["components"]["schemas"][schema];
        sorted(schema["properties"].as_object().unwrap_or_else(|| panic!("{schema}")))
    };
    let flag = server.expect(201, "POST /api/v1/flags", r#"{"name": "A"}"#).json();
    let mut known = sorted(flag.as_object().unwrap());
    known.extend(["stale", "unreadable"].map(str::to_owned));
    known.sort_unstable();
    assert_eq!(fields("Flag"), known);
    // What a change takes is what the message about an unknown field lists.
    let refused = server.expect(422, "PATCH /api/v1/flags/A", r#"{"x": 1}"#).json();
    for field in fields("Edit") {
        assert!(refused["detail"].as_str().unwrap().contains(&format!("`{field}`")), "{field}: {refused}");
    }
    let page = server.expect(200, "GET /api/v1/flags", "").json();
    assert_eq!(fields("FlagPage"), sorted(page.as_object().unwrap()));
    let answer = server.expect(200, "POST /api/v1/evaluate/A", "{}").json();
    assert_eq!(fields("Evaluation"), sorted(answer.as_object().unwrap()));
    let page = server.expect(200, "GET /api/v1/history", "").json();
    assert_eq!(fields("HistoryPage"), sorted(page.as_object().unwrap()));
    assert_eq!(fields("HistoryEntry"), sorted(page["entries"][0].as_object().unwrap()));
    let status = server.expect(200, "GET /api/v1/status", "").json();
    assert_eq!(fields("ServerStatus"), sorted(status.as_object().unwrap()));
}

fn sorted(object: &Object) -> Vec<String> {
    let mut keys: Vec<_> = object.keys().map(str::to_owned).collect();
    keys.sort_unstable();
    keys
}

/// The program of the variable, or the one that `scripts/setup` installs.
fn schemathesis() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/schemathesis/bin/schemathesis");
    let program = std::env::var_os("SCHEMATHESIS_BIN").map_or(installed, PathBuf::from);
    if program.exists() {
        return Some(program);
    }
    skip("schemathesis", "it is not installed; scripts/setup does that");
    None
}

#[test]
fn schemathesis_finds_nothing() {
    let Some(program) = schemathesis() else { return };
    let server = Running::memory();
    server.expect(201, "POST /api/v1/flags", r#"{"name": "A"}"#);
    let folder = tempfile::tempdir().unwrap();
    let output = std::fs::File::create(folder.path().join("output")).unwrap();
    let mut run = Command::new(program)
        .args(["run", &format!("{}/api/v1/openapi.json", server.url())])
        // A stream has no end.
        .args(["--exclude-path", "/api/v1/changes"])
        .args(["--phases", "examples,coverage,fuzzing", "--max-examples", "10", "--seed", "7"])
        // Of the right form, and yet no condition or bucketer, or a name that flags cannot have.
        .args(["--exclude-checks", "positive_data_acceptance"])
        .args(["--request-timeout", "20", "--no-color"])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(output.try_clone().unwrap())
        .stderr(output)
        .spawn()
        .unwrap();
    let deadline = Instant::now() + LIMIT;
    let ended = loop {
        if let Some(ended) = run.try_wait().unwrap() {
            break Some(ended);
        }
        if Instant::now() > deadline {
            run.kill().unwrap();
            run.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let text = std::fs::read_to_string(folder.path().join("output")).unwrap();
    assert!(ended.is_some_and(|ended| ended.success()), "{ended:?}\n{text}");
}
