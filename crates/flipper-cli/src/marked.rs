//! Errors in texts that are conditions or rules.

use std::str::FromStr;

use flipper::evaluation::ParseConditionError;
use flipper::targeting::{When, stored_name};
use unicode_width::UnicodeWidthStr;

use crate::failure::{Done, Failure};
use crate::store::Store;
use crate::text::plain;

const WHEN_FORMS: &str =
    "write it in quotes, like 'plan = pro and not (country in de, fr)'; `flipper rule add --help` has more";

/// Parses a text. An error marks its place.
pub(crate) fn parse<T: FromStr<Err = ParseConditionError>>(what: &str, text: &str, hint: &str) -> Done<T> {
    text.parse().map_err(|error: ParseConditionError| {
        // The width of the text as it is shown, with escapes.
        let width = |part: &str| plain(part).width();
        let wrong = error.span();
        let (before, carets) = (width(&text[..wrong.start]), width(&text[wrong]).max(1));
        let marked = format!("  {}\n  {}{}", plain(text), " ".repeat(before), "^".repeat(carets));
        Failure::usage(format!("{what}: {}", error.message())).details(marked).hint(hint)
    })
}

/// Whom a rule or a segment, which `what` says, is about.
pub(crate) fn when(what: &str, text: &str) -> Done<When> {
    parse(what, text, WHEN_FORMS)
}

/// Refuses a text that names a segment which the store lacks.
pub(crate) async fn must_exist(store: &Store, when: &When) -> Done {
    let mut segments = Vec::new();
    when.each_segment(&mut |segment| segments.push(segment.to_owned()));
    for segment in segments {
        let found = store.inner.get(&stored_name(&segment)).await.map_err(|error| store.failure(&error))?;
        if found.is_none() {
            return Err(store.no_such_segment(&segment).await);
        }
    }
    Ok(())
}
