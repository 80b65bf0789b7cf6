//! `flipper condition`

use flipper::{Error, ErrorKind};

use crate::args::{Condition, ConditionAdd, ConditionClear, Names};
use crate::change::{Words, change};
use crate::condition::{parse, show};
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
    for name in names::all(std::slice::from_ref(&args.name))? {
        let words = |_: &flipper::FlagRecord| Words {
            done: format!("{} now also needs `{}`,", quoted(&name), show(&condition)),
            already: format!("{} needs `{}` already,", quoted(&name), show(&condition)),
        };
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| {
            if !record.conditions().contains(&condition) {
                record.add_condition(condition.clone());
            }
            Ok(())
        });
        if !done.await? || session.out.json() {
            continue;
        }
        let record = store.record(&name).await?;
        if crate::describe::rollout(record.bucketer()).is_some() {
            session.out.note(format_args!(
                "{} has a rollout too; checks that give attributes are now decided by the conditions alone",
                quoted(&name)
            ));
        }
    }
    Ok(())
}

async fn list(session: &mut Session, args: &Names) -> Done {
    let store = session.open(Purpose::Existing)?;
    for name in names::all(&args.names)? {
        match store.record(&name).await {
            Ok(record) => {
                for condition in record.conditions() {
                    if session.out.json() {
                        session.out.line(condition.to_json())?;
                    } else {
                        session.out.line(show(condition))?;
                    }
                }
            }
            Err(failure) => session.go_on_after(failure)?,
        }
    }
    Ok(())
}

async fn clear(session: &mut Session, args: &ConditionClear) -> Done {
    let only = args.expression.as_deref().map(parse).transpose()?;
    let store = session.open(Purpose::Existing)?;
    for name in names::all(std::slice::from_ref(&args.name))? {
        let what = only.as_ref().map_or_else(|| "all conditions".to_owned(), |only| format!("`{}`", show(only)));
        let words = |_: &flipper::FlagRecord| Words {
            done: format!("removed {what} of {}", quoted(&name)),
            already: format!("{} has no conditions", quoted(&name)),
        };
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| {
            let mut kept = Vec::new();
            if let Some(only) = &only {
                kept.extend(record.conditions().iter().filter(|condition| *condition != only).cloned());
                if kept.len() == record.conditions().len() {
                    let message = "it has no such condition; `flipper condition list` prints those it has";
                    return Err(Error::new(ErrorKind::InvalidInput).with_message(message).with_flag(&name));
                }
            }
            record.set_conditions(kept);
            Ok(())
        });
        done.await?;
    }
    Ok(())
}
