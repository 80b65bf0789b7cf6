//! `flipper enable`, `flipper disable` and `flipper toggle`

use flipper::__words::is_on_now;
use flipper::FlagRecord;

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
        note = match (before, record.schedule()) {
            (Some(before), None) => Some(format!("its schedule was dropped: {before}")),
            (Some(before), Some(after)) if before != *after => {
                Some(format!("of its schedule, {before}, there is left: {after}"))
            }
            (Some(_), Some(kept)) if !record.is_enabled() && kept.next_turn(now()).is_some() => {
                Some(format!("its schedule stays, and does nothing while {quoted} is off: {kept}"))
            }
            _ => None,
        };
        Ok(())
    };
    change(session, store, name, dry_run, messages, edit).await?;
    if let Some(note) = note.filter(|_| !session.out.json()) {
        session.out.note(note);
    }
    Ok(())
}
