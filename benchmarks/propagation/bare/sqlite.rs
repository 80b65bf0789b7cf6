//! A write in WAL mode, a notification that the file has changed, and a `SELECT` until the change is visible: the notification comes with the
//! write of the -wal file, before its sync.

use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use flipper_testkit::Role;
use notify::{Event, EventKind, RecursiveMode, Watcher};
use rusqlite::Connection;

use super::{is_on, text};
use crate::way::{FLAG, Write, saw};

/// As this library has it.
const PAUSE: Duration = Duration::from_micros(100);
/// A disk may be busy.
const LOOK: Duration = Duration::from_secs(1);

fn open(path: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(())).unwrap();
    // As this library has it.
    connection.pragma_update(None, "synchronous", "full").unwrap();
    connection
}

pub(super) fn writer(path: &str) -> Write {
    let connection = open(path);
    connection.execute_batch("CREATE TABLE flags (name TEXT PRIMARY KEY, record TEXT NOT NULL)").unwrap();
    let insert = "INSERT INTO flags VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET record = ?2";
    let write = move |name: &str, is_on: bool| {
        connection.prepare_cached(insert).unwrap().execute([name, &text(is_on)]).unwrap();
    };
    write(FLAG, false);
    Box::new(move |is_on| write(FLAG, is_on))
}

pub(super) fn follow(path: &str, role: &Role) {
    let (sender, changes) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if !matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
            // Fails when this process ends.
            let _ = sender.send(());
        }
    })
    .unwrap();
    watcher.watch(Path::new(path).parent().unwrap(), RecursiveMode::NonRecursive).unwrap();
    let connection = open(path);
    let mut select = connection.prepare("SELECT record FROM flags WHERE name = ?1").unwrap();
    let mut read = || is_on(&select.query_row([FLAG], |row| row.get::<_, String>(0)).unwrap());
    let mut was_on = read();
    role.say("ready");
    while changes.recv().is_ok() {
        while changes.try_recv().is_ok() {}
        let until = Instant::now() + LOOK;
        while Instant::now() < until {
            let is_on = read();
            if is_on != was_on {
                saw(role, is_on);
                was_on = is_on;
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
}
