//! `flipper enable`, `flipper disable` and `flipper toggle`

use flipper::__words::{date, is_on_now, turns};
use flipper::FlagRecord;
use flipper::targeting::Schedule;

use super::create::{self, Settings};
use crate::args::{Switch, Toggle};
use crate::change::{Messages, change};
use crate::failure::Done;
use crate::names;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{now, quoted};

pub(crate) async fn run(session: &mut Session, args: &Switch, on: bool) -> Done {
    let dry_run = args.write.dry_run;
    let names = names::all(&args.names.names)?;
    if args.create {
        create::check(&names)?;
    }
    let store = session.open(match (args.create, dry_run) {
        (false, _) => Purpose::Existing,
        (true, false) => Purpose::New,
        (true, true) => Purpose::Rehearsal,
    })?;
    let switch = async |session: &mut Session, name: &str| {
        if args.create && store.client().fetch(name).await.map_err(|error| store.failure(&error))?.is_none() {
            let settings = Settings { enable: on, dry_run, ..Settings::default() };
            return create::create(session, &store, name, &settings).await;
        }
        set(session, &store, name, dry_run, |_| on).await
    };
    session.each(names, switch).await
}

pub(crate) async fn toggle(session: &mut Session, args: &Toggle) -> Done {
    let toggle = async |session: &mut Session, store: &Store, name: &str| {
        set(session, store, name, args.write.dry_run, |was| !was).await
    };
    session.each_given(&args.names.names, toggle).await
}

async fn set(
    session: &mut Session,
    store: &Store,
    name: &str,
    dry_run: bool,
    becomes: impl Fn(bool) -> bool + Send + Sync,
) -> Done {
    let quoted = quoted(name);
    let messages = |_: &FlagRecord, record: &FlagRecord| {
        let (verb, state) = if record.is_enabled() { ("enabled", "on") } else { ("disabled", "off") };
        Messages { done: format!("{verb} {quoted}"), already: format!("{quoted} is {state} already") }
    };
    let mut note = None;
    let edit = |record: &mut FlagRecord| {
        let before = record.schedule().cloned();
        record.switch(becomes(is_on_now(record)), now());
        note = note_on(&quoted, before.as_ref(), record, dry_run);
        Ok(())
    };
    change(session, store, name, dry_run, messages, edit).await?;
    if let Some(note) = note.filter(|_| !session.out.json()) {
        session.out.note(note);
    }
    Ok(())
}

/// What the flag's schedule does after the switch, or would do after a dry run.
fn note_on(quoted: &str, before: Option<&Schedule>, record: &FlagRecord, dry_run: bool) -> Option<String> {
    let shown = |turns: Vec<(i64, String)>| {
        turns.iter().map(|(at, what)| format!("{what} from {}", date(*at))).collect::<Vec<_>>().join(", ")
    };
    let before = turns(before?);
    let after = record.schedule().map(turns).unwrap_or_default();
    let is_later = after.iter().any(|(at, _)| *at > now());
    let (stays, dropped_is, goes_on) = match dry_run {
        false => ("stays, and does", "dropped", "goes on"),
        true => ("would stay, and do", "would be dropped", "would go on"),
    };
    if !record.is_enabled() {
        return is_later.then(|| format!("its schedule {stays} nothing while {quoted} is off: {}", shown(after)));
    }
    let dropped: Vec<_> = before.into_iter().filter(|turn| !after.contains(turn)).collect();
    let dropped = Some(dropped).filter(|dropped| !dropped.is_empty());
    let dropped = dropped.map(|dropped| format!("{dropped_is} of its schedule: {}", shown(dropped)));
    let stays = is_later.then(|| format!("its schedule {goes_on}: {}", shown(after)));
    let parts: Vec<_> = dropped.into_iter().chain(stays).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}
