use flipper::context::Value;
use flipper::json::{Found, Json, Member, Members, members};

use super::error::Code;

/// In bytes.
pub(super) const MAX_BODY: usize = 64 * 1024;
const MAX_ATTRIBUTES: usize = 1000;
const TARGETING_KEY: &str = "targetingKey";

/// The context in the body of a request. Lone surrogates and numbers of any size are read as they are, since clients send them.
pub(super) fn read(body: &[u8]) -> Result<Members<'_>, (Code, String)> {
    // As `curl -X POST` sends it.
    if body.trim_ascii().is_empty() {
        return Ok(Members::new());
    }
    let context = match members(body, "context") {
        Ok(Found::Members(context)) => context,
        Ok(Found::Nothing) => return Ok(Members::new()),
        Ok(Found::Other) => return Err((Code::InvalidContext, "the context is no object".to_owned())),
        Ok(Found::NoObject) => {
            return Err((Code::ParseError, r#"the body is no object, as {"context": {}} is"#.to_owned()));
        }
        Err(error) => return Err((Code::ParseError, format!("the body is {error}"))),
    };
    if context.len() > MAX_ATTRIBUTES {
        let details = format!("the context has {} attributes, more than the {MAX_ATTRIBUTES} allowed", context.len());
        return Err((Code::InvalidContext, details));
    }
    Ok(context)
}

/// Ordered by name, since the first attribute that decides a condition may be one that it cannot be compared with: so the same context has the
/// same answer. The targeting key is last, under its own name, since it replaces an attribute of that name. An empty or null key is left out.
pub(super) fn attributes<'a>(context: &'a Members<'_>, targeting_key: &'a str) -> Vec<(&'a str, Value<'a>)> {
    let mut key = None;
    let mut attributes = Vec::with_capacity(context.len());
    for (name, member) in context {
        if name != TARGETING_KEY {
            attributes.push((&**name, member.into()));
        } else if !matches!(member, Member::Text("") | Member::Json(Json::Null)) {
            key = Some(member);
        }
    }
    attributes.sort_unstable_by_key(|(name, _)| *name);
    if let Some(key) = key {
        attributes.retain(|(name, _)| *name != targeting_key);
        attributes.push((targeting_key, key.into()));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_values(body: &str) -> Vec<(String, String)> {
        let context = read(body.as_bytes()).unwrap();
        let show = |value: Value<'_>| match value {
            Value::Json(json) => json.to_string(),
            other => format!("{other:?}"),
        };
        attributes(&context, "user").into_iter().map(|(name, value)| (name.to_owned(), show(value))).collect()
    }

    #[test]
    fn a_context_is_read_as_clients_send_it() {
        for body in [
            "",
            " \n",
            "{}",
            r#"{"context":null}"#,
            r#"{"context":{}}"#,
            r#"{"context":{"targetingKey":""}}"#,
            r#"{"context":{"targetingKey":null}}"#,
        ] {
            assert_eq!(names_and_values(body), [], "{body}");
        }
        let body = r#"{"context":{"z":1.0,"user":"x","targetingKey":42,"a":{"b":[null]},"e":"\ud83d"},"more":1}"#;
        let expected = [("a", r#"{"b": [null]}"#), ("e", r#""\ud83d""#), ("z", "Float(1.0)"), ("user", "Int(42)")];
        assert_eq!(names_and_values(body), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let huge = format!(r#"{{"context":{{"n":{}}}}}"#, "9".repeat(400));
        assert_eq!(names_and_values(&huge)[0].1.len(), 400);
    }

    /// Few members and many, which are read in two ways.
    #[test]
    fn the_order_of_the_members_makes_no_difference() {
        for count in [2, 16, 17, 100] {
            let members: Vec<_> = (0..count).map(|number| format!("\"a{number}\":{number}")).collect();
            let body = |members: Vec<String>| format!(r#"{{"context":{{{}}}}}"#, members.join(","));
            let reversed = members.iter().rev().cloned().collect();
            assert_eq!(names_and_values(&body(members)), names_and_values(&body(reversed)), "{count}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        let refused = |body: &str| read(body.as_bytes()).unwrap_err();
        let (code, details) = refused("{\"context\":\n  {,}}");
        assert_eq!(code, Code::ParseError);
        assert!(details.contains("line 2 column 4"), "{details}");
        assert_eq!(refused("[]").0, Code::ParseError);
        assert_eq!(refused(r#"{"context":[]}"#), (Code::InvalidContext, "the context is no object".to_owned()));
        let many: Vec<_> = (0..1001).map(|n| format!("\"a{n}\":1")).collect();
        assert!(refused(&format!("{{\"context\":{{{}}}}}", many.join(","))).1.contains("1001 attributes"));
        assert!(refused(&format!("{{\"context\":{}", "[".repeat(600))).1.contains("nests deeper"));
        assert_eq!(read(b"\xff").unwrap_err().0, Code::ParseError);
    }
}
