//! Conditions of JsonLogic, with the operations of flagd, or as GO Feature Flag reads them.

use std::cell::Cell;

use flipper::evaluation::Operator;
use flipper::json::{Json, Object};
use flipper::targeting::{Place, Test};

use super::cond::{Cond, opposite};
use super::goff::KEY;
use super::values::{cost, full_version, number};
use super::{Said, unsaid};

/// How deep operations and references nest.
const DEEPEST: usize = 60;
/// How many parts are built for a flag. References and copies multiply.
const MOST: usize = 10_000;
/// For all flags of a file.
const MOST_OF_ALL: usize = 5_000_000;

pub(super) struct Logic<'a> {
    evaluators: &'a Object,
    parts: Cell<usize>,
    parts_of_all: Cell<usize>,
    is_goff: bool,
}

enum Operand<'a> {
    Var { name: &'a str, default: &'a Json },
    Literal(&'a Json),
}

static NULL: Json = Json::Null;
static EMPTY: Json = Json::String(String::new());

impl<'a> Logic<'a> {
    pub(super) fn new(evaluators: &'a Object) -> Self {
        Self { evaluators, parts: Cell::new(0), parts_of_all: Cell::new(0), is_goff: false }
    }

    /// It has no operations of flagd, and fills in the key.
    pub(super) fn of_goff(self) -> Self {
        Self { is_goff: true, ..self }
    }

    /// The next flag.
    pub(super) fn begin(&self) {
        self.parts.set(0);
    }

    /// Refuses what would need more parts than there may be.
    pub(super) fn count(&self, parts: usize) -> Said<()> {
        for (counter, most) in [(&self.parts, MOST), (&self.parts_of_all, MOST_OF_ALL)] {
            counter.set(counter.get() + parts);
            if counter.get() > most {
                return unsaid("its targeting", format!("it has more than {most} parts if references are followed"));
            }
        }
        Ok(())
    }

    /// What a reference names.
    pub(super) fn resolved<'b>(&self, json: &'b Json, depth: usize) -> Said<&'b Json>
    where
        'a: 'b,
    {
        let mut json = json;
        for _ in depth..DEEPEST {
            let Some(name) = json.get("$ref").and_then(Json::as_str) else { return Ok(json) };
            match self.evaluators.get(name) {
                Some(evaluator) => json = evaluator,
                None => return unsaid(format!("$ref {name:?}"), "there is no evaluator of this name"),
            }
        }
        unsaid("its targeting", format!("it nests deeper than {DEEPEST}"))
    }

    /// Whether the operation is truthy.
    pub(super) fn cond(&self, json: &Json, depth: usize) -> Said<Cond> {
        self.is(true, json, depth)
    }

    /// Whether the operation is truthy, or whether it is not: a comparison that does not hold is no proof that its opposite does.
    fn is(&self, wanted: bool, json: &Json, depth: usize) -> Said<Cond> {
        self.count(1)?;
        let json = self.resolved(json, depth)?;
        let Some(operation) = json.as_object() else { return Ok(constant(is_truthy(json) == wanted)) };
        let Some((name, arguments)) = operation.iter().next().filter(|_| operation.len() == 1) else {
            return unsaid("its targeting", format!("{json} is no operation"));
        };
        let one = std::slice::from_ref(arguments);
        let arguments = arguments.as_array().unwrap_or(one);
        let each = || arguments.iter().map(|each| self.is(wanted, each, depth + 1)).collect::<Said<Vec<_>>>();
        let as_wanted = |cond: Cond| if wanted { cond } else { cond.not() };
        match (name, arguments) {
            ("and" | "or", [_, ..]) if (name == "and") == wanted => each().map(Cond::all),
            ("and" | "or", [_, ..]) => each().map(Cond::any),
            ("!", [only]) => self.is(!wanted, only, depth + 1),
            ("!!", [only]) => self.is(wanted, only, depth + 1),
            ("if" | "?:", [when, then, otherwise]) => {
                let then = self.is(true, when, depth + 1)?.and(self.is(wanted, then, depth + 1)?);
                let otherwise = self.is(false, when, depth + 1)?.and(self.is(wanted, otherwise, depth + 1)?);
                Ok(Cond::any([then, otherwise]))
            }
            ("var", _) => match self.operand(json, depth)? {
                Operand::Var { name, default } => Ok(as_wanted(or_default(truthy(name), name, is_truthy(default)))),
                Operand::Literal(literal) => Ok(constant(is_truthy(literal) == wanted)),
            },
            ("==" | "===" | "!=" | "!==", [a, b]) => {
                let strict = name.len() == 3;
                let equal = self.equal(a, b, strict, depth)?;
                Ok(as_wanted(if name.starts_with('!') { equal.not() } else { equal }))
            }
            ("<" | "<=" | ">" | ">=", [a, b]) => self.ordered(name, a, b, wanted, depth),
            ("<" | "<=", [a, b, c]) => {
                let both = [self.ordered(name, a, b, wanted, depth)?, self.ordered(name, b, c, wanted, depth)?];
                Ok(if wanted { Cond::all(both) } else { Cond::any(both) })
            }
            ("in", [needle, haystack]) => self.within(needle, haystack, depth).map(as_wanted),
            ("starts_with" | "ends_with", [text, part]) if !self.is_goff => {
                let place = if name == "starts_with" { Place::Start } else { Place::End };
                match (self.operand(text, depth)?, self.operand(part, depth)?) {
                    (Operand::Var { name, default: Json::Null }, Operand::Literal(Json::String(part))) => {
                        let holds = Cond::text(name, place, vec![part.clone()], false);
                        Ok(if wanted { holds } else { holds.not_for_text(name).or_missing(name) })
                    }
                    _ => unsaid(name, "it does not compare an attribute with a text"),
                }
            }
            ("sem_ver", [attribute, operator, version]) if !self.is_goff => {
                match (self.operand(attribute, depth)?, operator.as_str(), version.as_str()) {
                    (Operand::Var { name, default: Json::Null }, Some(operator), Some(version)) => {
                        sem_ver(name, operator, version).map(as_wanted)
                    }
                    _ => unsaid(name, "it does not compare an attribute with a version"),
                }
            }
            _ => unsaid(format!("operation {name:?}"), "conditions here have nothing like it"),
        }
    }

    fn operand<'b>(&self, json: &'b Json, depth: usize) -> Said<Operand<'b>>
    where
        'a: 'b,
    {
        let json = self.resolved(json, depth)?;
        let Some(var) = json.get("var") else {
            return match json {
                Json::Object(_) => unsaid("its targeting", format!("it compares with a computed value, {json}")),
                large if self.is_goff && is_large(large) => {
                    let why = format!(
                        "{large} needs more than 32 bits, to which GO Feature Flag's engine as WASI cuts attributes"
                    );
                    unsaid("a comparison", why)
                }
                literal => self.count(cost(literal)).map(|()| Operand::Literal(literal)),
            };
        };
        let (name, default) = match var {
            Json::Array(parts) => (parts.first().and_then(Json::as_str), parts.get(1).unwrap_or(&NULL)),
            name => (name.as_str(), &NULL),
        };
        match name {
            Some(name) if name.starts_with("$flagd.") => {
                unsaid(format!("attribute {name}"), "flagd fills it in by itself")
            }
            Some("key" | KEY) if self.is_goff => Ok(Operand::Var { name: KEY, default: &EMPTY }),
            Some(name) if !name.is_empty() => self.count(name.len() / 1_000).map(|()| Operand::Var { name, default }),
            _ => unsaid("its targeting", format!("{json} is no attribute")),
        }
    }

    fn equal(&self, a: &Json, b: &Json, strict: bool, depth: usize) -> Said<Cond> {
        let (name, default, literal) = match (self.operand(a, depth)?, self.operand(b, depth)?) {
            (Operand::Var { name, default }, Operand::Literal(literal))
            | (Operand::Literal(literal), Operand::Var { name, default }) => (name, default, literal),
            _ => return unsaid("a comparison", "it does not compare an attribute with a value"),
        };
        let values = match literal {
            Json::Null if default.is_null() => return Ok(Cond::exists(name).not()),
            Json::Null => return Ok(Cond::Never),
            Json::String(_) | Json::Bool(_) | Json::Number(_) if strict => vec![literal.clone()],
            Json::String(text) => {
                let twin = text.parse::<i64>().ok().filter(|number| number.to_string() == *text);
                [literal.clone()].into_iter().chain(twin.map(Json::from)).collect()
            }
            Json::Number(_) => vec![literal.clone(), Json::from(literal.to_string())],
            Json::Bool(true) => vec![literal.clone(), Json::from("1")],
            Json::Bool(false) => vec![literal.clone(), Json::from("0"), Json::from("")],
            _ => return unsaid("a comparison", "with a list or an object"),
        };
        let by_default = !default.is_null() && values.contains(default);
        Ok(or_default(Cond::one_of(name, values), name, by_default))
    }

    fn ordered(&self, operator: &str, a: &Json, b: &Json, wanted: bool, depth: usize) -> Said<Cond> {
        let compare = match operator {
            "<" => Operator::Lt,
            "<=" => Operator::Lte,
            ">" => Operator::Gt,
            _ => Operator::Gte,
        };
        let (name, default, compare, literal) = match (self.operand(a, depth)?, self.operand(b, depth)?) {
            (Operand::Var { name, default }, Operand::Literal(literal)) => (name, default, compare, literal),
            (Operand::Literal(literal), Operand::Var { name, default }) => (name, default, flipped(compare), literal),
            _ => return unsaid("a comparison", "it does not compare an attribute with a value"),
        };
        let compare = if wanted { compare } else { opposite(compare) };
        // A missing attribute is 0 there.
        let missing = if default.is_null() { Some(0.0) } else { number(default) };
        let holds = match (literal, missing, number(literal)) {
            // GO Feature Flag: a missing one is less than 1 and more than -1, and neither `<=` nor `>=` 0.
            (Json::Number(_), _, Some(0.0)) if self.is_goff && default.is_null() => !wanted,
            (Json::Number(_), Some(missing), Some(literal)) => holds(missing, compare, literal),
            (Json::String(_), _, None) if default.is_null() => !wanted,
            _ => return unsaid("a comparison", format!("{literal} is not compared by size here")),
        };
        Ok(or_default(Cond::compare(name, compare, literal.clone()), name, holds))
    }

    fn within(&self, needle: &Json, haystack: &Json, depth: usize) -> Said<Cond> {
        match (self.operand(needle, depth)?, self.operand(haystack, depth)?) {
            (Operand::Var { name, default }, Operand::Literal(Json::Array(values)))
                if values.iter().all(super::values::is_scalar) && (!self.is_goff || of_one_kind(values)) =>
            {
                let by_default = !default.is_null() && values.contains(default);
                Ok(or_default(Cond::one_of(name, values.clone()), name, by_default))
            }
            // Without the attribute GO Feature Flag has an error.
            (Operand::Var { name, default: Json::Null }, Operand::Literal(text @ Json::String(_))) if !self.is_goff => {
                Ok(Cond::check(name, Test::Compare(Operator::In, text.clone())))
            }
            // An attribute that is a list has an equal element, one that is a text has the text in it.
            (Operand::Literal(Json::String(part)), Operand::Var { name, default: Json::Null }) => {
                Ok(Cond::text(name, Place::Anywhere, vec![part.clone()], false))
            }
            _ => unsaid("operation \"in\"", "it does not search an attribute, or for one"),
        }
    }
}

/// GO Feature Flag finds 0 in a list of texts, and has errors where booleans are beside others.
fn of_one_kind(values: &[Json]) -> bool {
    let first = values.first().map(std::mem::discriminant);
    values.iter().all(|value| Some(std::mem::discriminant(value)) == first)
}

fn is_large(json: &Json) -> bool {
    match json {
        Json::Array(items) => items.iter().any(is_large),
        number => number.as_f64().is_some_and(|number| number.abs() >= f64::from(i32::MAX)),
    }
}

fn constant(holds: bool) -> Cond {
    if holds { Cond::Always } else { Cond::Never }
}

/// With what holds where the attribute is missing.
fn or_default(cond: Cond, name: &str, holds: bool) -> Cond {
    if holds { cond.or_missing(name) } else { cond }
}

fn is_truthy(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(_) => json.as_f64() != Some(0.0),
        Json::Array(items) => !items.is_empty(),
        other => other.as_str() != Some(""),
    }
}

fn truthy(name: &str) -> Cond {
    let falsy = vec![Json::from(false), Json::from(""), Json::Array(Vec::new())];
    Cond::exists(name).and(Cond::one_of(name, falsy).not())
}

fn flipped(compare: Operator) -> Operator {
    match compare {
        Operator::Lt => Operator::Gt,
        Operator::Lte => Operator::Gte,
        Operator::Gt => Operator::Lt,
        _ => Operator::Lte,
    }
}

fn holds(left: f64, compare: Operator, right: f64) -> bool {
    match compare {
        Operator::Lt => left < right,
        Operator::Lte => left <= right,
        Operator::Gt => left > right,
        _ => left >= right,
    }
}

fn sem_ver(name: &str, operator: &str, wanted: &str) -> Said<Cond> {
    let wanted = full_version(wanted);
    let numbers: Vec<u64> =
        wanted.split(['-', '+']).next().unwrap_or_default().split('.').filter_map(|part| part.parse().ok()).collect();
    let check = |compare: Operator, version: String| {
        Cond::checked(name, Test::Semver(compare, version)).or_else(|why| unsaid("sem_ver", why))
    };
    // The lowest version of a number is its first prerelease.
    let between = |from: String, to: String| Ok(check(Operator::Gte, from)?.and(check(Operator::Lt, to)?));
    match (operator, &numbers[..]) {
        ("=", _) => check(Operator::Eq, wanted),
        ("!=", _) => check(Operator::Ne, wanted),
        ("<", _) => check(Operator::Lt, wanted),
        ("<=", _) => check(Operator::Lte, wanted),
        (">", _) => check(Operator::Gt, wanted),
        (">=", _) => check(Operator::Gte, wanted),
        ("^", [major, ..]) if *major < u64::MAX => between(format!("{major}.0.0-0"), format!("{}.0.0-0", major + 1)),
        ("~", [major, minor, ..]) if *minor < u64::MAX => {
            between(format!("{major}.{minor}.0-0"), format!("{major}.{}.0-0", minor + 1))
        }
        _ => unsaid("sem_ver", format!("the operator {operator:?} is unknown")),
    }
}
