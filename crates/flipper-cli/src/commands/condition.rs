use std::slice;

use flipper::{Condition, Error, ErrorKind, FlagRecord};

use crate::args::{self, ConditionAdd, ConditionClear, ConditionList};
use crate::change::{Messages, change};
use crate::describe::rollout;
use crate::failure::Done;
use crate::marked;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, quoted};

const FORMS: &str =
    "write it in quotes, like 'horses > 9000' or 'plan in pro,team'; `flipper condition add --help` has more";

pub(crate) async fn run(session: &mut Session, args: &args::Condition) -> Done {
    match args {
        args::Condition::Add(args) => add(session, args).await,
        args::Condition::List(args) => list(session, args).await,
        args::Condition::Clear(args) => clear(session, args).await,
    }
}

fn conditions(record: &FlagRecord, deny: bool) -> &[Condition] {
    if deny { record.deny_conditions() } else { record.conditions() }
}

fn set(record: &mut FlagRecord, deny: bool, conditions: Vec<Condition>) {
    if deny { record.set_deny_conditions(conditions) } else { record.set_conditions(conditions) }
}

async fn add(session: &mut Session, args: &ConditionAdd) -> Done {
    let condition = parse(&args.expression.join(" "))?;
    let add = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |_: &FlagRecord, _: &FlagRecord| match args.deny {
            false => Messages {
                done: format!("{quoted} now also needs `{condition}`,"),
                already: format!("{quoted} needs `{condition}` already,"),
            },
            true => Messages {
                done: format!("{quoted} is now off wherever `{condition}`,"),
                already: format!("{quoted} is off wherever `{condition}` already,"),
            },
        };
        let mut has_rollout = false;
        let edit = |record: &mut FlagRecord| {
            let there = conditions(record, args.deny);
            if !there.contains(&condition) {
                set(record, args.deny, [there, slice::from_ref(&condition)].concat());
            }
            has_rollout = rollout(record.bucketer()).is_some();
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await?;
        if has_rollout && !args.deny && !session.out.json() {
            let are = if args.write.dry_run { "would be" } else { "are now" };
            session.out.note(format_args!(
                "{quoted} has a rollout too; checks that give attributes {are} decided by the conditions alone"
            ));
        }
        Ok(())
    };
    session.each_given(slice::from_ref(&args.name), add).await
}

async fn list(session: &mut Session, args: &ConditionList) -> Done {
    let list = async |session: &mut Session, store: &Store, name: &str| {
        let record = store.record(name).await?;
        for condition in conditions(&record, args.deny) {
            match session.out.json() {
                true => session.out.line(condition.to_json())?,
                false => session.out.line(condition)?,
            }
        }
        let denied = record.deny_conditions().len();
        if denied > 0 && !args.deny && !session.out.json() {
            let denied = count(denied, "deny condition");
            session.out.note(format_args!("{} has {denied} too; --deny prints them", quoted(name)));
        }
        Ok(())
    };
    session.each_given(&args.names.names, list).await
}

async fn clear(session: &mut Session, args: &ConditionClear) -> Done {
    let only = args.expression.as_deref().map(parse).transpose()?;
    let kind = if args.deny { "deny conditions" } else { "conditions" };
    let clear = async |session: &mut Session, store: &Store, name: &str| {
        let what = only.as_ref().map_or_else(|| format!("all {kind}"), |only| format!("`{only}`"));
        let messages = |_: &FlagRecord, _: &FlagRecord| Messages {
            done: format!("removed {what} of {}", quoted(name)),
            already: format!("{} has no {kind}", quoted(name)),
        };
        let edit = |record: &mut FlagRecord| {
            let there = conditions(record, args.deny);
            let mut kept = Vec::new();
            if let Some(only) = &only {
                kept.extend(there.iter().filter(|condition| *condition != only).cloned());
                if kept.len() == there.len() {
                    let option = if args.deny { " --deny" } else { "" };
                    let message =
                        format!("it has no such condition; `flipper condition list{option}` prints those it has");
                    return Err(Error::new(ErrorKind::InvalidInput).with_message(message).with_flag(name));
                }
            }
            set(record, args.deny, kept);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(slice::from_ref(&args.name), clear).await
}

fn parse(text: &str) -> Done<Condition> {
    marked::parse("condition", text, FORMS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_marked() {
        for (text, carets) in [
            ("", "^"),
            ("horses >", "        ^"),
            ("plan = pro team", "           ^^^^"),
            ("日本 = = 1", "       ^"),
            ("a\n = = 1", "      ^"),
        ] {
            let failure = parse(text).unwrap_err().to_string();
            assert_eq!(failure.lines().nth(2), Some(format!("  {carets}").as_str()), "{failure}");
        }
    }
}
