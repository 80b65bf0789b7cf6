use std::time::Duration;

use flipper::history::HistoryLimits;
use flipper::json::Object;
use flipper::stores::StoreKind;
use flipper::{Error, ErrorKind, PostgresFeatureFlagStore};

use super::doctor::{end_with, findings, show};
use crate::args::{Install, Postgres};
use crate::failure::{Done, Failure};
use crate::output::object;
use crate::session::Session;

const DAY: Duration = Duration::from_secs(86_400);

pub(crate) async fn run(session: &mut Session, args: &Postgres) -> Done {
    let location = session.choice()?.location;
    if StoreKind::of(&location.url).is_none_or(|kind| kind.feature != "postgres") {
        let what = format!("{} is no PostgreSQL store", location.shown);
        return Err(Failure::usage(what).hint("a URL of one begins with postgresql://"));
    }
    let shown = location.shown;
    let failure = |error: &Error, of: &str| {
        let failure = Failure::of(error, &shown);
        match error.kind() {
            ErrorKind::Unauthorized => {
                failure.hint(format!("the table's owner may run what `flipper postgres {of} --print` prints"))
            }
            // A mistyped table must not be made.
            ErrorKind::Unavailable if !error.is_transient() => {
                failure.hint("the first write makes the table: `flipper create` is one")
            }
            _ => failure,
        }
    };
    let store = PostgresFeatureFlagStore::from_url(&location.url).map_err(|error| Failure::of(&error, &shown))?;
    let store = store.create_table(false);
    match args {
        Postgres::Install(args) => {
            let notifies = !args.without_notifications;
            let store = match limits(args) {
                Some(limits) => store.history_limits(limits),
                None => store,
            };
            if args.print {
                let script = store.feed_script(notifies).await;
                return print(session, &script.map_err(|error| failure(&error, "install"))?);
            }
            store.install_feed(notifies).await.map_err(|error| failure(&error, "install"))?;
            done(session, "installed", &shown)
        }
        Postgres::Uninstall(args) => {
            if args.print {
                let script = store.feed_removal_script().await;
                return print(session, &script.map_err(|error| failure(&error, "uninstall"))?);
            }
            store.remove_feed().await.map_err(|error| failure(&error, "uninstall"))?;
            done(session, "removed", &shown)
        }
        Postgres::Status => {
            let checks = store.feed_status().await;
            let checks = checks.map_err(|error| Failure::of(&error, &shown))?;
            if session.out.json() {
                session.out.value(findings(Object::new(), &checks))?;
            } else {
                show(&mut session.out, &checks)?;
            }
            end_with(session, &checks);
            Ok(())
        }
    }
}

fn limits(args: &Install) -> Option<HistoryLimits> {
    if args.history_entries.is_none() && args.history_days.is_none() {
        return None;
    }
    let limits = HistoryLimits::default();
    let limits = args.history_entries.map_or(limits, |entries| limits.entries(entries));
    Some(args.history_days.map_or(limits, |days| limits.age(DAY * days)))
}

/// As it stands, also with `--json`: it is SQL.
fn print(session: &mut Session, script: &str) -> Done {
    session.out.bytes(script.as_bytes())
}

fn done(session: &mut Session, what: &str, shown: &str) -> Done {
    if session.out.json() {
        return session.out.value(object([("store", shown.into()), ("feed", what.into())]));
    }
    session.out.message(format_args!("the feed of changes is {what} in {shown}"));
    Ok(())
}
