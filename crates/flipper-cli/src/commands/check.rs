//! `flipper check`

use flipper::{
    Context, Evaluation, FeatureFlagClient, FeatureFlagStore, FlagRecord, Json, MemoryFeatureFlagStore, Object,
    Precondition, Reason,
};

use super::data::json_or_text;
use crate::args::Check;
use crate::failure::{Code, Done, Failure};
use crate::names;
use crate::output::{OFF, ON, styled};
use crate::records::named;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &Check) -> Done {
    let Asked { names: given, attributes } = Asked::read(args)?;
    let context: Context = attributes.into_iter().collect();
    let store = session.open(Purpose::Existing)?;
    for (place, name) in names::all(given)?.into_iter().enumerate() {
        let record = match store.record(&name).await {
            Ok(record) => record,
            Err(failure) => {
                session.go_on_after(or_attribute(failure, place, &name))?;
                continue;
            }
        };
        let evaluation = evaluate(&name, &record, &context).await?;
        if !evaluation.enabled {
            session.exit_with(Code::Off);
        }
        if session.out.json() {
            session.out.value(to_json(&name, &evaluation))?;
        } else {
            let state = state(evaluation.enabled);
            session.out.line(format_args!("{} is {state}: {}", quoted(&name), evaluation.reason))?;
        }
    }
    Ok(())
}

/// An attribute without a value looks like one more flag.
pub(crate) fn or_attribute(failure: Failure, place: usize, name: &str) -> Failure {
    match failure.code {
        Code::NoSuchFlag if place > 0 => failure.hint(format!("if it is an attribute, write {name}=VALUE")),
        _ => failure,
    }
}

pub(crate) fn state(enabled: bool) -> String {
    if enabled { styled(ON, "on") } else { styled(OFF, "off") }
}

pub(crate) fn to_json(name: &str, evaluation: &Evaluation) -> Object {
    let mut object = Object::new();
    object.insert("name", name);
    object.insert("enabled", evaluation.enabled);
    object.insert("rule", rule(&evaluation.reason));
    object.insert("reason", evaluation.reason.to_string());
    let bucket = evaluation.bucket.as_ref().map(|bucket| {
        let mut object = Object::new();
        object.insert("score", Json::try_from(bucket.score).unwrap_or_default());
        object.insert("percentage", bucket.percentage.clone());
        Json::from(object)
    });
    object.insert("bucket", bucket.unwrap_or_default());
    object
}

/// Which rule decided, for scripts; the reason's words may change.
fn rule(reason: &Reason) -> &'static str {
    match reason {
        Reason::Disabled => "disabled",
        Reason::Enabled => "enabled",
        Reason::ConditionsMet => "conditions_met",
        Reason::ConditionFailed { .. } => "condition_failed",
        Reason::Denied { .. } => "denied",
        Reason::TypeMismatch { .. } => "type_mismatch",
        Reason::Bucket { .. } => "bucket",
        Reason::Random { .. } => "random",
        Reason::NoBucketAttribute { .. } => "no_bucket_attribute",
        _ => "other",
    }
}

/// Flags, and the attributes of who asks for them.
pub(crate) struct Asked<'a> {
    pub(crate) names: &'a [String],
    pub(crate) attributes: Vec<(&'a str, Json)>,
}

impl<'a> Asked<'a> {
    pub(crate) fn read(args: &'a Check) -> Done<Self> {
        let names::Given { names, pairs } = names::and_pairs(&args.words, "attribute")?;
        Ok(Self { names, attributes: pairs.into_iter().map(|(key, value)| (key, json_or_text(value))).collect() })
    }
}

/// The check of a record, as a program makes it.
pub(crate) async fn evaluate(name: &str, record: &FlagRecord, context: &Context) -> Done<Evaluation> {
    let store = MemoryFeatureFlagStore::new();
    store.put(&named(record, name), Precondition::Any).await.map_err(|error| Failure::of(&error, "memory"))?;
    Ok(FeatureFlagClient::new(store).evaluate(name, context))
}
