use std::slice;

use flipper::__words::{self as words, brief, chosen_by, last_rule, share};
use flipper::json::{Json, Object};
use flipper::targeting::{Rule, Serve, When};
use flipper::{FlagRecord, Result};

use crate::args::{Names, RuleAdd, RuleMove, RuleRemove, Rules};
use crate::change::{Messages, change, refuse};
use crate::describe::{callers, rules};
use crate::failure::{Done, Failure};
use crate::marked;
use crate::output::{FAINT, object, or_null, styled};
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, plain, quoted};

const WHAT: &str = "write on, off, a share like 25%, or a variant after it: `flipper rule add NAME 'plan = pro' on`";
/// As a rule for everybody is shown where it has a condition.
const ALWAYS: &str = "always";

pub(crate) async fn run(session: &mut Session, args: &Rules) -> Done {
    match args {
        Rules::Add(args) => add(session, args).await,
        Rules::List(args) => list(session, args).await,
        Rules::Remove(args) => remove(session, args).await,
        Rules::Move(args) => relocate(session, args).await,
    }
}

/// What callers get, as it was written.
enum What<'a> {
    On,
    Off,
    Share(f64),
    Variant(&'a str),
}

/// Whom a rule is about, as it was written, and what they get.
fn read(args: &RuleAdd) -> Done<(Option<String>, What<'_>)> {
    let (what, when) = match (&args.variant, args.words.split_last()) {
        (Some(variant), _) => (What::Variant(variant), &args.words[..]),
        (None, Some((last, when))) => (what(last)?, when),
        (None, None) => return Err(Failure::usage("what the callers get is missing").hint(WHAT)),
    };
    let when = Some(when.join(" ")).filter(|when| !when.is_empty());
    match (when, args.everyone) {
        (Some(when), true) => {
            Err(Failure::usage(format!("the rule is about everyone, or about {:?}", plain(&when)))
                .hint("leave one out"))
        }
        (None, false) if matches!(what, What::Variant(_)) && args.variant.is_none() => {
            Err(Failure::usage("what the callers get is missing").hint(WHAT))
        }
        (None, false) => Err(Failure::usage("whom the rule is about is missing")
            .hint("write it before what they get, like 'plan = pro', or --everyone")),
        (when, _) => Ok((when.filter(|when| !when.eq_ignore_ascii_case(ALWAYS)), what)),
    }
}

fn what(word: &str) -> Done<What<'_>> {
    Ok(match word {
        "on" => What::On,
        "off" => What::Off,
        word if word.ends_with('%') => {
            What::Share(share(word).map_err(|what| Failure::usage(what).hint("write it like 25% or 12.5%"))?)
        }
        word => What::Variant(word),
    })
}

fn serve(what: &What<'_>, by: Option<&str>, record: &FlagRecord) -> Result<Serve> {
    Ok(match what {
        What::On => Serve::On,
        What::Off => Serve::Off,
        What::Share(share) => {
            let by = by.map(str::to_owned).or_else(|| chosen_by(record));
            let by = by.ok_or_else(|| {
                refuse("a share needs the attribute that identifies callers; say which: --by user_id")
            })?;
            Serve::share(*share, by)
        }
        What::Variant(name) => match record.variants() {
            Some(variants) if variants.get(name).is_some() => Serve::Variant((*name).to_owned()),
            Some(variants) => {
                let names: Vec<_> = variants.values.iter().map(|variant| plain(&variant.name)).collect();
                return Err(refuse(format!("it has no variant {name:?}; it has {}", names.join(", "))));
            }
            None => {
                return Err(refuse(format!(
                    "it has no variant {name:?}; `flipper variant set` makes variants, and on, off and shares like 25% need none"
                )));
            }
        },
    })
}

async fn add(session: &mut Session, args: &RuleAdd) -> Done {
    let (text, what) = read(args)?;
    if args.by.is_some() && !matches!(what, What::Share(_)) {
        return Err(Failure::usage("--by is for a share").hint(WHAT));
    }
    let when: Option<When> = text.as_deref().map(|text| marked::when("rule", text)).transpose()?;
    let mut is_known = false;
    let add = async |session: &mut Session, store: &Store, name: &str| {
        if let (Some(when), false) = (&when, is_known) {
            marked::must_exist(store, when).await?;
            is_known = true;
        }
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, after: &FlagRecord| added(&quoted, before, after);
        let mut notes = Vec::new();
        let edit = |record: &mut FlagRecord| {
            let rule = Rule {
                name: args.called.clone(),
                when: when.clone(),
                serve: serve(&what, args.by.as_deref(), record)?,
            };
            let mut all = record.rules().to_vec();
            notes.clear();
            let at = args.at.unwrap_or(all.len());
            if at > all.len() {
                return Err(refuse(format!("it has {}, so --at is {} at most", count(all.len(), "rule"), all.len())));
            }
            match all.iter().position(|each| *each == rule) {
                Some(place) if args.at.is_some() => stays_at(&quoted, place, at),
                Some(_) => Ok(()),
                None => {
                    all.insert(at, rule);
                    record.set_rules(all);
                    notes = notes_on(&quoted, record, at, args.write.dry_run);
                    Ok(())
                }
            }
        };
        change(session, store, name, args.write.dry_run, messages, edit).await?;
        if !session.out.json() {
            notes.iter().for_each(|note| session.out.note(note));
        }
        Ok(())
    };
    session.each_given(slice::from_ref(&args.name), add).await
}

/// Refuses a rule that the flag has, if it would have another place before the rule that is `at` now.
fn stays_at(quoted: &str, place: usize, at: usize) -> Result<()> {
    let to = if at > place { at - 1 } else { at };
    if to == place {
        return Ok(());
    }
    Err(refuse(format!("this is its rule {place} already; `flipper rule move {quoted} {place} {to}` moves it")))
}

fn added(quoted: &str, before: &FlagRecord, after: &FlagRecord) -> Messages {
    let there = before.rules().iter().zip(after.rules()).take_while(|(before, after)| before == after).count();
    let rule = rules(after).get(there).map(|rule| brief(rule)).unwrap_or_default();
    Messages {
        done: format!("{quoted} now has rule {there}, `{rule}`,"),
        already: format!("{quoted} has this rule already,"),
    }
}

/// What the command's user may not expect of a rule that was added here, or in a dry run would be.
fn notes_on(quoted: &str, record: &FlagRecord, at: usize, dry_run: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !record.is_enabled() {
        notes.push(format!("{quoted} is off, and stays so until `flipper enable {quoted}`"));
    }
    match last_rule(record) {
        Some(last) if last < at && dry_run => {
            notes.push(format!("rule {last} is for everybody, so rule {at} would never be asked; --at {last} puts it before"));
        }
        Some(last) if last < at => notes.push(format!(
            "rule {last} is for everybody, so rule {at} is never asked; `flipper rule move {quoted} {at} {last}` puts it before"
        )),
        Some(last) if last == at && at + 1 < record.rules().len() => {
            notes.push(rest_is_not_asked(at, dry_run));
        }
        _ => {}
    }
    notes
}

fn rest_is_not_asked(last: usize, dry_run: bool) -> String {
    match dry_run {
        true => format!("rule {last} would be for everybody, and the rules after it never asked"),
        false => format!("rule {last} is for everybody, so the rules after it are never asked"),
    }
}

async fn list(session: &mut Session, args: &Names) -> Done {
    let list = async |session: &mut Session, store: &Store, name: &str| {
        let record = store.record(name).await?;
        for (index, text) in rules(&record).iter().enumerate() {
            match session.out.json() {
                true => session.out.value(to_json(name, index, &record.rules()[index]))?,
                false => session.out.line(format_args!("{}  {}", styled(FAINT, index), brief(text)))?,
            }
        }
        if !session.out.json() && !record.rules().is_empty() && last_rule(&record).is_none() {
            let rest = callers(&record).unwrap_or_else(|| "on for everybody".to_owned());
            session.out.note(format_args!("where none of them holds: {rest}"));
        }
        Ok(())
    };
    session.each_given(&args.names, list).await
}

fn to_json(flag: &str, index: usize, rule: &Rule) -> Object {
    let stored = rule.to_json();
    let part = |key: &str| stored.get(key).cloned().unwrap_or(Json::Null);
    object([
        ("flag", flag.into()),
        ("index", index.into()),
        ("name", or_null(rule.name.as_deref())),
        ("when", part("when")),
        ("serve", part("serve")),
        ("text", words::rule(rule).into()),
    ])
}

fn no_rule(record: &FlagRecord, index: usize) -> flipper::Error {
    refuse(match record.rules().len() {
        0 => format!("it has no rule {index}: it has no rules"),
        1 => format!("it has no rule {index}: it has rule 0 alone"),
        rules => format!("it has no rule {index}: it has rules 0 to {}", rules - 1),
    })
}

async fn remove(session: &mut Session, args: &RuleRemove) -> Done {
    let remove = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, _: &FlagRecord| {
            let what = match args.index.and_then(|index| rules(before).into_iter().nth(index)) {
                Some(rule) => format!("`{}`", brief(&rule)),
                None => count(before.rules().len(), "rule"),
            };
            Messages { done: format!("removed {what} of {quoted}"), already: format!("{quoted} has no rules") }
        };
        let edit = |record: &mut FlagRecord| {
            let mut all = record.rules().to_vec();
            match args.index {
                Some(index) if index >= all.len() => return Err(no_rule(record, index)),
                Some(index) => drop(all.remove(index)),
                None => all.clear(),
            }
            record.set_rules(all);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(slice::from_ref(&args.name), remove).await
}

async fn relocate(session: &mut Session, args: &RuleMove) -> Done {
    let &RuleMove { from, to, .. } = args;
    let relocate = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |_: &FlagRecord, after: &FlagRecord| {
            let rule = rules(after).get(to).map(|rule| brief(rule)).unwrap_or_default();
            Messages {
                done: format!("rule {from} of {quoted} is now rule {to}, `{rule}`,"),
                already: format!("rule {to} of {quoted} is `{rule}` already,"),
            }
        };
        let mut note = None;
        let edit = |record: &mut FlagRecord| {
            let mut all = record.rules().to_vec();
            let missing = [from, to].into_iter().find(|index| *index >= all.len());
            if let Some(index) = missing {
                return Err(no_rule(record, index));
            }
            let rule = all.remove(from);
            all.insert(to, rule);
            record.set_rules(all);
            let after = |last: &usize| last + 1 < record.rules().len();
            note = last_rule(record).filter(after);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await?;
        if let Some(last) = note.filter(|_| !session.out.json()) {
            session.out.note(rest_is_not_asked(last, args.write.dry_run));
        }
        Ok(())
    };
    session.each_given(slice::from_ref(&args.name), relocate).await
}
