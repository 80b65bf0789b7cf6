//! `flipper data`

use flipper::{Error, ErrorKind, Json, Object};

use crate::args::{Data, DataGet, DataSet, DataUnset};
use crate::change::{Words, change};
use crate::failure::{Done, Failure};
use crate::names;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Data) -> Done {
    match args {
        Data::Get(args) => get(session, args).await,
        Data::Set(args) => set(session, args).await,
        Data::Unset(args) => unset(session, args).await,
    }
}

async fn get(session: &mut Session, args: &DataGet) -> Done {
    let store = session.open(Purpose::Existing)?;
    for name in names::all(&args.names.names)? {
        match store.record(&name).await {
            Ok(record) => session.out.line(record.client_data())?,
            Err(failure) => session.go_on_after(failure)?,
        }
    }
    Ok(())
}

async fn set(session: &mut Session, args: &DataSet) -> Done {
    let names::Given { names, pairs } = names::and_pairs(&args.words, "data")?;
    if pairs.is_empty() {
        return Err(Failure::usage("there is nothing to set").hint("write KEY=VALUE after the flag's name"));
    }
    let data: Object = pairs.into_iter().map(|(key, value)| (key, json_or_text(value))).collect();
    let keys = list(data.keys());
    let store = session.open(Purpose::Existing)?;
    for name in names::all(names)? {
        let quoted = quoted(&name);
        let words = |_: &flipper::FlagRecord| Words {
            done: format!("set {keys} of {quoted}"),
            already: format!("{quoted} has {keys} like that already"),
        };
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| record.merge_client_data(&data));
        done.await?;
    }
    Ok(())
}

async fn unset(session: &mut Session, args: &DataUnset) -> Done {
    let keys = list(args.keys.iter().map(String::as_str));
    let store = session.open(Purpose::Existing)?;
    for name in names::all(std::slice::from_ref(&args.name))? {
        let quoted = quoted(&name);
        let words = |_: &flipper::FlagRecord| Words {
            done: format!("removed {keys} of {quoted}"),
            already: format!("{quoted} has no {keys}"),
        };
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| {
            let Some(mut data) = record.client_data().as_object().cloned() else {
                return Err(Error::new(ErrorKind::Corrupt).with_message("client data is no object").with_flag(&name));
            };
            for key in &args.keys {
                data.remove(key);
            }
            record.set_client_data(data);
            Ok(())
        });
        done.await?;
    }
    Ok(())
}

fn list<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.map(quoted).collect::<Vec<_>>().join(", ")
}

/// A value from the command line: JSON where it can be read as such, else a string.
pub(crate) fn json_or_text(text: &str) -> Json {
    Json::parse_strict(text).unwrap_or_else(|_| Json::from(text))
}
