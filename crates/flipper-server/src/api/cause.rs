//! Who writes, why and from where, for the history. The actor is whom the server knows, else whom the request names; the rest is the
//! request's. Values of headers are percent-encoded.

use flipper::__feed::history::{ACTOR, REASON, SOURCE, VERB};
use flipper::events::Verb;
use flipper::history::Cause;
use flipper::store::{Precondition, WriteOptions};
use flipper::{Error, FeatureFlagClient};
use http::HeaderMap;
use percent_encoding::percent_decode;

use super::caller::Caller;
use super::name::wrong_escape;
use crate::app::App;
use crate::problem::Problem;

/// The client for the writes of a request.
pub(crate) fn writer(app: &App, caller: &Caller, headers: &HeaderMap) -> Result<FeatureFlagClient, Problem> {
    Ok(match cause(caller, headers)? {
        Some(cause) => app.features.with_cause(cause),
        None => app.features.clone(),
    })
}

/// As a store over this server has them, whose writes may also be without a cause.
pub(crate) fn options(caller: &Caller, headers: &HeaderMap) -> Result<WriteOptions, Problem> {
    let mut options = WriteOptions::from(Precondition::Any);
    options.cause = cause(caller, headers)?.map(Into::into);
    // The verb of a newer client may be unknown: then the history has what the write did.
    options.verb = text(headers, VERB)?.as_deref().and_then(Verb::name_of);
    Ok(options)
}

/// `None` if nothing is known.
fn cause(caller: &Caller, headers: &HeaderMap) -> Result<Option<Cause>, Problem> {
    let [claimed, reason, source] = [ACTOR, REASON, SOURCE].map(|name| text(headers, name));
    let (claimed, reason, source) = (claimed?, reason?, source?);
    let actor = caller.actor().or(claimed);
    if actor.is_none() && reason.is_none() && source.is_none() {
        return Ok(None);
    }
    let mut cause =
        Cause::default().with_source(source.as_deref().unwrap_or("api")).map_err(|error| wrong(SOURCE, &error))?;
    if let Some(actor) = actor {
        cause = cause.with_actor(actor).map_err(|error| wrong(ACTOR, &error))?;
    }
    if let Some(reason) = reason {
        cause = cause.with_reason(reason).map_err(|error| wrong(REASON, &error))?;
    }
    Ok(Some(cause))
}

fn text(headers: &HeaderMap, name: &'static str) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(name).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let refused = |detail: String| Problem::bad_request(format!("the header {name} {detail}")).with("header", name);
    if given.next().is_some() {
        return Err(refused("is there twice".to_owned()));
    }
    if let Some(escape) = wrong_escape(&String::from_utf8_lossy(value.as_bytes())) {
        let problem = refused(format!("has the escape {escape:?}, which is not `%` and two hexadecimal digits"));
        return Err(problem.hint("write a `%` as `%25`"));
    }
    let text = percent_decode(value.as_bytes()).decode_utf8();
    let text =
        text.map_err(|_| refused("is not UTF-8".to_owned()).hint("percent-encode the bytes of its UTF-8 text"))?;
    Ok(Some(text.into_owned()))
}

fn wrong(header: &'static str, error: &Error) -> Problem {
    Problem::bad_request(format!("the header {header} is not valid: {error}")).with("header", header)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(name: &'static str, value: &[u8]) -> Result<Option<Cause>, String> {
        let headers = [(name.parse().unwrap(), HeaderValue::from_bytes(value).unwrap())].into_iter().collect();
        cause(&Caller::unknown(), &headers).map_err(|problem| problem.to_object().get("detail").unwrap().to_string())
    }

    #[test]
    fn reasons() {
        assert_eq!(read("x-other", b"x"), Ok(None));
        let reason = |value: &[u8]| read(REASON, value).unwrap().unwrap().reason().unwrap().to_owned();
        assert_eq!(reason(b"incident 42"), "incident 42");
        assert_eq!(reason(b"%D0%B4%D0%B0%0A100%25"), "\u{434}\u{430}\n100%");
        assert_eq!(reason("\u{434}\u{430}".as_bytes()), "\u{434}\u{430}", "as `curl` sends it");
        assert_eq!(reason("%D0%B4".repeat(2048).as_bytes()).len(), 4096);
        for (value, why) in [
            (&b""[..], "the header Flipper-Reason is not valid: reason is empty"),
            (b"%00", "has the character '\\\\0' at byte 0"),
            (b"%zz", "has the escape \\\"%zz\\\""),
            (b"%ff", "is not UTF-8"),
            (&[b'x'; 4097], "reason has 4097 bytes, more than 4096"),
        ] {
            let refused = read(REASON, value).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        assert!(read(ACTOR, b"a%0A").unwrap_err().contains("the header Flipper-Actor is not valid: actor has"));
        assert!(read(SOURCE, &[b'x'; 65]).unwrap_err().contains("source has 65 bytes"));
    }
}
