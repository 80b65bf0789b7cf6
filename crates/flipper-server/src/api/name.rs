//! The flag's name in a path: percent-encoded, and all that follows, so that it may have slashes.

use axum::extract::{FromRequestParts, RawPathParams};
use http::request::Parts;

use crate::problem::Problem;

#[derive(Debug)]
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        // axum decodes once, but leaves a wrong escape as it is: two paths would be one flag.
        if let Some(wrong) = wrong_escape(parts.uri.path()) {
            let detail = format!("the path has the escape {wrong:?}, which is not `%` and two hexadecimal digits");
            return Err(Problem::bad_request(detail).hint("write a `%` in a name as `%25`"));
        }
        let parameters = RawPathParams::from_request_parts(parts, state).await.map_err(|_| {
            Problem::bad_request("the name in the path is not UTF-8").hint("encode the bytes of its UTF-8 text")
        })?;
        let name = parameters.iter().find(|(key, _)| *key == "name").map(|(_, name)| name.to_owned());
        let name = name.unwrap_or_default();
        flipper::store::validate_name(&name)?;
        Ok(Self(name))
    }
}

pub(crate) fn wrong_escape(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = &rest[at..];
        let is_escape = rest.as_bytes().get(1..3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        if !is_escape {
            // A path may have characters that are not encoded.
            let end = rest.char_indices().nth(3).map_or(rest.len(), |(end, _)| end);
            return Some(&rest[..end]);
        }
        rest = &rest[3..];
    }
    None
}

/// The path of a flag below `prefix`.
pub(crate) fn path_of(prefix: &str, name: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');
    format!("{prefix}{}", utf8_percent_encode(name, KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        for path in ["/a", "/%2F%2f%25", "/a%20b"] {
            assert_eq!(wrong_escape(path), None, "{path}");
        }
        for (path, wrong) in [("/%", "%"), ("/%2", "%2"), ("/%zz/a", "%zz"), ("/%25%2x", "%2x"), ("/%2ĝ", "%2ĝ")] {
            assert_eq!(wrong_escape(path), Some(wrong), "{path}");
        }
        assert_eq!(path_of("/f/", "a/b ..é"), "/f/a%2Fb%20%2E%2E%C3%A9");
    }
}
