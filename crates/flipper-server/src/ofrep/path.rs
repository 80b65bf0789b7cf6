use std::borrow::Cow;

use percent_encoding::percent_decode_str;

#[derive(Debug, PartialEq)]
pub(super) enum Target<'a> {
    Single(Cow<'a, str>),
    Bulk,
    Stream,
    Unknown,
}

/// Whether a path is OFREP's, as its routes have it. Clients repeat the slash of a base URL that ends with one.
pub(crate) fn is_ofrep(path: &str) -> bool {
    match path.strip_prefix("//ofrep/") {
        Some(rest) => !rest.is_empty(),
        None => path.strip_prefix("/ofrep").is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
    }
}

/// Whether it is the path of the stream, which shows no flag.
pub(crate) fn is_stream(path: &str) -> bool {
    target(path) == Target::Stream
}

/// The key is the rest of the path, since some clients encode its slashes and others do not.
pub(super) fn target(path: &str) -> Target<'_> {
    match folded(path) {
        Cow::Borrowed(path) => split(path),
        Cow::Owned(path) => match split(&path) {
            Target::Single(key) => Target::Single(Cow::Owned(key.into_owned())),
            Target::Bulk => Target::Bulk,
            Target::Stream => Target::Stream,
            Target::Unknown => Target::Unknown,
        },
    }
}

fn split(path: &str) -> Target<'_> {
    match path.strip_prefix("/ofrep/v1/") {
        Some("evaluate/flags") => Target::Bulk,
        Some("streams/flags") => Target::Stream,
        // Lenient: clients send a `%` that begins no escape. A `+` is a plus.
        Some(rest) => match rest.strip_prefix("evaluate/flags/") {
            Some(key) if !key.contains('%') => Target::Single(key.into()),
            Some(key) => Target::Single(percent_decode_str(key).decode_utf8_lossy()),
            None => Target::Unknown,
        },
        None => Target::Unknown,
    }
}

/// With single slashes. An encoded slash is left alone.
fn folded(path: &str) -> Cow<'_, str> {
    if !path.contains("//") {
        return Cow::Borrowed(path);
    }
    let mut folded = String::with_capacity(path.len());
    for c in path.chars() {
        if c != '/' || !folded.ends_with('/') {
            folded.push(c);
        }
    }
    Cow::Owned(folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_clients_write_them() {
        let cases = [
            ("/ofrep/v1/evaluate/flags/a", "a"),
            ("/ofrep/v1/evaluate/flags/a/b%20c", "a/b c"),
            ("/ofrep/v1/evaluate/flags/a%2Fb%20c%3Fd", "a/b c?d"),
            ("//ofrep//v1/evaluate///flags//a", "a"),
            ("/ofrep/v1/evaluate/flags/a//b", "a/b"),
            ("/ofrep/v1/evaluate/flags/a%2F%2Fb", "a//b"),
            ("/ofrep/v1/evaluate/flags/100%", "100%"),
            ("/ofrep/v1/evaluate/flags/100%25", "100%"),
            ("/ofrep/v1/evaluate/flags/100%2525", "100%25"),
            ("/ofrep/v1/evaluate/flags/a+b", "a+b"),
            ("/ofrep/v1/evaluate/flags/%C3%A9%FF", "é\u{fffd}"),
            ("/ofrep/v1/evaluate/flags/", ""),
            ("/ofrep/v1/evaluate/flags/a/", "a/"),
        ];
        for (path, key) in cases {
            assert_eq!(target(path), Target::Single(key.into()), "{path}");
        }
        assert_eq!(target("/ofrep/v1/evaluate/flags"), Target::Bulk);
        assert_eq!(target("//ofrep/v1/evaluate/flags"), Target::Bulk);
        assert_eq!(target("/ofrep/v1/streams/flags"), Target::Stream);
        for path in
            ["/ofrep", "/ofrep/", "/ofrep/v2/evaluate/flags", "/ofrep/v1/evaluate/flagsa", "/ofrep/v1/configuration"]
        {
            assert_eq!(target(path), Target::Unknown, "{path}");
        }
    }

    #[test]
    fn its_paths_are_recognised() {
        for path in ["/ofrep", "/ofrep/", "//ofrep/v1", "/ofrep/v1/evaluate/flags"] {
            assert!(is_ofrep(path), "{path}");
        }
        for path in ["/", "/ofrepx", "/api/v1/ofrep", "", "//ofrep", "//ofrep/", "///ofrep/v1", "ofrep/v1"] {
            assert!(!is_ofrep(path), "{path}");
        }
    }
}
