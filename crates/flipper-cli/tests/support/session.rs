//! Recorded sessions: each `console` block of a document runs again, and must print the same.
//!
//! `SNAPSHOTS=overwrite` writes new recordings.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use regex_lite::Regex;

use super::clean;

/// Shown for the home directory.
const HOME: &str = "/home/you";

/// Where a document runs, and the replacements for what differs between runs.
pub(crate) struct Place {
    home: tempfile::TempDir,
    variables: BTreeMap<String, String>,
    shown: Vec<(String, String)>,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), variables: BTreeMap::new(), shown: Vec::new() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.path()
    }

    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    pub(crate) fn show(mut self, text: &str, shown: &str) -> Self {
        self.shown.push((text.to_owned(), shown.to_owned()));
        self
    }

    #[track_caller]
    pub(crate) fn replay(mut self, document: &Path) {
        let text = fs::read_to_string(document).unwrap();
        let mut replayed = String::new();
        let mut lines = text.lines().peekable();
        let mut sessions = 0;
        while let Some(line) = lines.next() {
            replayed.push_str(line);
            replayed.push('\n');
            let is_ours = lines.peek().is_some_and(|next| {
                next.starts_with("$ ") && !next.starts_with("$ cargo") && !next.starts_with("$ scripts")
            });
            if line != "```console" || !is_ours {
                continue;
            }
            sessions += 1;
            while let Some(line) = lines.next_if(|line| *line != "```") {
                if let Some(command) = line.strip_prefix("$ ") {
                    let mut command = command.to_owned();
                    replayed.push_str(line);
                    replayed.push('\n');
                    while let Some(more) = lines.next_if(|line| line.starts_with("> ")) {
                        replayed.push_str(more);
                        replayed.push('\n');
                        command.push('\n');
                        command.push_str(&more[2..]);
                    }
                    replayed.push_str(&self.run(&command));
                }
            }
        }
        assert!(sessions > 0, "{} has no session", document.display());
        if replayed == text {
            return;
        }
        if std::env::var("SNAPSHOTS").is_ok_and(|mode| mode == "overwrite") {
            fs::write(document, replayed).unwrap();
            return;
        }
        let differences = differences(&text, &replayed);
        panic!("{} differs from the output (SNAPSHOTS=overwrite records it):\n{differences}", document.display());
    }

    fn run(&mut self, command: &str) -> String {
        if let Some((name, value)) = command.strip_prefix("export ").and_then(|rest| rest.split_once('=')) {
            self.variables.insert(name.to_owned(), value.trim_matches('\'').to_owned());
            return String::new();
        }
        let mut shell = clean("sh", self.home.path());
        shell.arg("-c").arg(format!("exec 2>&1\n{command}")).envs(&self.variables);
        let output = shell.stdin(Stdio::null()).output().unwrap();
        let mut text = self.normal(&String::from_utf8(output.stdout).unwrap());
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => text.push_str(&format!("[exit code {code}]\n")),
            None => text.push_str(&format!("[{}]\n", output.status)),
        }
        text
    }

    /// Replaces what differs between machines and runs.
    fn normal(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.shown {
            text = text.replace(from, to);
        }
        text = text.replace(&self.home.path().display().to_string(), HOME);
        for (pattern, shown) in [
            (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "2026-11-24T03:00:00Z"),
            (r"\b\d\d:\d\d:\d\d\.\d{3}Z", "03:00:00.000Z"),
            (r"\b1[789]\d{8}\b", "1795489200"),
            (r"\b\d+(\.\d+)? ms\b", "0.4 ms"),
            (r#""(milliseconds|latency_ms)": [0-9.e-]+"#, r#""$1": 0.4"#),
            (r"now \d+\.\d%", "now 0.0%"),
            // A file's device and inode.
            (r"\([0-9a-f]+:[0-9a-f]+\)", "(fe00:98c09b)"),
            (r"\b\d+ y\b", "50 y"),
            (r"\bflp_[0-9a-f]{72}\b", "flp_5f0c…"),
            (r"\bt[0-9a-f]{8}\b", "t5e1f09ab"),
        ] {
            text = Regex::new(pattern).unwrap().replace_all(&text, shown).into_owned();
        }
        text
    }
}

fn differences(expected: &str, actual: &str) -> String {
    let same = expected.lines().zip(actual.lines()).take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(3);
    let part = |text: &str, sign: &str| -> String {
        text.lines().skip(from).take(12).map(|line| format!("{sign} {line}\n")).collect()
    };
    format!("in line {}\n{}\n{}", same + 1, part(expected, "-"), part(actual, "+"))
}
