//! Who writes, why and what, as headers: an older server passes over them.

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::feed::history::{ACTOR, REASON, SOURCE, VERB};
use crate::state::WriteOptions;

/// Spaces at an end would be cut off.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%').add(b' ');

pub(super) fn headers(options: &WriteOptions) -> HeaderMap {
    let cause = options.cause.as_deref();
    let given = [
        (VERB, options.verb),
        (ACTOR, cause.and_then(|cause| cause.actor())),
        (REASON, cause.and_then(|cause| cause.reason())),
        (SOURCE, cause.map(|cause| cause.source())),
    ];
    let header = |(name, text): (&str, Option<&str>)| {
        let value = HeaderValue::try_from(utf8_percent_encode(text?, ENCODED).to_string());
        // Neither can fail: names are constants, and what is encoded is visible ASCII.
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, value.ok()?))
    };
    given.into_iter().filter_map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Cause, Precondition};

    #[test]
    fn any_text_is_a_header() {
        let cause =
            Cause::default().with_actor(" \u{c4}lice 100% ").and_then(|cause| cause.with_reason("a\n\u{1}\u{7f}"));
        let options = WriteOptions::from(Precondition::Any).with_verb("enable").with_cause(cause.unwrap());
        let headers = headers(&options);
        let value = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(value(ACTOR), "%20%C3%84lice%20100%25%20");
        assert_eq!(value(REASON), "a%0A%01%7F");
        assert_eq!((value(VERB), value(SOURCE)), ("enable".to_owned(), "program".to_owned()));
        assert!(super::headers(&Precondition::Any.into()).is_empty());
    }
}
