use flipper::__words::{self as words, with_share};
use flipper::bucketing::{
    AnyPercentage, ConsistentHashPercentageBucketer, PercentageBucketer, SaltedPercentageBucketer,
};
use flipper::{Bucketer, Error, ErrorKind, FlagRecord};

use crate::args;
use crate::change::{Messages, change};
use crate::describe::{choice, hashed, rollout, share_of};
use crate::failure::{Done, Failure};
use crate::session::Session;
use crate::store::Store;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &args::Bucketer) -> Done {
    let (percentage, given) = percentage(args)?;
    let roll_out = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, after: &FlagRecord| messages(&quoted, before.bucketer(), after.bucketer());
        let mut notes = Vec::new();
        let edit = |record: &mut FlagRecord| {
            let bucketer = match &percentage {
                Some(percentage) => next(record.bucketer(), percentage, args)
                    .map_err(|what| Error::new(ErrorKind::InvalidInput).with_message(what).with_flag(name))?,
                None => Bucketer::NoOp,
            };
            record.set_bucketer(bucketer);
            notes.clear();
            if !record.is_enabled() {
                notes.push(format!("{quoted} is off, and stays so until `flipper enable {quoted}`"));
            }
            if !record.conditions().is_empty() && !args.clear {
                let is = if args.write.dry_run { "would not be" } else { "is not" };
                notes.push(format!(
                    "{quoted} has conditions: they alone decide checks that give attributes, and the rollout {is} used"
                ));
            }
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await?;
        if !session.out.json() {
            notes.iter().for_each(|note| session.out.note(note));
        }
        Ok(())
    };
    session.each_given(given, roll_out).await
}

fn messages(flag: &str, before: &Bucketer, after: &Bucketer) -> Messages {
    let Some(to) = rollout(after) else {
        return Messages { done: format!("removed the rollout of {flag}"), already: format!("{flag} has no rollout") };
    };
    let from = match (rollout(before), choice(before) == choice(after)) {
        (None, _) => format!("out to {to}"),
        (Some(_), true) => format!("out: {} \u{2192} {to}", share_of(before)),
        (Some(from), false) => format!("out: {from} \u{2192} {to}"),
    };
    Messages { done: format!("rolled {flag} {from},"), already: format!("{flag} is rolled out to {to} already,") }
}

/// The share to set, `None` to remove the rollout; and the flags' names.
fn percentage(args: &args::Bucketer) -> Done<(Option<AnyPercentage>, &[String])> {
    if args.clear {
        return Ok((None, &args.words));
    }
    let Some((last, names)) = args.words.split_last().filter(|(_, names)| !names.is_empty()) else {
        return Err(Failure::usage("the share is missing").hint("write it after the name: `flipper bucketer NAME 25%`"));
    };
    if args.over.is_some() && !last.contains("..") {
        return Err(Failure::usage("--over needs two shares").hint("write 0..100% --over 2h"));
    }
    let percentage = words::percentage(last, args.over).map_err(|what| {
        let hint = match (last.contains(".."), args.over) {
            (true, None) => "say how long: --over 2h",
            _ => "write it like 25% or 12.5%, and ramps like 0..100%",
        };
        Failure::usage(what).hint(hint)
    })?;
    if args.salted && args.by.len() > 1 {
        return Err(Failure::usage("--salted needs one attribute").hint("say which: --by user_id"));
    }
    Ok((Some(percentage), names))
}

/// The bucketer with the new share; what the arguments do not name stays.
fn next(before: &Bucketer, percentage: &AnyPercentage, args: &args::Bucketer) -> Result<Bucketer, String> {
    if args.random {
        return Ok(PercentageBucketer::new(percentage.clone()).into());
    }
    let says_whom = args.salted || args.unsalted || args.by_all || !args.by.is_empty();
    match before {
        Bucketer::Percentage(_) | Bucketer::ConsistentHash(_) | Bucketer::Salted(_) if !says_whom => {
            return with_share(before, percentage);
        }
        Bucketer::NoOp | Bucketer::Percentage(_) | Bucketer::ConsistentHash(_) | Bucketer::Salted(_) => {}
        _ if says_whom => {}
        other => {
            return Err(format!(
                "it has the bucketer {}, which this would replace; choose the attributes: --by ATTRIBUTE, --by-all or --random",
                other.bucketer_type()
            ));
        }
    }
    let by = match &args.by[..] {
        [] if !args.by_all => hashed(before),
        by => by.iter().map(String::as_str).collect(),
    };
    let was_salted = matches!(before, Bucketer::Salted(_));
    match &by[..] {
        [by] if args.salted || (was_salted && !args.unsalted) => {
            Ok(SaltedPercentageBucketer::new(*by, percentage.clone()).into())
        }
        [_, _, ..] if was_salted && !args.unsalted => {
            Err("it is salted, which needs one attribute; --unsalted removes the salt".to_owned())
        }
        _ if args.salted => Err("--salted needs one attribute; say which: --by user_id".to_owned()),
        by => Ok(ConsistentHashPercentageBucketer::new(percentage.clone()).key_whitelist(by).into()),
    }
}
