//! Entity tags.

use std::hash::{BuildHasher, Hasher};

use foldhash::quality::{FixedState, FoldHasher};
use http::header::IF_NONE_MATCH;
use http::{HeaderMap, HeaderValue};

use crate::hex;

/// A strong validator of these bytes: a hash, the same for every server of the same version.
pub(crate) fn of(body: &[u8]) -> String {
    quoted(hash(body))
}

pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(0).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

fn quoted(hash: u64) -> String {
    let mut tag = String::with_capacity(18);
    tag.push('"');
    hex::push(hash, &mut tag);
    tag.push('"');
    tag
}

/// A strong validator of a body in parts, by their hashes. The same bytes in other parts have another one.
pub(crate) struct Parts(FoldHasher<'static>);

impl Parts {
    pub(crate) fn new() -> Self {
        Self(FixedState::with_seed(0).build_hasher())
    }

    pub(crate) fn add(&mut self, hash: u64) {
        self.0.write_u64(hash);
    }

    pub(crate) fn tag(&self) -> String {
        quoted(self.0.finish())
    }
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
