//! Runs the command, and recorded sessions of it.
#![allow(dead_code, reason = "each test program uses its part")]

pub(crate) mod running;
pub(crate) mod session;
pub(crate) mod stores;
#[cfg(unix)]
pub(crate) mod terminal;

use std::path::Path;
use std::process::Command;

pub(crate) const FLIPPER: &str = env!("CARGO_BIN_EXE_flipper");

/// A program in the same environment on every machine.
pub(crate) fn clean(program: &str, home: &Path) -> Command {
    let mut command = Command::new(program);
    let folder = Path::new(FLIPPER).parent().unwrap();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    command
        .env_clear()
        .env("FLIPPER_ACTOR", "you")
        .env("PATH", path)
        .env("HOME", home)
        .env("LANG", "C.UTF-8")
        .current_dir(home);
    command
}

pub(crate) fn flipper(home: &Path, store: &str) -> Command {
    let mut command = clean(FLIPPER, home);
    command.env("FLIPPER_STORE", store);
    command
}

pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap_or(-1), text(output.stdout), text(output.stderr))
}

/// Expects exit code 0; returns standard output.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let (code, out, err) = run(command);
    assert_eq!(code, 0, "{command:?}\n{out}{err}");
    out
}
