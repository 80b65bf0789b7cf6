//! `flipper segment`

mod ids;

use std::collections::BTreeMap;

use flipper::__words::{self as words, brief, links};
use flipper::json::{Json, Object};
use flipper::store::{Stored, validate_new_name};
use flipper::targeting::{When, segment_of, stored_name};
use flipper::{ErrorKind, FlagRecord};

use crate::args::{SegmentDelete, SegmentGet, SegmentSet, Segments};
use crate::change::{Messages, report};
use crate::confirm;
use crate::diff::Difference;
use crate::failure::{Code, Done, Failure};
use crate::marked;
use crate::names;
use crate::output::object;
use crate::session::Session;
use crate::store::{Purpose, Store, is_segment};
use crate::table::{self, Cell};
use crate::text::{now, plain, quoted, value};

pub(crate) async fn run(session: &mut Session, args: &Segments) -> Done {
    match args {
        Segments::Set(args) => set(session, args).await,
        Segments::Get(args) => get(session, args).await,
        Segments::List => list(session).await,
        Segments::Delete(args) => delete(session, args).await,
    }
}

async fn set(session: &mut Session, args: &SegmentSet) -> Done {
    validate_new_name(&args.name).map_err(|error| Failure::of(&error, "the store"))?;
    let (when, mut notes) = match (&args.ids, &args.from) {
        (Some(attribute), Some(path)) => {
            let ids = ids::read(path, args.text)?;
            (ids::when(attribute, ids.values), ids.notes)
        }
        _ => (marked::when("segment", &args.when.join(" "))?, Vec::new()),
    };
    let dry_run = args.write.dry_run;
    let store = session.open(if dry_run { Purpose::Rehearsal } else { Purpose::New })?;
    marked::must_exist(&store, &when).await?;
    let name = stored_name(&args.name);
    let before = store.client().fetch(&name).await.map_err(|error| store.failure(&error))?;
    notes.extend(before.as_ref().and_then(|before| before.segment()).and_then(|there| ids::turned(there, &when)));
    notes.iter().for_each(|note| session.out.note(note));
    let mut after = before.as_deref().cloned().unwrap_or_else(|| FlagRecord::new(&*name, now()));
    after.set_segment(Some(when.clone()));
    if dry_run {
        let wrong = |error: flipper::Error| store.failure(&error.with_flag(&name));
        after.validate().map_err(wrong)?;
        store.client().check_links(&after, before.as_deref()).await.map_err(wrong)?;
    } else if before.as_deref() != Some(&after)
        && let Err(error) = store.client().set_segment(&args.name, when).await
    {
        return Err(store.write_failure(&error, &name).await);
    }
    let (shown, about) = (quoted(&args.name), after.segment().map(words::segment).unwrap_or_default());
    let messages = Messages {
        done: format!("segment {shown} is now `{about}`,"),
        already: format!("segment {shown} is `{about}` already,"),
    };
    report(
        session,
        &store,
        &Difference { name: &name, before: before.as_deref(), after: Some(&after) },
        dry_run,
        &messages,
    )
}

/// The segment; with a hint if it is missing.
async fn segment(store: &Store, name: &str) -> Done<When> {
    match store.client().fetch(&stored_name(name)).await {
        Ok(Some(record)) => match record.segment() {
            Some(when) => Ok(when.clone()),
            None => Err(Failure::usage(format!("{} is a flag, not a segment", quoted(&stored_name(name))))),
        },
        Ok(None) => Err(store.no_such_segment(name).await),
        Err(error) => Err(store.failure(&error)),
    }
}

async fn get(session: &mut Session, args: &SegmentGet) -> Done {
    let get = async |session: &mut Session, store: &Store, name: &str| {
        let when = segment(store, name).await?;
        if args.ids {
            let Some((_, values)) = ids::listed(&when) else {
                return Err(Failure::usage(format!(
                    "segment {} is no list of values: {}",
                    quoted(name),
                    brief(&when.to_string())
                )));
            };
            return values.iter().try_for_each(|each| match each {
                Json::String(text) => session.out.line(plain(text)),
                other => session.out.line(value(other)),
            });
        }
        match session.out.json() {
            true => session.out.value(object([
                ("segment", name.into()),
                ("when", when.to_json()),
                ("text", when.to_string().into()),
            ])),
            false => session.out.line(plain(&when.to_string())),
        }
    };
    session.each_given(&args.names.names, get).await
}

/// By segment, the flags and segments that name it.
fn users(all: &[Stored]) -> BTreeMap<String, Vec<String>> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for flag in all {
        let Ok(record) = &flag.record else { continue };
        for segment in links(record).1 {
            users.entry(segment).or_default().push(match segment_of(&flag.name) {
                Some(segment) if is_segment(flag) => format!("segment {}", quoted(segment)),
                _ => quoted(&flag.name),
            });
        }
    }
    users
}

async fn list(session: &mut Session) -> Done {
    let store = session.open(Purpose::Existing)?;
    let all = store.list().await?;
    let users = users(&all);
    let segments = all.iter().filter_map(|flag| {
        let when = flag.record.as_ref().ok()?.segment()?;
        let name = segment_of(&flag.name)?;
        Some((name, when, users.get(name).cloned().unwrap_or_default()))
    });
    if session.out.json() {
        return session.out.value(segments.map(to_json).collect::<Vec<_>>());
    }
    let row = |(name, when, users): (&str, &When, Vec<String>)| {
        [Cell::new(plain(name)), Cell::new(words::segment(when)), Cell::new(users.join(", "))]
    };
    let rows: Vec<_> = segments.map(row).collect();
    if rows.is_empty() {
        session.out.message(format_args!("there are no segments in {}", store.shown));
        return Ok(());
    }
    table::write(&mut session.out, ["SEGMENT", "WHO", "NAMED BY"], &rows)
}

fn to_json((name, when, users): (&str, &When, Vec<String>)) -> Object {
    object([("segment", name.into()), ("text", words::segment(when).into()), ("named_by", users.into())])
}

async fn delete(session: &mut Session, args: &SegmentDelete) -> Done {
    let store = session.open(Purpose::Existing)?;
    let users = users(&store.list().await?);
    let delete = async |session: &mut Session, name: &str| delete_one(session, &store, args, &users, name).await;
    session.each(names::all(&args.names.names)?, delete).await
}

async fn delete_one(
    session: &mut Session,
    store: &Store,
    args: &SegmentDelete,
    users: &BTreeMap<String, Vec<String>>,
    name: &str,
) -> Done {
    let (shown, stored) = (quoted(name), stored_name(name));
    // An unreadable one can be deleted too.
    let before = match store.client().fetch(&stored).await {
        Ok(Some(record)) => Some(record),
        Ok(None) => return Err(store.no_such_segment(name).await),
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        Err(error) => return Err(store.failure(&error)),
    };
    let named_by = users.get(name).filter(|users| !users.is_empty());
    let warning = named_by.map(|users| {
        let names = if users.len() > 5 { format!("{}, …", users[..5].join(", ")) } else { users.join(", ") };
        let verb = if users.len() == 1 { "names" } else { "name" };
        format!("{names} {verb} it: without it neither `in segment {shown}` holds for a caller, nor `not in segment {shown}`")
    });
    if !args.yes && !args.write.dry_run {
        let more = warning.as_ref().map(|warning| format!(" {warning}.")).unwrap_or_default();
        if !confirm::ask(&mut session.out, &format!("delete segment {shown} in {}?{more}", store.shown)).await? {
            session.out.message(format_args!("segment {shown} stays as it is"));
            session.exit_with(Code::Usage);
            return Ok(());
        }
    }
    if !args.write.dry_run
        && let Err(error) = store.client().delete_segment(name).await
    {
        return Err(store.write_failure(&error, &stored).await);
    }
    let messages = Messages {
        done: format!("deleted segment {shown}"),
        already: format!("deleted segment {shown}, which could not be read,"),
    };
    let difference = Difference { name: &stored, before: before.as_deref(), after: None };
    report(session, store, &difference, args.write.dry_run, &messages)?;
    if let Some(warning) = warning.filter(|_| (args.yes || args.write.dry_run) && !session.out.json()) {
        session.out.note(warning);
    }
    Ok(())
}
