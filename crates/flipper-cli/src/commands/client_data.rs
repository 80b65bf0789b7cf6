use std::slice;

use flipper::__words::json_or_text;
use flipper::json::Object;
use flipper::{Error, ErrorKind, FlagRecord};

use crate::args::{ClientData, ClientDataSet, ClientDataUnset, Names};
use crate::change::{Messages, change};
use crate::failure::{Done, Failure};
use crate::names;
use crate::session::Session;
use crate::store::Store;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &ClientData) -> Done {
    match args {
        ClientData::Get(args) => get(session, args).await,
        ClientData::Set(args) => set(session, args).await,
        ClientData::Unset(args) => unset(session, args).await,
    }
}

async fn get(session: &mut Session, args: &Names) -> Done {
    let get = async |session: &mut Session, store: &Store, name: &str| {
        session.out.line(store.record(name).await?.client_data())
    };
    session.each_given(&args.names, get).await
}

async fn set(session: &mut Session, args: &ClientDataSet) -> Done {
    let names::Given { names, pairs } = names::and_pairs(&args.words, "data")?;
    if pairs.is_empty() {
        return Err(Failure::usage("there is nothing to set").hint("write KEY=VALUE after the flag's name"));
    }
    let data: Object = pairs.into_iter().map(|(key, value)| (key, json_or_text(value))).collect();
    let keys = list(data.keys());
    let set = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |_: &FlagRecord, _: &FlagRecord| Messages {
            done: format!("set {keys} of {quoted}"),
            already: format!("{quoted} has {keys} like that already"),
        };
        change(session, store, name, args.write.dry_run, messages, |record| record.merge_client_data(&data)).await
    };
    session.each_given(names, set).await
}

async fn unset(session: &mut Session, args: &ClientDataUnset) -> Done {
    let unset = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, _: &FlagRecord| {
            let (there, missing): (Vec<_>, Vec<_>) =
                args.keys.iter().map(String::as_str).partition(|key| before.client_data().get(key).is_some());
            let missing = list(missing.into_iter());
            let besides = if missing.is_empty() { String::new() } else { format!(", which had no {missing},") };
            Messages {
                done: format!("removed {} of {quoted}{besides}", list(there.into_iter())),
                already: format!("{quoted} has no {missing}"),
            }
        };
        let edit = |record: &mut FlagRecord| {
            let Some(mut data) = record.client_data().as_object().cloned() else {
                return Err(Error::new(ErrorKind::Corrupt).with_message("client data is no object").with_flag(name));
            };
            for key in &args.keys {
                data.remove(key);
            }
            record.set_client_data(data);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(slice::from_ref(&args.name), unset).await
}

fn list<'a>(keys: impl Iterator<Item = &'a str>) -> String {
    keys.map(quoted).collect::<Vec<_>>().join(", ")
}
