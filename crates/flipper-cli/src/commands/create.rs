use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;

use flipper::__words::lost_in_paths;
use flipper::json::{Json, Object};
use flipper::store::validate_new_name;
use flipper::{ErrorKind, FlagRecord};

use crate::args::Create;
use crate::change::{Messages, report};
use crate::diff::Difference;
use crate::failure::{Done, Failure, message_of};
use crate::names;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{after, json_type, now, path_text, plain, quoted};

/// In bytes, more than a store accepts.
const LARGEST: u64 = 1 << 20;
const SHOWN: usize = 40;
const EXAMPLE: &str = "write it like '{\"owner\": \"me\"}', in single quotes";

#[derive(Default)]
pub(super) struct Settings {
    pub(super) enable: bool,
    pub(super) strict: bool,
    pub(super) data: Object,
    pub(super) if_missing: bool,
    pub(super) dry_run: bool,
}

pub(crate) async fn run(session: &mut Session, args: &Create) -> Done {
    let data = args.client_data.as_deref().map(read).transpose()?.unwrap_or_default();
    let (enable, strict, if_missing, dry_run) = (args.enable, args.strict, args.if_missing, args.write.dry_run);
    let settings = Settings { enable, strict, data, if_missing, dry_run };
    let names = names::all(&args.names.names)?;
    check(&names)?;
    let store = session.open(if settings.dry_run { Purpose::Rehearsal } else { Purpose::New })?;
    session.each(names, async |session: &mut Session, name: &str| create(session, &store, name, &settings).await).await
}

/// Rejects invalid names, before a file is created for them.
pub(super) fn check(names: &[String]) -> Done {
    names.iter().try_for_each(|name| validate_new_name(name)).map_err(|error| Failure::of(&error, "the store"))
}

pub(super) async fn create(session: &mut Session, store: &Store, name: &str, settings: &Settings) -> Done {
    let &Settings { enable, strict, ref data, if_missing, dry_run } = settings;
    let mut record = FlagRecord::new(name, now());
    record.set_enabled(enable);
    record.set_strict(strict);
    record.set_client_data(data.clone());
    let quoted = quoted(name);
    let state = if enable { "on" } else { "off" };
    let messages = Messages {
        done: format!("created {quoted}, which is {state},"),
        already: format!("{quoted} exists already, and stays as it is,"),
    };
    let made = if dry_run {
        record.validate().map_err(|error| store.failure(&error))?;
        store.client().fetch(name).await.map_err(|error| store.failure(&error))?.is_none()
    } else {
        match store.client().create(name).enabled(enable).strict(strict).client_data(data).await {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::FlagExists => false,
            Err(error) => return Err(store.write_failure(&error, name).await),
        }
    };
    if made {
        let stored = if dry_run { None } else { store.client().fetch(name).await.ok().flatten() };
        let after = stored.as_deref().unwrap_or(&record);
        report(session, store, &Difference { name, before: None, after: Some(after) }, dry_run, &messages)?;
        lost_in_paths(name).iter().for_each(|note| session.out.note(note));
        return Ok(());
    }
    if !if_missing {
        let failure = Failure::exists(name, &store.shown);
        return Err(failure.hint(format!("`flipper enable {quoted}` turns it on, and --if-missing keeps it as it is")));
    }
    let there = store.record(name).await?;
    report(session, store, &Difference { name, before: Some(&there), after: Some(&there) }, dry_run, &messages)
}

/// Reads client data: an object, or `@` and the file that has it.
fn read(given: &OsStr) -> Done<Object> {
    let (text, from) = match after(given, "@") {
        None => match given.to_str() {
            Some(text) => (text.to_owned(), "--client-data".to_owned()),
            None => return Err(Failure::usage(format!("--client-data: not UTF-8: $'{}'", path_text(given)))),
        },
        Some(path) => {
            let from = format!("--client-data: {}", path_text(path));
            let refuse = |what: String| Failure::usage(format!("{from}: {what}"));
            let mut text = String::new();
            let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
            file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| refuse(error.to_string()))?;
            if text.len() as u64 > LARGEST {
                return Err(refuse("is larger than client data may be".to_owned()));
            }
            (text, from)
        }
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text).trim();
    let found = match Json::parse_strict(text) {
        Ok(Json::Object(data)) => return Ok(data),
        Ok(other) => format!("found {}", json_type(&other)),
        Err(error) if text.starts_with('{') => {
            return Err(Failure::usage(format!("{from}: {}", message_of(&error))).hint(EXAMPLE));
        }
        Err(_) if text.is_empty() => "found nothing".to_owned(),
        Err(_) => {
            let start: String = text.chars().take(SHOWN).collect();
            let more = if start.len() < text.len() { "\u{2026}" } else { "" };
            format!("found {}{more}", plain(&start))
        }
    };
    Err(Failure::usage(format!("{from}: client data are a JSON object, {found}")).hint(EXAMPLE))
}
