//! `flipper rollout`

use flipper::{
    AnyPercentage, Bucketer, ConsistentHashPercentageBucketer, LinearRampPercentage, PercentageBucketer,
    SaltedPercentageBucketer,
};

use crate::args::Rollout;
use crate::change::{Words, change};
use crate::describe::rollout;
use crate::failure::{Done, Failure};
use crate::names;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Rollout) -> Done {
    let (bucketer, given) = bucketer(args)?;
    let store = session.open(Purpose::Existing)?;
    for name in names::all(given)? {
        let quoted = quoted(&name);
        let words = |record: &flipper::FlagRecord| match rollout(record.bucketer()) {
            Some(share) => Words {
                done: format!("rolled {quoted} out to {share},"),
                already: format!("{quoted} is rolled out to {share} already,"),
            },
            None => Words {
                done: format!("took the rollout of {quoted} away"),
                already: format!("{quoted} has no rollout"),
            },
        };
        let mut notes = Vec::new();
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| {
            record.set_bucketer(bucketer.clone());
            notes.clear();
            if !record.is_enabled() {
                notes.push(format!("{quoted} is off, and stays so until `flipper enable {quoted}`"));
            }
            if !record.conditions().is_empty() && !args.clear {
                notes.push(format!("{quoted} has conditions: they alone decide checks that give attributes, and the rollout is not asked"));
            }
            Ok(())
        });
        if done.await? && !session.out.json() {
            notes.iter().for_each(|note| session.out.note(note));
        }
    }
    Ok(())
}

/// The bucketer to set, and the names it is for.
fn bucketer(args: &Rollout) -> Done<(Bucketer, &[String])> {
    if args.clear {
        return Ok((Bucketer::NoOp, &args.words));
    }
    let Some((last, names)) = args.words.split_last().filter(|(_, names)| !names.is_empty()) else {
        return Err(Failure::usage("the share is missing").hint("write it after the name: `flipper rollout NAME 25%`"));
    };
    let percentage: AnyPercentage = match (last.split_once(".."), args.over) {
        (Some((first, last)), Some(over)) => {
            // The percent sign at the end is enough for both.
            let first = share(if first.ends_with('%') { first.to_owned() } else { format!("{first}%") }.as_str())?;
            LinearRampPercentage::new(first, share(last)?, over).into()
        }
        (Some(_), None) => {
            return Err(
                Failure::usage("a rollout from one share to another takes time").hint("say how long: --over 2h")
            );
        }
        (None, Some(_)) => return Err(Failure::usage("--over needs two shares").hint("write 0..100% --over 2h")),
        (None, None) => share(last)?.into(),
    };
    let bucketer = match (args.random, args.salted, &args.by[..]) {
        (true, ..) => PercentageBucketer::new(percentage).into(),
        (_, true, [by]) => SaltedPercentageBucketer::new(by, percentage).into(),
        (_, true, _) => return Err(Failure::usage("--salted needs one attribute").hint("say which: --by user_id")),
        (.., by) => ConsistentHashPercentageBucketer::new(percentage).key_whitelist(by).into(),
    };
    Ok((bucketer, names))
}

/// `25%` as a share of 1.
fn share(text: &str) -> Done<f64> {
    let refuse = |what: &str| {
        Failure::usage(format!("{text:?} {what}")).hint("write it like 25% or 12.5%, and ramps like 0..100%")
    };
    let Some(number) = text.trim().strip_suffix('%') else { return Err(refuse("is no percentage")) };
    match number.trim().parse::<f64>() {
        // By way of the text, so that 7% is 0.07 and not 0.07000000000000001.
        Ok(percent) if (0.0..=100.0).contains(&percent) => {
            Ok(format!("{:.8}", percent / 100.0).parse().unwrap_or(percent / 100.0))
        }
        Ok(_) => Err(refuse("is not between 0% and 100%")),
        Err(_) => Err(refuse("is no percentage")),
    }
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares() {
        assert_eq!(["0%", "7%", "12.5 %", "100%"].map(|text| share(text).unwrap()), [0.0, 0.07, 0.125, 1.0]);
        for text in ["25", "0.25", "101%", "-1%", "NaN%", "x%", "%", ""] {
            assert!(share(text).is_err(), "{text}");
        }
    }
}
