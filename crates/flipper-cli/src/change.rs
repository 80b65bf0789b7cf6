use flipper::json::Json;
use flipper::{Error, ErrorKind, FlagRecord, Result};

use crate::diff::Difference;
use crate::failure::{Done, Failure};
use crate::session::Session;
use crate::store::Store;

pub(crate) struct Messages {
    /// `enabled X`
    pub(crate) done: String,
    /// `X is enabled already`
    pub(crate) already: String,
}

/// Changes a flag by `edit`, which is called again if another writer was faster. With `dry_run` only shows the change.
/// `messages` gets the flag before and after.
pub(crate) async fn change(
    session: &mut Session,
    store: &Store,
    name: &str,
    dry_run: bool,
    messages: impl FnOnce(&FlagRecord, &FlagRecord) -> Messages,
    edit: impl FnMut(&mut FlagRecord) -> Result<()> + Send,
) -> Done {
    let (before, after) = edited(store, name, dry_run, edit).await?;
    let messages = messages(&before, &after);
    report(session, store, &Difference { name, before: Some(&before), after: Some(&after) }, dry_run, &messages)
}

/// What is wrong with a change, for its `edit`.
pub(crate) fn refuse(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput).with_message(what)
}

async fn edited(
    store: &Store,
    name: &str,
    dry_run: bool,
    mut edit: impl FnMut(&mut FlagRecord) -> Result<()> + Send,
) -> Done<(FlagRecord, FlagRecord)> {
    let mut states = None;
    let mut edit = |record: &mut FlagRecord| {
        if record.segment().is_some() {
            return Err(refuse("it is a segment; `flipper segment set` changes it").with_flag(name));
        }
        let before = record.clone();
        edit(record).map_err(|error| error.with_flag(name))?;
        states = Some((before, record.clone()));
        Ok(())
    };
    let done = if dry_run {
        let before = store.record(name).await?;
        let mut record = FlagRecord::clone(&before);
        match edit(&mut record).and_then(|()| record.validate_change(&before)) {
            Ok(()) => store.client().check_links(&record, Some(&before)).await.map_err(|error| error.with_flag(name)),
            wrong => wrong,
        }
    } else {
        store.client().update(name, edit).await.map(drop)
    };
    match (done, states) {
        (Ok(()), Some(states)) => Ok(states),
        (Ok(()), None) => Err(Failure::store("the change was not made")),
        (Err(error), Some(_)) if !dry_run => Err(store.write_failure(&error, name).await),
        (Err(error), _) => Err(store.failure_with(&error, name).await),
    }
}

pub(crate) fn report(
    session: &mut Session,
    store: &Store,
    difference: &Difference<'_>,
    dry_run: bool,
    messages: &Messages,
) -> Done {
    let out = &mut session.out;
    if out.json() {
        let mut object = difference.to_json();
        object.insert("dry_run", dry_run);
        return out.value(Json::from(object));
    }
    let is_any = difference.is_any();
    match (dry_run, is_any) {
        (true, true) => {
            for line in difference.lines() {
                out.line(line)?;
            }
            out.message("dry run: nothing was changed");
        }
        (true, false) => {
            // The comma is for the name of the store, which is left out here.
            out.message(format_args!("dry run: nothing would change, {}", messages.already.trim_end_matches(',')));
        }
        (false, true) => out.message(format_args!("{} in {}", messages.done, store.shown)),
        (false, false) => out.message(format_args!("{} in {}", messages.already, store.shown)),
    }
    Ok(())
}
