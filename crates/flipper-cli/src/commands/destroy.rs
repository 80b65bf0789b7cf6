use flipper::{ErrorKind, FlagRecord};

use crate::args::Destroy;
use crate::change::{Messages, report};
use crate::confirm;
use crate::describe::targeting;
use crate::diff::Difference;
use crate::failure::{Code, Done};
use crate::session::Session;
use crate::store::Store;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Destroy) -> Done {
    let destroy = async |session: &mut Session, store: &Store, name: &str| destroy(session, store, args, name).await;
    session.each_given(&args.names.names, destroy).await
}

async fn destroy(session: &mut Session, store: &Store, args: &Destroy, name: &str) -> Done {
    // An unreadable flag can be destroyed too.
    let before = match store.client().fetch(name).await {
        Ok(Some(record)) => Some(record),
        Ok(None) => return Err(store.no_such_flag(name).await),
        Err(error) if error.kind() == ErrorKind::Corrupt => None,
        Err(error) => return Err(store.failure(&error)),
    };
    let quoted = quoted(name);
    if !args.yes && !args.write.dry_run {
        let state = before.as_deref().map_or_else(|| "It cannot be read.".to_owned(), state);
        if !confirm::ask(&mut session.out, &format!("destroy {quoted} in {}? {state}", store.shown)).await? {
            session.out.message(format_args!("{quoted} stays as it is"));
            session.exit_with(Code::Usage);
            return Ok(());
        }
    }
    if !args.write.dry_run
        && let Err(error) = store.client().destroy(name).await
    {
        return Err(store.write_failure(&error, name).await);
    }
    let messages = Messages {
        done: format!("destroyed {quoted}"),
        already: format!("destroyed {quoted}, which could not be read,"),
    };
    let difference = Difference { name, before: before.as_deref(), after: None };
    report(session, store, &difference, args.write.dry_run, &messages)
}

fn state(record: &FlagRecord) -> String {
    match (record.is_enabled(), targeting(record)) {
        (false, _) => "It is off.".to_owned(),
        (true, None) => "It is ON for everybody.".to_owned(),
        (true, Some(targeting)) => format!("It is ON for: {targeting}."),
    }
}
