//! `flipper create`

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;

use flipper::json::{Json, Object};
use flipper::store::validate_new_name;
use flipper::{ErrorKind, FlagRecord};

use crate::args::Create;
use crate::change::{Words, tell};
use crate::diff::Difference;
use crate::failure::{Done, Failure, said};
use crate::names;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{after, now, path_text, plain, quoted, without_mark};

/// More than a flag's client data may take.
const LARGEST: u64 = 1 << 20;
/// So many characters are shown of what is no JSON.
const SHOWN: usize = 40;
const EXAMPLE: &str = "write it like '{\"owner\": \"me\"}', in single quotes";

/// What flags are created with.
pub(super) struct Settings {
    enable: bool,
    strict: bool,
    data: Object,
    /// A flag that is there stays as it is.
    if_missing: bool,
    dry_run: bool,
}

impl Settings {
    pub(super) fn new(enable: bool, dry_run: bool) -> Self {
        Self { enable, strict: false, data: Object::new(), if_missing: false, dry_run }
    }
}

pub(crate) async fn run(session: &mut Session, args: &Create) -> Done {
    let data = args.client_data.as_deref().map(read).transpose()?.unwrap_or_default();
    let (enable, strict, if_missing, dry_run) = (args.enable, args.strict, args.if_missing, args.dry.dry_run);
    let settings = Settings { enable, strict, data, if_missing, dry_run };
    let names = names::all(&args.names.names)?;
    check(&names)?;
    let store = session.open(if settings.dry_run { Purpose::Rehearsal } else { Purpose::New })?;
    session.each(names, async |session: &mut Session, name: &str| create(session, &store, name, &settings).await).await
}

/// Refuses names that no new flag may have, before a file is made for them.
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
    let words = Words {
        done: format!("created {quoted}, which is {state},"),
        already: format!("{quoted} is there already, and stays as it is,"),
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
        return tell(session, store, &Difference { name, before: None, after: Some(after) }, dry_run, &words);
    }
    if !if_missing {
        let failure = Failure::exists(name, &store.shown);
        return Err(failure.hint(format!("`flipper enable {quoted}` turns it on, and --if-missing keeps it as it is")));
    }
    let there = store.record(name).await?;
    tell(session, store, &Difference { name, before: Some(&there), after: Some(&there) }, dry_run, &words)
}

/// Client data: an object, or `@` and the file that has it.
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
    let text = without_mark(&text).trim();
    let found = match Json::parse_strict(text) {
        Ok(Json::Object(data)) => return Ok(data),
        Ok(other) => format!("found {}", kind(&other)),
        Err(error) if text.starts_with('{') => {
            return Err(Failure::usage(format!("{from}: {}", said(&error))).hint(EXAMPLE));
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

fn kind(json: &Json) -> &'static str {
    match json {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::String(_) | Json::LoneSurrogates(_) => "a string",
        Json::Array(_) => "an array",
        Json::Object(_) => "an object",
        _ => "a number",
    }
}
