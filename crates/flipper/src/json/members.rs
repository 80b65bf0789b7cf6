//! One object of a request, without a copy of each string: a server reads it once, and drops it after the answer. Not part of the API.

use std::borrow::Cow;

use super::Json;
use super::parse::{Parsed, Parser, parse};
use crate::{Error, Result};

/// A value.
#[derive(Debug)]
pub enum Member<'a> {
    /// A string without escapes.
    Text(&'a str),
    /// Any other value.
    Json(Json),
}

/// In no order, the last of equal names alone. Lone surrogates in names are U+FFFD.
pub type Members<'a> = Vec<(Cow<'a, str>, Member<'a>)>;

/// What the text of an object has under a key.
#[derive(Debug)]
pub enum Found<'a> {
    /// An object.
    Members(Members<'a>),
    /// Nothing, or null.
    Nothing,
    /// Another value.
    Other,
    /// The text is no object.
    NoObject,
}

/// The members of the object under this key.
///
/// # Errors
///
/// As [`Json::from_slice`].
pub fn members<'a>(text: &'a [u8], key: &str) -> Result<Found<'a>> {
    parse(text, |parser| read(parser, key)).map_err(Error::invalid_input)
}

fn read<'a>(parser: &mut Parser<'a>, key: &str) -> Parsed<Found<'a>> {
    if !parser.at_object() {
        return parser.value(0).map(|_| Found::NoObject);
    }
    let mut found = Found::Nothing;
    parser.object(0, |parser, name, depth| {
        if name != key {
            return parser.member(depth).map(drop);
        }
        found = if parser.at_object() {
            let mut members = Vec::with_capacity(8);
            parser.object(depth, |parser, name, depth| {
                members.push((name, parser.member(depth)?));
                Ok(())
            })?;
            keep_last(&mut members);
            Found::Members(members)
        } else {
            match parser.member(depth)? {
                Member::Json(Json::Null) => Found::Nothing,
                _ => Found::Other,
            }
        };
        Ok(())
    })?;
    Ok(found)
}

/// Up to so many are compared with each other, which is faster than sorting.
const FEW: usize = 16;

fn keep_last(members: &mut Members<'_>) {
    if members.len() <= FEW {
        let mut place = 0;
        while let Some((name, _)) = members.get(place) {
            match members[place + 1..].iter().any(|(later, _)| later == name) {
                true => drop(members.remove(place)),
                false => place += 1,
            }
        }
        return;
    }
    // Stable.
    members.sort_by(|(one, _), (other, _)| one.cmp(other));
    members.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            std::mem::swap(later, earlier);
        }
        is_same
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match members(text.as_bytes(), "c").unwrap() {
            Found::Members(members) => {
                let shown = members.iter().map(|(name, member)| match member {
                    Member::Text(text) => format!("{name}=borrowed {text}"),
                    Member::Json(json) => format!("{name}={json}"),
                });
                shown.collect::<Vec<_>>().join(", ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_last_of_equal_names_counts_and_strings_are_borrowed() {
        assert_eq!(
            shown(r#"{"a":[{}],"c":{"z":1,"b":"x","a":null,"b":"y","b":"z"},"d":"e"}"#),
            "z=1, a=null, b=borrowed z"
        );
        assert_eq!(shown(r#"{"c":{"b":"x\n","\u0061":{"c":[1.0]}}}"#), r#"b="x\n", a={"c": [1.0]}"#);
        assert_eq!(shown(r#"{"\ud83d":"x","c":{"\ud83d":"x","b":"\ud83d"}}"#), "\u{fffd}=borrowed x, b=\"\\ud83d\"");
        assert_eq!(shown(r#"{"c":{"a":1},"c":{"b":2}}"#), "b=2");
        let many: Vec<_> = (0..100).map(|number| format!("\"{}\":{number}", number % 40)).collect();
        let text = format!("{{\"c\":{{{}}}}}", many.join(","));
        let Found::Members(members) = members(text.as_bytes(), "c").unwrap() else { panic!("{text}") };
        assert_eq!(members.len(), 40);
        for (name, member) in members {
            let Member::Json(number) = member else { panic!("{name}") };
            assert!(number.as_i64().unwrap() >= 60 && number.as_i64().unwrap() % 40 == name.parse::<i64>().unwrap());
        }
    }

    #[test]
    fn other_values_are_reported() {
        for (text, expected) in [
            ("{}", "Nothing"),
            (r#"{"c":null}"#, "Nothing"),
            (r#"{"c":{},"c":null}"#, "Nothing"),
            (r#"{"c":"x"}"#, "Other"),
            (r#"{"c":[]}"#, "Other"),
            ("[]", "NoObject"),
            (r#""c""#, "NoObject"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn the_whole_text_must_be_json() {
        for text in ["", "{", r#"{"c":{"a":1}"#, r#"{"c":{"a":1}} x"#, r#"{"c":{"a"}}"#, r#"{"c":[],}"#, "\u{feff}{}"] {
            let error = members(text.as_bytes(), "c").unwrap_err();
            assert_eq!(error.to_string(), Json::from_slice(text.as_bytes()).unwrap_err().to_string());
        }
        let deep = format!(r#"{{"c":{{"a":{}}}}}"#, "[".repeat(600));
        assert!(members(deep.as_bytes(), "c").unwrap_err().to_string().contains("nests deeper"));
    }
}
