//! Flag definitions of flagd.

use flipper::json::{Json, Object};

use super::cond::Cond;
use super::first::{Arm, Flag, Outcome};
use super::logic::Logic;
use super::values::{fields, items, only, text};
use super::{Found, Said, unsaid};

/// The attribute by which `fractional` chooses if it names none.
const KEY: &str = "targetingKey";

pub(super) fn read(json: &Json, now: i64) -> Result<Found, String> {
    let mut flags: Vec<(String, &Json)> = fields(json, "flags").map(|(name, flag)| (name.to_owned(), flag)).collect();
    flags.extend(items(json, "flags").iter().map(|flag| (text(flag, "key").unwrap_or_default().to_owned(), flag)));
    if json.get("flags").is_none_or(|flags| flags.as_object().is_none() && flags.as_array().is_none()) {
        return Err("it has no object \"flags\"".to_owned());
    }
    let none = Object::new();
    let logic = Logic::new(json.get("$evaluators").and_then(Json::as_object).unwrap_or(&none));
    let mut found = Found::default();
    for (name, flag) in flags {
        let record = flag_of(flag, &logic).and_then(|flag| flag.build(&name, now));
        found.flags.push((name, record));
    }
    Ok(found)
}

/// All that a flag may have. The last ones do not decide.
const FIELDS: [&str; 11] = [
    "state",
    "variants",
    "defaultVariant",
    "targeting",
    "key",
    "metadata",
    "name",
    "description",
    "source",
    "selector",
    "flagSetId",
];

fn flag_of(json: &Json, logic: &Logic<'_>) -> Said<Flag> {
    only(json, &FIELDS)?;
    logic.begin();
    let mut flag = Flag {
        is_on: text(json, "state") != Some("DISABLED"),
        values: fields(json, "variants").map(|(name, value)| (name.to_owned(), value.clone())).collect(),
        ..Flag::default()
    };
    let default = match json.get("defaultVariant") {
        None | Some(Json::Null) => Outcome::Default,
        Some(name) => Outcome::Value(variant_name(name)),
    };
    let mut arms = Arms { logic, default, flag: &flag, arms: Vec::new() };
    match json.get("targeting").filter(|targeting| targeting.as_object().is_some_and(|fields| !fields.is_empty())) {
        Some(targeting) => arms.add(targeting, Cond::Always, 0)?,
        None => arms.push(Cond::Always, arms.default.clone()),
    }
    let mut arms = arms.arms;
    // The last arm does the same without them.
    while let [.., before, last] = &arms[..]
        && before.outcome == last.outcome
        && last.cond == Cond::Always
    {
        arms.remove(arms.len() - 2);
    }
    flag.arms = arms;
    Ok(flag)
}

/// A boolean names the variant `true` or `false`.
fn variant_name(json: &Json) -> String {
    json.as_str().map_or_else(|| json.to_string(), str::to_owned)
}

/// The arms of a decision, in the order in which they are asked.
struct Arms<'a> {
    logic: &'a Logic<'a>,
    default: Outcome,
    flag: &'a Flag,
    arms: Vec<Arm>,
}

impl Arms<'_> {
    fn push(&mut self, cond: Cond, outcome: Outcome) {
        self.arms.push(Arm { name: None, cond, outcome });
    }

    fn copy(&self, cond: &Cond) -> Said<Cond> {
        self.logic.count(cond.size())?;
        Ok(cond.clone())
    }

    /// Each call adds arms for all callers of the condition.
    fn add(&mut self, json: &Json, cond: Cond, depth: usize) -> Said<()> {
        self.logic.count(1)?;
        let json = self.logic.resolved(json, depth)?;
        let Some(operation) = json.as_object() else {
            let outcome = match json {
                Json::Null => self.default.clone(),
                Json::Array(_) | Json::Number(_) => {
                    return unsaid("its targeting", format!("it ends in {json}, which names no variant"));
                }
                name => Outcome::Value(variant_name(name)),
            };
            self.push(cond, outcome);
            return Ok(());
        };
        let Some((name, arguments)) = operation.iter().next().filter(|_| operation.len() == 1) else {
            return unsaid("its targeting", format!("{json} is no operation"));
        };
        match name {
            "if" | "?:" => self.branches(arguments.as_array().unwrap_or_default(), cond, depth),
            "fractional" => {
                let (outcome, needs) = self.fractional(arguments.as_array().unwrap_or_default())?;
                match needs {
                    // Without it, what is computed is no variant.
                    Some(by) => {
                        let given = self.copy(&cond)?.and(Cond::exists(&by));
                        self.push(given, outcome);
                        self.push(cond, self.default.clone());
                    }
                    None => self.push(cond, outcome),
                }
                Ok(())
            }
            _ if ["true", "false"].iter().all(|name| self.flag.value(name).is_some()) => {
                let holds = self.logic.cond(json, depth + 1)?;
                let both = self.copy(&cond)?.and(holds);
                self.push(both, Outcome::Value("true".to_owned()));
                self.push(cond, Outcome::Value("false".to_owned()));
                Ok(())
            }
            _ => unsaid("its targeting", format!("the variant is computed by {name:?}")),
        }
    }

    fn branches(&mut self, arguments: &[Json], cond: Cond, depth: usize) -> Said<()> {
        let mut pairs = arguments.chunks_exact(2);
        for pair in &mut pairs {
            let holds = self.logic.cond(&pair[0], depth + 1)?;
            let both = self.copy(&cond)?.and(holds);
            self.add(&pair[1], both, depth + 1)?;
        }
        match pairs.remainder() {
            [last] => self.add(last, cond, depth + 1),
            _ => {
                self.push(cond, self.default.clone());
                Ok(())
            }
        }
    }

    /// With the attribute that has to be given.
    fn fractional(&self, arguments: &[Json]) -> Said<(Outcome, Option<String>)> {
        let (by, parts, is_joined) = match arguments {
            [first, rest @ ..] if first.as_array().is_none() => {
                (bucketing_key(first)?, rest, first.get("cat").is_some())
            }
            all => (KEY.to_owned(), all, false),
        };
        let needs = (!is_joined).then(|| by.clone());
        let mut weights = Vec::new();
        for part in parts {
            let name = part.as_array().and_then(<[Json]>::first).and_then(Json::as_str);
            let weight = match part.as_array().and_then(|part| part.get(1)) {
                None => Some(1.0),
                Some(weight) => weight.as_f64().filter(|weight| *weight >= 0.0),
            };
            match (name, weight) {
                (Some(name), Some(weight)) => weights.push((name.to_owned(), weight)),
                _ => return unsaid("fractional", format!("{part} is no variant with a weight")),
            }
        }
        match weights.iter().map(|(_, weight)| weight).sum::<f64>() {
            sum if sum > 0.0 => Ok((Outcome::Split { weights, by }, needs)),
            _ => unsaid("fractional", "it has no weights"),
        }
    }
}

/// The one attribute of it. Texts beside it only move who gets what.
fn bucketing_key(json: &Json) -> Said<String> {
    let parts = match json.get("cat") {
        Some(parts) => parts.as_array().unwrap_or_default(),
        None => std::slice::from_ref(json),
    };
    let names: Vec<&str> = parts
        .iter()
        .filter_map(|part| part.get("var"))
        .filter_map(|var| var.as_str().or_else(|| var.as_array()?.first()?.as_str()))
        .filter(|name| *name != "$flagd.flagKey")
        .collect();
    let others = parts.iter().all(|part| part.as_str().is_some() || part.get("var").is_some());
    match names[..] {
        [only] if others => Ok(only.to_owned()),
        _ => unsaid("fractional", "it chooses callers by something other than one attribute"),
    }
}
