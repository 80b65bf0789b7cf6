//! `flipper evaluate`

use flipper::context::Attributes;
use flipper::evaluation::Reason;
use flipper::json::{Json, Object};
use flipper::{Bucketer, Condition, Context, FlagRecord};

use super::check::{evaluate, or_attribute, state, to_json};
use crate::args::Check;
use crate::caller::{Caller, warning};
use crate::describe::rollout;
use crate::failure::Done;
use crate::missing::{Missing, missing};
use crate::names;
use crate::output::{FAINT, OFF, ON, STRONG, styled};
use crate::session::Session;
use crate::store::Purpose;
use crate::text::{plain, quoted, value};

pub(crate) async fn run(session: &mut Session, args: &Check) -> Done {
    let (given, caller) = Caller::read(args)?;
    let (keys, context) = (caller.keys(), caller.context());
    let types = caller.types().map(|types| format!(" ({types})")).unwrap_or_default();
    let store = session.open(Purpose::Existing)?;
    let mut is_first = true;
    let show = async |session: &mut Session, name: &str| {
        let is_first = std::mem::take(&mut is_first);
        let record = store.record(name).await.map_err(|failure| or_attribute(failure, is_first, name))?;
        let evaluation = evaluate(name, &record, &context).await?;
        let missing = missing(&record, &evaluation, &keys);
        let mut steps = steps(name, &record, &context, &missing).await?;
        if let (Some(last), true) =
            (steps.last_mut(), evaluation.bucket.as_ref().is_some_and(|bucket| bucket.is_shared))
        {
            last.details
                .push("all callers that give nothing to hash have this score, and are switched together".to_owned());
        }
        let turning = caller.turning(name, &record, evaluation.is_enabled).await?;
        let out = &mut session.out;
        if out.json() {
            let mut object = to_json(name, &evaluation, &missing, &turning);
            object.insert("steps", steps.iter().map(Step::to_json).collect::<Vec<_>>());
            return out.value(object);
        }
        out.line(format_args!("{} for {}{types}", styled(STRONG, quoted(name)), caller.text()))?;
        for (number, step) in steps.iter().enumerate() {
            out.line(format_args!("  {}. {} {}", number + 1, step.what, step.outcome))?;
            for detail in &step.details {
                out.line(format_args!("       {detail}"))?;
            }
        }
        out.line(format_args!("  so it is {}: {}", state(evaluation.is_enabled), evaluation.reason))?;
        turning.iter().for_each(|attribute| out.note(warning(attribute, evaluation.is_enabled)));
        Ok(())
    };
    session.each(names::all(given)?, show).await
}

/// One step of the evaluation.
struct Step {
    what: &'static str,
    outcome: String,
    details: Vec<String>,
}

impl Step {
    fn new(what: &'static str, outcome: impl Into<String>) -> Self {
        Self { what, outcome: outcome.into(), details: Vec::new() }
    }

    fn to_json(&self) -> Json {
        let mut object = Object::new();
        object.insert("step", self.what);
        object.insert("outcome", unstyled(&self.outcome));
        let details = self.details.iter().map(|detail| unstyled(detail)).collect::<Vec<_>>();
        object.insert("details", details);
        object.into()
    }
}

fn unstyled(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

async fn steps(name: &str, record: &FlagRecord, context: &Context, missing: &[Missing<'_>]) -> Done<Vec<Step>> {
    let mut steps = vec![Step::new(
        "is it enabled?",
        if record.is_enabled() { "yes, so on to the next step" } else { "no, and that decides: off" },
    )];
    let mut decided = !record.is_enabled();
    let mut denied = Step::new("does a deny condition hold?", "it has none");
    if !record.deny_conditions().is_empty() {
        denied.outcome = outcome(&mut decided, !context.is_empty(), async || {
            // With all else taken away, the reason tells.
            let mut alone = record.clone();
            alone.set_conditions(Vec::new());
            alone.set_bucketer(Bucketer::NoOp);
            Ok(match evaluate(name, &alone, context).await? {
                evaluation if evaluation.is_enabled => None,
                evaluation => Some(format!("yes, and that decides: off, since {}", evaluation.reason)),
            })
        })
        .await?
        .unwrap_or_else(|| "no, so on to the next step".to_owned());
        denied.details = record.deny_conditions().iter().map(ToString::to_string).collect();
    }
    steps.push(denied);

    let strict = record.is_strict();
    let mut conditions = Step::new("do all conditions hold?", "it has none");
    if !record.conditions().is_empty() {
        let mut all = true;
        for condition in record.conditions() {
            for (variable, operator, right) in condition.checks() {
                let single = Condition::new().with(variable, operator, right);
                let (detail, holds) = check(name, &single, variable, context, strict).await?;
                let question = missing.iter().find(|missing| missing.name == variable).and_then(Missing::question);
                conditions.details.push(question.into_iter().fold(detail, |detail, more| format!("{detail}; {more}")));
                all &= holds;
            }
        }
        conditions.outcome = outcome(&mut decided, strict || !context.is_empty(), async || {
            let answer =
                if all { "yes, and that decides: on; a rollout is not asked" } else { "no, and that decides: off" };
            Ok(Some(answer.to_owned()))
        })
        .await?
        .unwrap_or_default();
    }
    steps.push(conditions);

    let mut share = Step::new("is the caller within the rollout?", "it has none");
    if let Some(text) = rollout(record.bucketer()) {
        share.outcome = if decided { "not asked".to_owned() } else { "that decides".to_owned() };
        share.details.push(text);
        let keys: Vec<&str> = match record.bucketer() {
            Bucketer::ConsistentHash(hash) => hash.keys().collect(),
            Bucketer::Salted(salted) => vec![salted.bucket_by()],
            _ => Vec::new(),
        };
        for missing in missing.iter().filter(|missing| keys.contains(&missing.name)) {
            let question = missing.question().map(|question| format!("; {question}")).unwrap_or_default();
            share.details.push(format!("{} is not given{question}", plain(missing.name)));
        }
        if let Bucketer::ConsistentHash(hash) = record.bucketer() {
            share.details.push(format!(
                "{} hashes to the score {}, which must not be above the share",
                plain(&hash.hash_input(context)),
                hash.score(context)
            ));
        }
    } else if !decided {
        share.outcome = "it has none, so it is on".to_owned();
    }
    steps.push(share);
    Ok(steps)
}

/// What a step about attributes comes to.
async fn outcome(
    decided: &mut bool,
    has_attributes: bool,
    ask: impl AsyncFnOnce() -> Done<Option<String>>,
) -> Done<Option<String>> {
    if *decided {
        return Ok(Some("not asked".to_owned()));
    }
    if !has_attributes {
        return Ok(Some("not asked, since the check gives no attributes".to_owned()));
    }
    let answer = ask().await?;
    *decided = answer.is_some();
    Ok(answer)
}

async fn check(
    name: &str,
    single: &Condition,
    variable: &str,
    context: &Context,
    strict: bool,
) -> Done<(String, bool)> {
    let given = (0..context.len()).map(|index| context.attribute(index)).find(|(key, _)| *key == variable);
    let Some((_, given)) = given else {
        let says = match strict {
            true => styled(OFF, "not given, and so it does not hold"),
            false => styled(FAINT, "not given, and so not looked at"),
        };
        return Ok((format!("{single}: {says}"), !strict));
    };
    let given = match given {
        flipper::context::Value::Json(json) => value(json),
        other => format!("{other:?}"),
    };
    let mut alone = FlagRecord::new(name, 0);
    alone.set_enabled(true);
    alone.add_condition(single.clone());
    let evaluation = evaluate(name, &alone, context).await?;
    let says = match evaluation.reason {
        _ if evaluation.is_enabled => styled(ON, "holds"),
        Reason::TypeMismatch { actual, expected, .. } => {
            styled(OFF, format_args!("does not hold: {actual} cannot be compared with {expected}"))
        }
        _ => styled(OFF, "does not hold"),
    };
    Ok((format!("{single}: {given} {says}"), evaluation.is_enabled))
}
