//! Constraints of Unleash. Its attributes are texts.

use flipper::evaluation::Operator;
use flipper::json::Json;
use flipper::targeting::{Place, Test};

use super::cond::{Cond, opposite};
use super::pattern::{self, Pattern};
use super::values::{is_true, items, json_of, number, text, with_numbers, with_twins};
use super::{Said, unsaid};

/// The attribute that an SDK fills in by itself.
const NOW: &str = "currentTime";

/// `note`: for callers that find the flag off here.
pub(super) fn constraint(json: &Json, note: &mut impl FnMut(String)) -> Said<Cond> {
    let what = |operator: &str| format!("constraint {operator}");
    let Some(attribute) = text(json, "contextName").filter(|name| !name.is_empty()) else {
        return unsaid("a constraint", "it has no contextName");
    };
    let operator = text(json, "operator").unwrap_or_default();
    let inverted = is_true(json, "inverted");
    let ignore_case = is_true(json, "caseInsensitive");
    let texts: Vec<String> = items(json, "values").iter().map(as_text).collect();
    let value = json.get("value").map(as_text).unwrap_or_default();
    // All of its attributes are texts: a number is one too.
    let inverts = |cond: Cond| match inverted {
        true => cond.not_for_text(attribute).or_missing(attribute),
        false => cond,
    };
    let place = |place| Ok(inverts(Cond::text(attribute, place, texts.clone(), ignore_case)));
    match operator {
        "IN" | "NOT_IN" if (operator == "IN") != inverted => Ok(Cond::one_of(attribute, with_numbers(texts))),
        "IN" | "NOT_IN" => Ok(Cond::one_of(attribute, with_twins(texts)).not()),
        "STR_STARTS_WITH" => place(Place::Start),
        "STR_ENDS_WITH" => place(Place::End),
        "STR_CONTAINS" => place(Place::Anywhere),
        "NUM_EQ" | "NUM_GT" | "NUM_GTE" | "NUM_LT" | "NUM_LTE" => {
            let Some(number) = number(&Json::from(value.as_str())) else {
                return never(&what(operator), format!("{value:?} is no number"), inverted);
            };
            let number = json_of(number);
            let compare = comparison(operator).unwrap_or(Operator::Eq);
            if !inverted {
                return Ok(Cond::compare(attribute, compare, number));
            }
            let other = match compare {
                Operator::Eq => Cond::other_number(attribute, &number),
                compare => Cond::compare(attribute, opposite(compare), number),
            };
            Ok(other.or_missing(attribute))
        }
        "DATE_AFTER" | "DATE_BEFORE" if attribute != NOW => {
            unsaid(what(operator), format!("it is about {attribute}, and always compares the time of the check"))
        }
        "DATE_AFTER" | "DATE_BEFORE" => {
            let compare = if operator == "DATE_AFTER" { Operator::Gt } else { Operator::Lt };
            let compare = if inverted { opposite(compare) } else { compare };
            note(format!("{operator}: callers that do not give {NOW} find it off; there the time of the check counts"));
            Cond::checked(attribute, Test::Date(compare, value)).or_else(|why| unsaid(what(operator), why))
        }
        "SEMVER_EQ" | "SEMVER_GT" | "SEMVER_GTE" | "SEMVER_LT" | "SEMVER_LTE" => {
            let compare = comparison(operator).unwrap_or(Operator::Eq);
            let test = Test::Semver(if inverted { opposite(compare) } else { compare }, value);
            match Cond::checked(attribute, test) {
                Ok(cond) if inverted => Ok(cond.or_missing(attribute)),
                Ok(cond) => Ok(cond),
                Err(why) => never(&what(operator), why, inverted),
            }
        }
        "REGEX" => {
            let pattern = Pattern::of(&value, ignore_case).or_else(|why| unsaid(what(operator), why))?;
            match pattern::matches(attribute, vec![pattern], inverted) {
                Ok(cond) if inverted => Ok(cond.or_missing(attribute)),
                Ok(cond) => Ok(cond),
                Err(why) if inverted => unsaid(what(operator), why),
                Err(why) => {
                    note(format!("{operator}: it never holds: {why}"));
                    Ok(Cond::Never)
                }
            }
        }
        "IN_CIDR" => Ok(inverts(networks(attribute, texts))),
        "" => unsaid("a constraint", "it has no operator"),
        other => unsaid(what(other), "the operator is unknown"),
    }
}

/// A constraint that cannot be read never holds there; what it is when inverted, tools disagree.
fn never(what: &str, why: String, inverted: bool) -> Said<Cond> {
    if inverted { unsaid(what, why) } else { Ok(Cond::Never) }
}

/// What is no network is ignored.
pub(super) fn networks(attribute: &str, texts: Vec<String>) -> Cond {
    let is_network = |text: &String| Cond::checked(attribute, Test::Network(vec![text.clone()])).is_ok();
    let networks: Vec<String> = texts.into_iter().filter(is_network).collect();
    if networks.is_empty() { Cond::Never } else { Cond::check(attribute, Test::Network(networks)) }
}

fn comparison(operator: &str) -> Option<Operator> {
    Some(match operator.rsplit_once('_')?.1 {
        "EQ" => Operator::Eq,
        "GT" => Operator::Gt,
        "GTE" => Operator::Gte,
        "LT" => Operator::Lt,
        "LTE" => Operator::Lte,
        _ => return None,
    })
}

fn as_text(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}
