//! `flipper check`

use flipper::evaluation::Evaluation;
use flipper::json::{Json, Object};
use flipper::store::Precondition;
use flipper::{Context, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};

use crate::args::Check;
use crate::caller::{Attribute, Caller, warning};
use crate::failure::{Code, Done, Failure};
use crate::missing::{Missing, missing, note};
use crate::names;
use crate::output::{OFF, ON, styled};
use crate::records::named;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Check) -> Done {
    let (given, caller) = Caller::read(args)?;
    let (keys, context) = (caller.keys(), caller.context());
    let types = caller.types().map(|types| format!(" ({types})")).unwrap_or_default();
    let store = session.open(Purpose::Existing)?;
    let mut is_first = true;
    let check = async |session: &mut Session, name: &str| {
        let is_first = std::mem::take(&mut is_first);
        let record = store.record(name).await.map_err(|failure| or_attribute(failure, is_first, name))?;
        let evaluation = evaluate(name, &record, &context).await?;
        if !evaluation.is_enabled {
            session.exit_with(Code::Off);
        }
        let missing = missing(&record, &evaluation, &keys);
        let turning = caller.turning(name, &record, evaluation.is_enabled).await?;
        if session.out.json() {
            return session.out.value(to_json(name, &evaluation, &missing, &turning));
        }
        let state = state(evaluation.is_enabled);
        session.out.line(format_args!("{} is {state}: {}{types}", quoted(name), evaluation.reason))?;
        turning.iter().for_each(|attribute| session.out.note(warning(attribute, evaluation.is_enabled)));
        if let Some(note) = note(name, &missing).filter(|_| record.is_enabled()) {
            session.out.note(note);
        }
        Ok(())
    };
    session.each(names::all(given)?, check).await
}

/// An attribute without a value looks like one more flag.
pub(crate) fn or_attribute(failure: Failure, is_first: bool, name: &str) -> Failure {
    match failure.code {
        Code::NoSuchFlag if !is_first => failure.hint(format!("if it is an attribute, write {name}=VALUE")),
        _ => failure,
    }
}

pub(crate) fn state(enabled: bool) -> String {
    if enabled { styled(ON, "on") } else { styled(OFF, "off") }
}

pub(crate) fn to_json(
    name: &str,
    evaluation: &Evaluation,
    missing: &[Missing<'_>],
    turning: &[&Attribute<'_>],
) -> Object {
    let mut object = Object::new();
    object.insert("name", name);
    object.insert("enabled", evaluation.is_enabled);
    object.insert("rule", evaluation.reason.code());
    object.insert("reason", evaluation.reason.to_string());
    let bucket = evaluation.bucket.as_ref().map(|bucket| {
        let mut object = Object::new();
        object.insert("score", Json::try_from(bucket.score).unwrap_or_default());
        object.insert("percentage", bucket.percentage.clone());
        Json::from(object)
    });
    object.insert("bucket", bucket.unwrap_or_default());
    object.insert("not_given", missing.iter().map(|missing| Json::from(missing.name)).collect::<Vec<_>>());
    let turning: Vec<_> = turning.iter().map(|attribute| Json::from(attribute.key)).collect();
    object.insert("type_decides", turning);
    object
}

/// The check of a record, as a program makes it.
pub(crate) async fn evaluate(name: &str, record: &FlagRecord, context: &Context) -> Done<Evaluation> {
    let store = MemoryFeatureFlagStore::new();
    store.put(&named(record, name), Precondition::Any).await.map_err(|error| Failure::of(&error, "memory"))?;
    Ok(FeatureFlagClient::new(store).evaluate(name, context))
}
