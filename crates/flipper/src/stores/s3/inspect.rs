//! Writes nothing: its one deletion is of an object that does not exist, on a condition that does not hold.

use std::time::{Duration, Instant, SystemTime};

use super::{S3FeatureFlagStore, conditions, follow};
use crate::error::ErrorKind;
use crate::inspection::{Check, Finding};
use crate::store::FeatureFlagStore;
use crate::stores::date;

/// Then times in logs and flags are hard to compare.
const SKEW: Duration = Duration::from_secs(5);

pub(super) async fn inspect(store: &S3FeatureFlagStore) -> Vec<Check> {
    let identity = Check::fine("identity", store.identity().to_string());
    let (began, asked) = (Instant::now(), SystemTime::now());
    let date = match store.bucket.probe(store.keys.prefix(), store.timeout).await {
        Ok(date) => date,
        Err(error) => return vec![Check::fault("reachable", error.chain()), transport(store), identity],
    };
    let took = began.elapsed();
    let mut checks = vec![Check::fine("reachable", format!("{} ms", took.as_millis())), transport(store), identity];
    checks.push(rights(store).await);
    checks.extend(clock(asked + took / 2, date.as_deref()));
    checks.extend(flags(store).await);
    checks
}

fn transport(store: &S3FeatureFlagStore) -> Check {
    match store.bucket.url.starts_with("https://") {
        true => Check::fine("transport", "TLS"),
        false => Check::fine("transport", "no TLS: flags can be read on the way, the secret key not"),
    }
}

async fn rights(store: &S3FeatureFlagStore) -> Check {
    match conditions::probe_deletions(store).await {
        Ok(true) => Check::fine(
            "rights",
            "may list; the server keeps the conditions of deletions, and those of writes are tried with the first one",
        ),
        Ok(false) => Check::problem("rights", "may list; the server ignores the conditions of deletions")
            .hint("`unconditional_writes=true` accepts that writers at once may undo each other's changes"),
        Err(error) if error.kind() == ErrorKind::Unauthorized => Check::problem("rights", "may list, not delete")
            .hint("allow `s3:PutObject` and `s3:DeleteObject` to who writes flags"),
        Err(error) => Check::fault("rights", error.chain()),
    }
}

/// `Date` has whole seconds.
fn clock(here: SystemTime, date: Option<&str>) -> Option<Check> {
    let there = date::parse(date?)?;
    let ahead = there > here;
    let apart = here.duration_since(there).or_else(|_| there.duration_since(here)).ok()?;
    if apart <= SKEW {
        return Some(Check::fine("clock", "as here, within 5 s"));
    }
    let text =
        format!("the server's clock is {} s {} ours", apart.as_secs(), if ahead { "ahead of" } else { "behind" });
    Some(Check::problem("clock", text).hint("set both by NTP; beyond 15 minutes S3 refuses all requests"))
}

async fn flags(store: &S3FeatureFlagStore) -> Vec<Check> {
    match store.list().await {
        Ok(flags) => {
            let every = follow::period(store.poll, flags.len()).as_secs_f32();
            let hint =
                if store.keys.hint().is_some() { ", and Flipper's own writes are seen within a second" } else { "" };
            let unreadable = flags.iter().filter(|flag| flag.record.is_err()).count();
            let finding = if unreadable == 0 { Finding::Fine } else { Finding::Problem };
            vec![
                Check::fine("push", format!("the objects are listed every {every} s{hint}")),
                Check::new("flags", finding, format!("{}, of which {unreadable} cannot be read", flags.len())),
            ]
        }
        Err(error) => vec![Check::fault("flags", error.chain())],
    }
}
