//! The programs, and a new server's files.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock};

use tempfile::TempDir;

use super::PASSWORD;
use crate::{Shared, is_root, program, skip};

const NOT_ROOT: u32 = 65534;

static NEW: Shared<TempDir> = Shared::new();

/// Debian has the server's programs outside of the path. Prints `SKIP` and returns `None` without them.
pub(super) fn find(name: &str) -> Option<PathBuf> {
    let found = program(name).or_else(|| outside_of_the_path(name));
    if found.is_none() {
        skip("postgresql", &format!("{name} is not installed; scripts/setup installs it"));
    }
    found
}

/// Debian's `psql` in the path is a script that looks for this one, and takes five times as long.
pub(super) fn psql() -> PathBuf {
    static FOUND: LazyLock<PathBuf> = LazyLock::new(|| outside_of_the_path("psql").unwrap_or_else(|| "psql".into()));
    FOUND.clone()
}

fn outside_of_the_path(name: &str) -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> = versions.map(|version| version.path().join("bin").join(name)).collect();
    found.push(Path::new("/usr/sbin").join(name));
    found.sort();
    found.into_iter().rfind(|path| path.is_file())
}

/// A folder for the server's user.
pub(super) fn folder() -> TempDir {
    let dir = tempfile::Builder::new().prefix("flipper-postgres-").tempdir().unwrap();
    if is_root() {
        chown(dir.path(), Some(NOT_ROOT), Some(NOT_ROOT)).unwrap();
    }
    dir
}

/// Runs as the server's user.
pub(super) fn command(program: impl AsRef<Path>, folder: &Path) -> Command {
    let mut command = Command::new(program.as_ref());
    command.current_dir(folder).env("PGPASSWORD", PASSWORD).env("LC_ALL", "C.UTF-8");
    if is_root() {
        command.uid(NOT_ROOT).gid(NOT_ROOT);
    }
    command
}

/// To its end.
#[track_caller]
pub(super) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Makes the files of a new server in this folder: copies of those that it returns, which servers share.
pub(super) fn make_data(folder: &Path) -> Option<Arc<TempDir>> {
    let initdb = find("initdb")?;
    let new = NEW.get(|| {
        let new = self::folder();
        fs::write(new.path().join("password"), PASSWORD).unwrap();
        if is_root() {
            chown(new.path().join("password"), Some(NOT_ROOT), Some(NOT_ROOT)).unwrap();
        }
        let mut make = command(&initdb, new.path());
        make.args(["-D", "data", "-U", "postgres", "-A", "scram-sha-256", "--pwfile", "password"]);
        run(make.args(["-E", "UTF8", "--locale", "C.UTF-8", "--no-sync"]));
        Some(new)
    })?;
    run(command("cp", folder).arg("-a").arg(new.path().join("data")).arg(folder));
    Some(new)
}
