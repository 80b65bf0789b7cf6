mod extra;

use flipper::context::Attributes;
use flipper::evaluation::Reason;
use flipper::json::Object;
use flipper::{Bucketer, Condition, Context, FlagRecord};

use super::check::{Checked, each, state};
use crate::args::Check;
use crate::describe::{hashed, rollout};
use crate::failure::Done;
use crate::linked::Links;
use crate::missing::Missing;
use crate::output::{FAINT, OFF, ON, STRONG, object, styled};
use crate::session::Session;
use crate::text::{plain, quoted, value};

pub(crate) async fn run(session: &mut Session, args: &Check) -> Done {
    let show = async |session: &mut Session, checked: &Checked<'_>| {
        let Checked { name, caller, evaluation, .. } = checked;
        let steps = steps(checked).await?;
        let out = &mut session.out;
        if out.json() {
            let mut object = checked.to_json();
            object.insert("steps", steps.iter().map(Step::to_json).collect::<Vec<_>>());
            return out.value(object);
        }
        out.line(format_args!("{} for {}{}", styled(STRONG, quoted(name)), caller.text(), caller.types()))?;
        for (number, step) in steps.iter().enumerate() {
            out.line(format_args!("  {}. {} {}", number + 1, step.what, step.outcome))?;
            for detail in &step.details {
                out.line(format_args!("       {detail}"))?;
            }
        }
        out.line(format_args!("  so it is {}: {}", state(evaluation.is_enabled), checked.reason()))?;
        checked.warn(out);
        Ok(())
    };
    each(session, args, show).await
}

struct Step {
    what: &'static str,
    outcome: String,
    details: Vec<String>,
}

impl Step {
    fn new(what: &'static str, outcome: impl Into<String>) -> Self {
        Self { what, outcome: outcome.into(), details: Vec::new() }
    }

    fn to_json(&self) -> Object {
        let details: Vec<_> = self.details.iter().map(|detail| unstyled(detail)).collect();
        object([("step", self.what.into()), ("outcome", unstyled(&self.outcome).into()), ("details", details.into())])
    }
}

fn unstyled(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

async fn steps(checked: &Checked<'_>) -> Done<Vec<Step>> {
    let &Checked { name, ref record, context, .. } = checked;
    let missing = checked.missing();
    let mut steps = vec![Step::new(
        "is it enabled?",
        if record.is_enabled() { "yes, so on to the next step" } else { "no, and that decides: off" },
    )];
    let mut decided = !record.is_enabled();
    steps.extend(extra::schedule(record, &mut decided));
    if let Some(step) = extra::prerequisites(checked, &mut decided).await? {
        steps.push(step);
    }
    let mut denied = Step::new("does a deny condition hold?", "it has none");
    if !record.deny_conditions().is_empty() {
        denied.details = record.deny_conditions().iter().map(ToString::to_string).collect();
        denied.outcome = if let Some(skipped) = skipped(decided, !context.is_empty()) {
            skipped
        } else {
            // Only deny conditions are left, so one of them is the reason.
            let mut alone = FlagRecord::clone(record);
            alone.set_conditions(Vec::new());
            alone.set_bucketer(Bucketer::NoOp);
            alone.set_rules(Vec::new());
            alone.set_prerequisites(Vec::new());
            alone.set_schedule(None);
            let evaluation = Links::default().evaluate(name, &alone, context).await?;
            decided = !evaluation.is_enabled;
            match decided {
                true => format!("yes, and that decides: off, since {}", evaluation.reason),
                false => "no, so on to the next step".to_owned(),
            }
        };
    }
    steps.push(denied);
    steps.extend(extra::rules(checked, &mut decided));

    let strict = record.is_strict();
    let mut conditions = Step::new("do all conditions hold?", "it has none");
    if !record.conditions().is_empty() {
        let mut all = true;
        for (variable, operator, right) in record.conditions().iter().flat_map(Condition::checks) {
            let single = Condition::new().with(variable, operator, right);
            let (detail, holds) = check(name, &single, variable, context, strict).await?;
            let question = missing.iter().find(|missing| missing.name == variable).and_then(Missing::question);
            conditions.details.push(question.into_iter().fold(detail, |detail, more| format!("{detail}; {more}")));
            all &= holds;
        }
        conditions.outcome = skipped(decided, strict || !context.is_empty()).unwrap_or_else(|| {
            decided = true;
            let answer =
                if all { "yes, and that decides: on; a rollout is not asked" } else { "no, and that decides: off" };
            answer.to_owned()
        });
    }
    steps.push(conditions);

    let mut share = Step::new("is the caller within the rollout?", "it has none");
    if let Some(step) = extra::share(checked, decided) {
        share = step;
    } else if let Some(text) = rollout(record.bucketer()) {
        share.outcome = if decided { "not asked".to_owned() } else { "that decides".to_owned() };
        share.details.push(text);
        let keys = hashed(record.bucketer());
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
        if checked.evaluation.bucket.as_ref().is_some_and(|bucket| bucket.is_shared) {
            let detail = "all callers that give nothing to hash have this score, and are switched together";
            share.details.push(detail.to_owned());
        }
    } else if !decided {
        share.outcome = "it has none, so it is on".to_owned();
    }
    steps.push(share);
    steps.extend(extra::variant(checked));
    Ok(steps)
}

/// Why a step that needs attributes is not asked, if so.
fn skipped(decided: bool, has_attributes: bool) -> Option<String> {
    match (decided, has_attributes) {
        (true, _) => Some("not asked".to_owned()),
        (false, false) => Some("not asked, since the check gives no attributes".to_owned()),
        (false, true) => None,
    }
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
    let given = value(&given.to_json());
    let mut alone = FlagRecord::new(name, 0);
    alone.set_enabled(true);
    alone.add_condition(single.clone());
    let evaluation = Links::default().evaluate(name, &alone, context).await?;
    let says = match evaluation.reason {
        _ if evaluation.is_enabled => styled(ON, "holds"),
        Reason::TypeMismatch { actual, expected, .. } => {
            styled(OFF, format_args!("does not hold: {actual} cannot be compared with {expected}"))
        }
        _ => styled(OFF, "does not hold"),
    };
    Ok((format!("{single}: {given} {says}"), evaluation.is_enabled))
}
