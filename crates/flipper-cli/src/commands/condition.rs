//! `flipper condition`

use flipper::{Error, ErrorKind, FlagRecord};

use crate::args::{Condition, ConditionAdd, ConditionClear, Names};
use crate::change::{Words, change};
use crate::condition::{parse, show};
use crate::describe::rollout;
use crate::failure::Done;
use crate::names;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Condition) -> Done {
    match args {
        Condition::Add(args) => add(session, args).await,
        Condition::List(args) => list(session, args).await,
        Condition::Clear(args) => clear(session, args).await,
    }
}

async fn add(session: &mut Session, args: &ConditionAdd) -> Done {
    let condition = parse(&args.expression.join(" "))?;
    let store = session.open(Purpose::Existing)?;
    let add = async |session: &mut Session, name: &str| {
        let quoted = quoted(name);
        let words = |_: &FlagRecord, _: &FlagRecord| Words {
            done: format!("{quoted} now also needs `{}`,", show(&condition)),
            already: format!("{quoted} needs `{}` already,", show(&condition)),
        };
        let mut has_rollout = false;
        let edit = |record: &mut FlagRecord| {
            if !record.conditions().contains(&condition) {
                record.add_condition(condition.clone());
            }
            has_rollout = rollout(record.bucketer()).is_some();
            Ok(())
        };
        change(session, &store, name, args.dry.dry_run, words, edit).await?;
        if has_rollout && !session.out.json() {
            session.out.note(format_args!(
                "{quoted} has a rollout too; checks that give attributes are now decided by the conditions alone"
            ));
        }
        Ok(())
    };
    session.each(names::all(std::slice::from_ref(&args.name))?, add).await
}

async fn list(session: &mut Session, args: &Names) -> Done {
    let store = session.open(Purpose::Existing)?;
    let list = async |session: &mut Session, name: &str| {
        for condition in store.record(name).await?.conditions() {
            if session.out.json() {
                session.out.line(condition.to_json())?;
            } else {
                session.out.line(show(condition))?;
            }
        }
        Ok(())
    };
    session.each(names::all(&args.names)?, list).await
}

async fn clear(session: &mut Session, args: &ConditionClear) -> Done {
    let only = args.expression.as_deref().map(parse).transpose()?;
    let store = session.open(Purpose::Existing)?;
    let clear = async |session: &mut Session, name: &str| {
        let what = only.as_ref().map_or_else(|| "all conditions".to_owned(), |only| format!("`{}`", show(only)));
        let words = |_: &FlagRecord, _: &FlagRecord| Words {
            done: format!("removed {what} of {}", quoted(name)),
            already: format!("{} has no conditions", quoted(name)),
        };
        let edit = |record: &mut FlagRecord| {
            let mut kept = Vec::new();
            if let Some(only) = &only {
                kept.extend(record.conditions().iter().filter(|condition| *condition != only).cloned());
                if kept.len() == record.conditions().len() {
                    let message = "it has no such condition; `flipper condition list` prints those it has";
                    return Err(Error::new(ErrorKind::InvalidInput).with_message(message).with_flag(name));
                }
            }
            record.set_conditions(kept);
            Ok(())
        };
        change(session, &store, name, args.dry.dry_run, words, edit).await
    };
    session.each(names::all(std::slice::from_ref(&args.name))?, clear).await
}
