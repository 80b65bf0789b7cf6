//! A sequence of client operations, with the events and the stored text after each.

use std::sync::{Arc, Mutex};

use flipper::evaluation::Reason;
use flipper::events::{Subscriber, Verb, WriteEvent};
use flipper::json::{Json, Object};
use flipper::store::Precondition;
use flipper::{
    Bucketer, Condition, Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore,
};
use futures_executor::block_on;

use crate::evaluations::{At, context};
use crate::{Difference, field, same, sorted_whitelists, with_sorted_whitelist};

/// What an operation gave: its value, or the name of Python's error.
type Outcome = Result<Json, String>;

pub(crate) fn run(case: &Object) -> Result<(), Difference> {
    let now = At(field(case, "now")?.as_f64().ok_or("`now` is no number")?);
    let store = MemoryFeatureFlagStore::new();
    let features = FeatureFlagClient::builder().clock(now).random(now).build(store.clone());
    let events = Events::default();
    let _subscription = features.subscribe(events.clone());

    for (number, step) in field(case, "steps")?.as_array().ok_or("`steps` is no array")?.iter().enumerate() {
        let step = step.as_object().ok_or("a step is no object")?;
        run_step(step, now, &store, &features, &events).map_err(|difference| {
            let op = step.get("op").and_then(Json::as_str).unwrap_or("?");
            format!("step {}, {op}: {difference}", number + 1)
        })?;
    }
    Ok(())
}

fn run_step(
    step: &Object,
    now: At,
    store: &MemoryFeatureFlagStore,
    features: &FeatureFlagClient,
    events: &Events,
) -> Result<(), Difference> {
    let expect = field(step, "expect")?.as_object().ok_or("`expect` is no object")?;
    let name = field(step, "name")?.as_str().ok_or("`name` is no string")?;
    let outcome = match operate(step, name, now, store, features) {
        Ok(outcome) => outcome,
        Err(Failure::Case(difference)) => return Err(difference),
        Err(Failure::Flipper(error)) => Err(python_error(&error)?.to_owned()),
    };
    let expected: Outcome = match expect.get("error") {
        Some(error) => Err(error.as_str().unwrap_or_default().to_owned()),
        None => Ok(sorted_whitelists(field(expect, "result")?)),
    };
    same("outcome", &text(&expected), &text(&outcome.map(|result| sorted_whitelists(&result))))?;

    let expected = field(expect, "events")?.as_array().ok_or("`events` is no array")?;
    let ours = std::mem::take(&mut *events.0.lock().map_err(|_| "a subscriber panicked")?);
    same("number of events", &expected.len(), &ours.len())?;
    for (expected, ours) in expected.iter().zip(&ours) {
        same("event", &event_text(expected), &event_text(ours))?;
    }

    let ours = features.record(name).map_or("null".to_owned(), |record| with_sorted_whitelist(&record.to_json()));
    let expected = field(expect, "stored")?.as_str().map_or("null".to_owned(), with_sorted_whitelist);
    same("stored", &expected, &ours)
}

enum Failure {
    /// The case cannot be run.
    Case(Difference),
    Flipper(Error),
}

impl From<Difference> for Failure {
    fn from(difference: Difference) -> Self {
        Self::Case(difference)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Flipper(error)
    }
}

fn operate(
    step: &Object,
    name: &str,
    now: At,
    store: &MemoryFeatureFlagStore,
    features: &FeatureFlagClient,
) -> Result<Outcome, Failure> {
    let done = |()| Ok(Json::Null);
    Ok(match field(step, "op")?.as_str().unwrap_or_default() {
        "create" => {
            let mut create = features.create(name).replace();
            create = create.enabled(step.get("is_enabled").and_then(Json::as_bool).unwrap_or(false));
            if let Some(data) = step.get("client_data").filter(|data| !data.is_null()) {
                create = create.client_data(data);
            }
            Ok(block_on(create.into_future())?.name().into())
        }
        "enable" => done(block_on(features.enable(name))?),
        "disable" => done(block_on(features.disable(name))?),
        "destroy" => done(block_on(features.destroy(name))?),
        "exists" => Ok(features.exists(name).into()),
        "get_meta" => Ok(features.meta(name)?),
        "get_client_data" => Ok(features.client_data(name)?),
        "set_client_data" => done(block_on(features.set_client_data(name, field(step, "client_data")?))?),
        "add_condition" => done(block_on(features.add_condition(name, condition(field(step, "condition")?)?))?),
        "set_conditions" => {
            let conditions = field(step, "conditions")?.as_array().ok_or("`conditions` is no array".to_owned())?;
            let conditions = conditions.iter().map(condition).collect::<Result<Vec<_>, _>>()?;
            done(block_on(features.set_conditions(name, conditions))?)
        }
        "set_bucketer" => done(block_on(features.set_bucketer(name, Bucketer::from_json(field(step, "bucketer")?)?))?),
        "store_set" => {
            let mut record = match features.record(name) {
                Ok(record) => FlagRecord::clone(&record),
                Err(_) => FlagRecord::new(name, now.0 as i64),
            };
            record.set_enabled(field(step, "value")?.as_bool().ok_or("`value` is no bool".to_owned())?);
            block_on(store.put(&record, Precondition::Any.into()))?;
            Ok(Json::Null)
        }
        "list_sorted" => {
            let limit = step.get("limit").and_then(Json::as_i64).and_then(|limit| usize::try_from(limit).ok());
            let offset = step.get("offset").and_then(Json::as_i64).and_then(|offset| usize::try_from(offset).ok());
            let flags = features.list();
            let page = flags.iter().skip(offset.unwrap_or(0)).take(limit.unwrap_or(usize::MAX));
            Ok(Json::Array(page.map(|flag| flag.name().into()).collect()))
        }
        "is_enabled" => {
            let evaluation = features.evaluate(name, &context(field(step, "kwargs")?)?);
            let default = step.get("default").and_then(Json::as_bool).unwrap_or(false);
            match evaluation.reason {
                Reason::TypeMismatch { .. } => Err("TypeError".to_owned()),
                Reason::NoSuchFlag | Reason::Corrupt => Ok(default.into()),
                _ => Ok(evaluation.is_enabled.into()),
            }
        }
        other => return Err(Failure::Case(format!("unknown operation {other:?}"))),
    })
}

fn condition(kwargs: &Json) -> Result<Condition, Failure> {
    let kwargs = kwargs.as_object().ok_or("a condition is no object".to_owned())?;
    Ok(Condition::parse_all(kwargs)?)
}

fn python_error(error: &Error) -> Result<&'static str, Difference> {
    match error.kind() {
        ErrorKind::FlagNotFound => Ok("FlagDoesNotExistError"),
        ErrorKind::InvalidInput => Ok("InvalidSymbolError"),
        _ => Err(format!("an error that Python does not have: {error}")),
    }
}

fn text(outcome: &Outcome) -> String {
    match outcome {
        Ok(result) => result.to_string(),
        Err(error) => error.clone(),
    }
}

/// An event as the cases have it: `[name, arguments, keyword arguments]`.
fn event_text(event: &Json) -> String {
    fn sorted(json: &Json) -> Json {
        match json {
            Json::Array(items) => Json::Array(items.iter().map(sorted).collect()),
            other => sorted_whitelists(other),
        }
    }
    sorted(event).to_string()
}

#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<Json>>>);

impl Events {
    fn note(&self, when: &str, event: &WriteEvent) {
        let mut arguments = vec![Json::from(event.name())];
        let mut keywords = Object::new();
        let verb = match event.verb() {
            Verb::Create { is_enabled, client_data } => {
                keywords.insert("is_enabled", *is_enabled);
                keywords.insert("client_data", client_data.clone().unwrap_or(Json::Null));
                "create"
            }
            Verb::Enable => "enable",
            Verb::Disable => "disable",
            Verb::Destroy => "destroy",
            Verb::SetClientData(data) => {
                arguments.push(Json::Object(data.clone()));
                "set_client_data"
            }
            Verb::AddCondition(condition) => {
                arguments.push(condition.to_json());
                "add_condition"
            }
            Verb::SetConditions(conditions) => {
                arguments.push(Json::Array(conditions.iter().map(Condition::to_json).collect()));
                "set_conditions"
            }
            Verb::SetBucketer(bucketer) => {
                arguments.push(bucketer.to_json());
                "set_bucketer"
            }
            other => unreachable!("the cases have no {other:?}"),
        };
        let event = [Json::from(format!("{when}_{verb}")), Json::Array(arguments), Json::Object(keywords)];
        if let Ok(mut events) = self.0.lock() {
            events.push(Json::Array(event.into()));
        }
    }
}

impl Subscriber for Events {
    fn pre(&self, event: &WriteEvent) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.note("pre", event);
        Ok(())
    }

    fn post(&self, event: &WriteEvent) {
        self.note("post", event);
    }
}
