//! Recorded sessions: output and help of every command, and the documentation.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::{Path, PathBuf};

use support::session::Place;

fn at_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

macro_rules! sessions {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            Place::new().replay(&Path::new(env!("CARGO_MANIFEST_DIR")).join(concat!("tests/sessions/", stringify!($name), ".md")));
        }
    )*

        #[test]
        fn every_session_is_run() {
            let mut there: Vec<_> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sessions"))
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            there.sort();
            let mut run = vec![$(stringify!($name)),*];
            run.sort_unstable();
            assert_eq!(there, run);
        }
    };
}

sessions!(help replicas import_from flags history life targeting rules variants prerequisites schedules segments checking files choice errors json bytes doctor outage serving tokens version);

#[test]
fn documentation() {
    Place::new().replay(&at_root("docs/cli.md"));
}

#[test]
fn readme() {
    Place::new().replay(&at_root("README.md"));
}
