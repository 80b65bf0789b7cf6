use flipper::__words::attribute;
use flipper::evaluation::{Evaluation, Reason};
use flipper::json::Json;
use flipper::{Bucketer, Context, FlagRecord};

use crate::args::Check;
use crate::failure::Done;
use crate::linked::Links;
use crate::names;
use crate::text::{json_type, plain, value};

/// As [`attribute`] reads it.
const TEXT: &str = ":text";

pub(crate) struct Attribute<'a> {
    pub(crate) key: &'a str,
    written: &'a str,
    pub(crate) json: Json,
}

impl<'a> Attribute<'a> {
    fn read(key: &'a str, written: &'a str) -> Self {
        let (key, json) = attribute(key, written);
        Self { key, written, json }
    }

    fn is_text(&self) -> bool {
        matches!(self.json, Json::String(_))
    }

    /// The value as text; `None` if it is text already, or a list or an object.
    fn as_text(&self) -> Option<Json> {
        match &self.json {
            Json::Number(_) | Json::Bool(_) | Json::Null => Some(self.written.into()),
            Json::String(_) | Json::LoneSurrogates(_) | Json::Array(_) | Json::Object(_) => None,
        }
    }
}

pub(crate) struct Caller<'a>(Vec<Attribute<'a>>);

impl<'a> Caller<'a> {
    /// The flags to check, and the attributes to check them with.
    pub(crate) fn read(args: &'a Check) -> Done<(&'a [String], Self)> {
        let names::Given { names, pairs } = names::and_pairs(&args.words, "attribute")?;
        Ok((names, Self(pairs.into_iter().map(|(key, written)| Attribute::read(key, written)).collect())))
    }

    pub(crate) fn keys(&self) -> Vec<&'a str> {
        self.0.iter().map(|attribute| attribute.key).collect()
    }

    pub(crate) fn context(&self) -> Context {
        self.0.iter().map(|attribute| (attribute.key, attribute.json.clone())).collect()
    }

    /// `user_id=7 plan="pro"`
    pub(crate) fn text(&self) -> String {
        if self.0.is_empty() {
            return "a check without attributes".to_owned();
        }
        let all = self.0.iter().map(|attribute| format!("{}={}", plain(attribute.key), value(&attribute.json)));
        all.collect::<Vec<_>>().join(" ")
    }

    /// ` (user_id is a number)`, for each attribute that is not text: the type decides equality and the hash.
    pub(crate) fn types(&self) -> String {
        let typed = self.0.iter().filter(|attribute| !attribute.is_text());
        let types: Vec<_> =
            typed.map(|attribute| format!("{} is {}", plain(attribute.key), json_type(&attribute.json))).collect();
        if types.is_empty() { String::new() } else { format!(" ({})", types.join(", ")) }
    }

    /// The attributes with which the answer would be another one if they were text, and that answer: `7` is not `"7"`.
    pub(crate) async fn type_decides(
        &self,
        name: &str,
        record: &FlagRecord,
        links: &Links,
        answer: &Evaluation,
    ) -> Done<Vec<(&Attribute<'a>, String)>> {
        let mut type_decides = Vec::new();
        // The result is random, so one more check shows nothing.
        if matches!(record.bucketer(), Bucketer::Percentage(_)) {
            return Ok(type_decides);
        }
        for (place, attribute) in self.0.iter().enumerate() {
            let Some(text) = attribute.as_text() else { continue };
            let others = self.0.iter().enumerate();
            let others = others
                .map(|(at, each)| (each.key, if at == place { text.clone() } else { each.json.clone() }))
                .collect();
            let evaluation = links.evaluate(name, record, &others).await?;
            let variant = |evaluation: &Evaluation| evaluation.variant.as_ref().map(|chosen| chosen.name().to_owned());
            let other = match (evaluation.is_enabled, variant(&evaluation)) {
                (is_on, _) if is_on != answer.is_enabled => Some(if is_on { "on" } else { "off" }.to_owned()),
                (_, Some(name)) if Some(&name) != variant(answer).as_ref() => Some(format!("variant {}", plain(&name))),
                _ => None,
            };
            // Where a condition compares numbers, programs pass numbers.
            let other = other.filter(|_| !matches!(evaluation.reason, Reason::TypeMismatch { .. }));
            type_decides.extend(other.map(|other| (attribute, other)));
        }
        Ok(type_decides)
    }
}

pub(crate) fn warning(attribute: &Attribute<'_>, other: &str) -> String {
    let (key, written) = (plain(attribute.key), plain(attribute.written));
    format!("with {key} as text it would be {other}; if that is what programs give, write {key}{TEXT}={written}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        for (key, written, expected) in [
            ("a", "7", "a number"),
            ("a", "\"7\"", "a string"),
            ("a:text", "7", "a string"),
            ("a:text", "\"7\"", "a string"),
            ("a", "pro", "a string"),
            ("a", "true", "a boolean"),
            ("a", "null", "null"),
            ("a", "[1]", "an array"),
        ] {
            let attribute = Attribute::read(key, written);
            assert_eq!((attribute.key, json_type(&attribute.json)), ("a", expected), "{key}={written}");
        }
        assert_eq!(Attribute::read(":text", "7").key, ":text");
        assert_eq!(Attribute::read("a", "7.0").as_text(), Some(Json::from("7.0")));
        assert_eq!(Attribute::read("a", "pro").as_text(), None);
    }
}
