use std::collections::HashSet;
use std::sync::Arc;

use anstream::adapter::strip_str;
use flipper::history::{Entry, FlagState};
use flipper::{ErrorKind, FlagRecord};
use futures_util::TryStreamExt;

use crate::args::Undo;
use crate::change::{Messages, report};
use crate::confirm;
use crate::describe::who;
use crate::diff::Difference;
use crate::failure::{Code, Done, Failure};
use crate::session::Session;
use crate::store::Store;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Undo) -> Done {
    // The second time it would redo.
    let mut known = HashSet::new();
    let undo = async |session: &mut Session, store: &Store, name: &str| match known.insert(name.to_owned()) {
        true => undo(session, store, args, name).await,
        false => Ok(()),
    };
    session.each_given(&args.names.names, undo).await
}

/// The failure that shows what was done since.
async fn conflict(store: &Store, last: &Entry) -> Failure {
    let shown = quoted(&last.name);
    let newest = store.client().history(&last.name).try_next().await.ok().flatten();
    let newest = newest.filter(|newest| newest.id != last.id);
    let by = newest.as_ref().map(|newest| format!(", {}", who(newest))).unwrap_or_default();
    let failure = Failure::conflict(&last.name, format!("{shown} was changed since{by}, and stays as it is now"));
    let hint = format!("`flipper undo {shown}` shows that change; `flipper history {shown}` has all");
    let Some(newest) = newest else { return failure.hint(hint) };
    let (before, after) = (readable(&last.after), readable(&newest.after));
    let difference = Difference { name: &last.name, before: before.as_deref(), after: after.as_deref() };
    // It may go into JSON, where no stream takes styles out.
    failure.details(strip_str(&difference.lines().join("\n")).to_string()).hint(hint)
}

fn readable(state: &FlagState) -> Option<Arc<FlagRecord>> {
    state.as_ref().and_then(|state| state.clone().ok())
}

async fn undo(session: &mut Session, store: &Store, args: &Undo, name: &str) -> Done {
    let shown = quoted(name);
    let mut entries = store.client().history(name);
    let last = loop {
        match entries.try_next().await.map_err(|error| store.failure(&error))? {
            // What changed nothing needs no undoing.
            Some(entry) if entry.before == entry.after => {}
            Some(entry) => break entry,
            None => {
                store.record(name).await?;
                return Err(Failure::usage(format!("the history of {} has no change of {shown}", store.shown)));
            }
        }
    };
    if let Some(Err(corrupt)) = &last.before {
        let why =
            format!("{shown} was unreadable before `{}`, and is not made so again: {}", last.verb, corrupt.reason());
        return Err(Failure::corrupt(name, why));
    }
    let (before, after) = (readable(&last.after), readable(&last.before));
    let difference = Difference { name, before: before.as_deref(), after: after.as_deref() };
    if !args.yes && !args.write.dry_run {
        for line in difference.lines() {
            session.out.line(line)?;
        }
        let question = format!("undo `{}` of {shown}, {}, in {}?", last.verb, who(&last), store.shown);
        if !confirm::ask(&mut session.out, &question).await? {
            session.out.message(format_args!("{shown} stays as it is"));
            session.exit_with(Code::Usage);
            return Ok(());
        }
    }
    if !args.write.dry_run
        && let Err(error) = store.client().restore(name, &last).await
    {
        return Err(match error.kind() {
            ErrorKind::Conflict => conflict(store, &last).await,
            _ => store.write_failure(&error, name).await,
        });
    }
    let messages =
        Messages { done: format!("undid `{}` of {shown}", last.verb), already: format!("{shown} is unreadable") };
    report(session, store, &difference, args.write.dry_run, &messages)
}
