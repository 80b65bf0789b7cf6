//! Entity tags.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::FixedState;
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};

use crate::hex;

/// A strong validator of these bytes: a hash, the same for every server of the same version.
pub(crate) fn of(body: &[u8]) -> String {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(body);
    let mut tag = String::with_capacity(18);
    tag.push('"');
    hex::push(hasher.finish(), &mut tag);
    tag.push('"');
    tag
}

/// Whether `If-None-Match` has this tag, strong or weak, or is `*`.
pub(crate) fn matches(headers: &HeaderMap, tag: &str) -> bool {
    // None of our tags has a comma.
    let tags = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
    tags.map(str::trim).any(|other| other == "*" || other.strip_prefix("W/").unwrap_or(other) == tag)
}

pub(crate) fn header(tag: String) -> Option<HeaderValue> {
    HeaderValue::try_from(tag).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_matches_as_clients_and_proxies_send_it() {
        let tag = of(b"{}");
        assert_ne!(tag, of(b"{ }"));
        let asked = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IF_NONE_MATCH, value.parse().unwrap());
            }
            matches(&headers, &tag)
        };
        assert!(asked(&[&tag]));
        assert!(asked(&[&format!("W/{tag}")]));
        assert!(asked(&[&format!("\"a\", W/{tag},\"b\"")]));
        assert!(asked(&["\"a\"", &tag]));
        assert!(asked(&["*"]));
        for other in ["", "\"a\"", tag.trim_matches('"'), "w/x"] {
            assert!(!asked(&[other]), "{other}");
        }
        assert!(!asked(&[]));
    }
}
