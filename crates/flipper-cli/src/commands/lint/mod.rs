mod targeting;

use std::time::SystemTime;

use clap::ValueEnum;
use flipper::__words::{is_on_now, lost_in_paths};
use flipper::client_data::{EXPIRES, OWNER, expires};
use flipper::json::{Json, Object};
use flipper::store::Stored;
use flipper::{Error, FlagRecord};

use self::targeting::Known;
use crate::args::{Lint, Rule};
use crate::failure::{Code, Done, Failure, message_of};
use crate::output::{NOTE, object};
use crate::session::Session;
use crate::settled::Pasts;
use crate::store::{Purpose, is_segment};
use crate::table::{self, Cell};
use crate::text::{age, count, now, plain, value};

struct Finding<'a> {
    flag: &'a str,
    rule: Rule,
    text: String,
}

pub(crate) async fn run(session: &mut Session, args: &Lint) -> Done {
    let rules = rules(args)?;
    let store = session.open(Purpose::Existing)?;
    let pasts = if rules.contains(&Rule::LongOn) { Pasts::read(&store).await? } else { Pasts::default() };
    let all = store.list().await?;
    let known = Known::of(&all);
    let flags = all.iter().filter(|flag| !is_segment(flag)).count();
    let looked_at = match all.len() - flags {
        0 => count(flags, "flag"),
        segments => format!("{} and {}", count(flags, "flag"), count(segments, "segment")),
    };
    let mut findings = Vec::new();
    for flag in &all {
        match &flag.record {
            Ok(record) => {
                for rule in &rules {
                    let found = look(*rule, args, &pasts, flag, record).filter(|_| record.segment().is_none());
                    let found = found.into_iter().chain(known.look(*rule, &flag.name, record));
                    findings.extend(found.map(|text| Finding { flag: &flag.name, rule: *rule, text }));
                }
            }
            Err(why) => {
                session.go_on_after(store.failure(&Error::from(why.clone()).with_flag(&flag.name)))?;
            }
        }
    }
    if !findings.is_empty() {
        session.exit_with(Code::Off);
    }
    if session.out.json() {
        let findings: Vec<_> = findings.iter().map(to_json).collect();
        return session.out.value(object([
            ("store", store.shown.as_str().into()),
            ("flags", flags.into()),
            ("findings", findings.into()),
        ]));
    }
    if findings.is_empty() {
        session.out.message(format_args!("nothing was found in {looked_at}"));
        return Ok(());
    }
    let rows: Vec<_> = findings.iter().map(row).collect();
    table::write(&mut session.out, ["NAME", "RULE", "FINDING"], &rows)?;
    let mut names: Vec<_> = findings.iter().map(|finding| finding.flag).collect();
    names.dedup();
    let found = count(findings.len(), "finding");
    session.out.message(format_args!("{found}, in {} of {looked_at}", names.len()));
    Ok(())
}

fn rules(args: &Lint) -> Done<Vec<Rule>> {
    let has_pattern = args.name_pattern.is_some();
    if args.rule.contains(&Rule::Name) && !has_pattern {
        return Err(Failure::usage("the rule `name` needs --name-pattern"));
    }
    let is_used = |rule: &Rule| {
        (args.rule.is_empty() || args.rule.contains(rule))
            && !args.skip.contains(rule)
            && (*rule != Rule::Name || has_pattern)
    };
    Ok(Rule::value_variants().iter().copied().filter(is_used).collect())
}

/// What is wrong with the flag.
fn look(rule: Rule, args: &Lint, pasts: &Pasts, flag: &Stored, record: &FlagRecord) -> Option<String> {
    match rule {
        Rule::Owner => match record.client_data().get(OWNER) {
            None | Some(Json::Null) => Some("it has no owner".to_owned()),
            Some(Json::String(text)) if text.trim().is_empty() => Some("its owner is empty".to_owned()),
            Some(Json::String(_)) => None,
            Some(other) => Some(format!("its owner is no text: {}", value(other))),
        },
        Rule::Expiry => match expires(record) {
            Ok(Some(end)) if end <= SystemTime::now() => {
                let day = record.client_data().get(EXPIRES).and_then(Json::as_str).unwrap_or_default();
                Some(format!("its last day was {day}"))
            }
            Ok(_) => None,
            Err(error) => Some(message_of(&error)),
        },
        Rule::LongOn => {
            let oldest = now().saturating_sub(i64::try_from(args.on_for.as_secs()).unwrap_or(i64::MAX));
            let since = pasts.since(flag).filter(|since| is_on_now(record) && since.at <= oldest)?;
            Some(format!("on for all callers for {}, known from its {}", age(since.at), since.known_from))
        }
        Rule::Name => {
            let pattern = args.name_pattern.as_ref().filter(|pattern| !pattern.is_match(&flag.name))?;
            // As it was given.
            let given = pattern.as_str().trim_start_matches(r"\A(?:").trim_end_matches(r")\z");
            Some(format!("its name does not match {}", plain(given)))
        }
        Rule::Ofrep => lost_in_paths(&flag.name),
        Rule::Missing | Rule::Circle | Rule::Variant | Rule::Unreachable | Rule::Schedule => None,
    }
}

fn row(finding: &Finding<'_>) -> [Cell; 3] {
    [Cell::new(plain(finding.flag)), Cell::styled(finding.rule.code(), NOTE), Cell::new(plain(&finding.text))]
}

fn to_json(finding: &Finding<'_>) -> Object {
    object([
        ("name", finding.flag.into()),
        ("rule", finding.rule.code().into()),
        ("text", finding.text.as_str().into()),
    ])
}
