//! Rules, variants, prerequisites and schedules in requests and answers: as they are stored, and a rule's `when` also as text.

use flipper::json::{Json, Object};
use flipper::targeting::{Prerequisite, Rule, Schedule, Variants, When};
use flipper::{Error, FlagRecord};

use super::input::Fields;
use super::output::valid;
use crate::problem::Problem;

pub(super) fn rules(fields: &Fields<'_>) -> Result<Option<Vec<Rule>>, Problem> {
    let Some(given) = fields.array("rules")? else { return Ok(None) };
    let read = |(index, json)| rule(json).map_err(|error| fields.wrong_at("rules", index, &error));
    given.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
}

fn rule(json: &Json) -> Result<Rule, Error> {
    let text = json.as_object().and_then(|fields| fields.get("when")).and_then(Json::as_str);
    let Some(text) = text else { return Rule::from_json(json) };
    let when: When = text.parse()?;
    let rest = json.as_object().into_iter().flat_map(Object::iter).filter(|(name, _)| *name != "when");
    let rest: Object = rest.map(|(name, value)| (name, value.clone())).collect();
    Ok(Rule::from_json(&rest.into())?.when(when))
}

/// As it is stored, or as text: `plan = pro and country in de, fr`.
pub(super) fn when(fields: &Fields<'_>) -> Result<When, Problem> {
    let given = fields.get("when").ok_or_else(|| fields.missing("when"))?;
    let read = match given.as_str() {
        Some(text) => text.parse::<When>().map_err(Error::from),
        None => When::from_json(given),
    };
    read.map_err(|error| fields.wrong("when", &error))
}

/// `Some(None)`: a null, which removes them.
pub(super) fn variants(fields: &Fields<'_>) -> Result<Option<Option<Variants>>, Problem> {
    or_null(fields, "variants", Variants::from_json)
}

pub(super) fn schedule(fields: &Fields<'_>) -> Result<Option<Option<Schedule>>, Problem> {
    or_null(fields, "schedule", Schedule::from_json)
}

fn or_null<T>(
    fields: &Fields<'_>,
    name: &str,
    read: impl Fn(&Json) -> Result<T, Error>,
) -> Result<Option<Option<T>>, Problem> {
    match fields.get(name) {
        None => Ok(None),
        Some(Json::Null) => Ok(Some(None)),
        Some(json) => read(json).map(|read| Some(Some(read))).map_err(|error| fields.wrong(name, &error)),
    }
}

pub(super) fn prerequisites(fields: &Fields<'_>) -> Result<Option<Vec<Prerequisite>>, Problem> {
    let Some(given) = fields.array("prerequisites")? else { return Ok(None) };
    let read = |(index, json): (usize, &Json)| {
        let fields = Fields::of(json, format!("prerequisite {index}"), &["flag", "variant"])?;
        let wanted = Prerequisite::new(fields.required_text("flag")?);
        Ok(match fields.get("variant") {
            None | Some(Json::Null) => wanted,
            Some(_) => wanted.with_variant(fields.required_text("variant")?),
        })
    };
    given.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
}

/// The fields of an answer.
pub(super) fn show(record: &FlagRecord, flag: &mut Object) {
    let rules = record.rules().iter().map(|rule| valid(&rule.to_json())).collect();
    flag.insert("rules", Json::Array(rules));
    flag.insert("variants", record.variants().map_or(Json::Null, |variants| valid(&variants.to_json())));
    let prerequisites = record.prerequisites().iter().map(|prerequisite| {
        let mut fields: Object = [("flag", prerequisite.flag.as_str())].into_iter().collect();
        fields.extend(prerequisite.variant.iter().map(|variant| ("variant", Json::from(variant.as_str()))));
        Json::from(fields)
    });
    flag.insert("prerequisites", Json::Array(prerequisites.collect()));
    flag.insert("schedule", record.schedule().map_or(Json::Null, Schedule::to_json));
}
