//! Under a prefix, each write of this store also names its flags in an object beside the prefix. Its text has a line for each of the last
//! changes, newest first: an id in hexadecimal, a space, the flag's name; or no name, and then many flags changed. A hint that another one
//! overwrote, and other programs' writes, are found by the next list.

use std::collections::{HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::body::Bytes;

use super::S3FeatureFlagStore;
use super::bucket::{Found, If};
use crate::error::ErrorKind;
use crate::lock::Mutex;

/// How often followers look.
pub(super) const EVERY: Duration = Duration::from_secs(1);
const KEPT: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Hints {
    forbidden: AtomicBool,
    recent: Mutex<VecDeque<(u64, String)>>,
}

/// What a follower knows of the hints.
#[derive(Debug, Default)]
pub(super) struct Seen {
    etag: Option<String>,
    ids: HashSet<u64>,
}

/// What to read again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hinted {
    Flags(Vec<String>),
    All,
}

impl Hints {
    fn of(&self, names: &[&str]) -> Bytes {
        let mut recent = self.recent.lock();
        let names = if names.len() <= KEPT && names.iter().all(|name| fits(name)) { names } else { &[""] };
        for name in names {
            recent.push_front((fastrand::u64(..), (*name).to_owned()));
        }
        recent.truncate(KEPT);
        recent.iter().map(|(id, name)| format!("{id:x} {name}\n")).collect::<String>().into()
    }

    fn read(&self, text: &[u8], ids: &mut HashSet<u64>) -> Hinted {
        let lines = std::str::from_utf8(text).unwrap_or_default().lines();
        let hinted: Vec<_> = lines.take(KEPT).filter_map(parse).collect();
        let new: Vec<_> = hinted.iter().filter(|(id, _)| !ids.contains(id)).collect();
        let mut recent = self.recent.lock();
        for (id, name) in new.iter().rev() {
            // The next hint of this store repeats it, for those who have not seen it.
            if recent.iter().all(|(known, _)| known != id) {
                recent.push_front((*id, (*name).to_owned()));
            }
        }
        recent.truncate(KEPT);
        drop(recent);
        let all = new.iter().any(|(_, name)| name.is_empty());
        let mut names: Vec<_> = new.iter().map(|(_, name)| (*name).to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        *ids = hinted.into_iter().map(|(id, _)| id).collect();
        if all { Hinted::All } else { Hinted::Flags(names) }
    }
}

/// After the write: a reader must find it. The write is done, whatever becomes of the hint.
pub(super) async fn write(store: &S3FeatureFlagStore, names: &[&str]) {
    let Some(key) = store.keys.hint().filter(|_| !store.hints.forbidden.load(Ordering::Relaxed)) else { return };
    let hint = store.hints.of(names);
    match store.bucket.put(&key, hint, If::Always, store.timeout).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::Unauthorized => {
            store.hints.forbidden.store(true, Ordering::Relaxed);
            tracing::warn!(%store, key, "the credentials do not allow writing the object by which changes are seen at once; they are seen at the next poll");
        }
        Err(error) => tracing::debug!(%store, key, %error, "a change is seen at the next poll"),
    }
}

/// `None` if nothing was hinted since, or there are no hints.
pub(super) async fn look(store: &S3FeatureFlagStore, seen: &mut Seen) -> Option<Hinted> {
    let key = store.keys.hint()?;
    let when = seen.etag.clone().map_or(If::Always, If::Differs);
    match store.bucket.get(&key, when, store.timeout).await {
        Ok(Found::Object { etag, body }) => {
            seen.etag = Some(etag);
            Some(store.hints.read(&body, &mut seen.ids))
        }
        // The list decides.
        Ok(_) | Err(_) => None,
    }
}

fn fits(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.contains(char::is_control)
}

fn parse(line: &str) -> Option<(u64, &str)> {
    let (id, name) = line.split_once(' ')?;
    (name.is_empty() || fits(name)).then_some((u64::from_str_radix(id, 16).ok()?, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(hinted: Hinted) -> Vec<String> {
        match hinted {
            Hinted::Flags(names) => names,
            Hinted::All => panic!("all"),
        }
    }

    #[test]
    fn a_reader_gets_each_change_once() {
        let (writer, reader, mut ids) = (Hints::default(), Hints::default(), HashSet::new());
        assert_eq!(names(reader.read(&writer.of(&["A"]), &mut ids)), ["A"]);
        let _overwritten = writer.of(&["B"]);
        let text = writer.of(&["C d"]);
        assert_eq!(names(reader.read(&text, &mut ids)), ["B", "C d"]);
        assert!(names(reader.read(&text, &mut ids)).is_empty());
        // A reader repeats what it has read.
        assert_eq!(names(writer.read(&reader.of(&["D"]), &mut HashSet::new())), ["A", "B", "C d", "D"]);
        let many: Vec<_> = (0..100).map(|number| format!("F{number}")).collect();
        let many: Vec<_> = many.iter().map(String::as_str).collect();
        assert_eq!(reader.read(&writer.of(&many), &mut ids), Hinted::All);
    }

    #[test]
    fn a_foreign_text_is_harmless() {
        let (reader, mut ids) = (Hints::default(), HashSet::new());
        for text in ["", "x", "1 a\u{7}b", "zz A", "\n\n"] {
            assert!(names(reader.read(text.as_bytes(), &mut ids)).is_empty(), "{text:?}");
        }
        assert!(names(reader.read(b"\xff\xfe", &mut ids)).is_empty());
        let many: String = (0..100).map(|n| format!("{n} F{n}\n")).collect();
        assert_eq!(names(reader.read(many.as_bytes(), &mut ids)).len(), KEPT);
    }
}
