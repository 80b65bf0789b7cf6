//! `redis://…?base_key=…`.

use redis::Client;

use super::RedisFeatureFlagStore;
use crate::error::{Error, Result};

const FORM: &str =
    "a Redis store's URL is `redis://[USER[:PASSWORD]@]HOST[:PORT][/DATABASE][?base_key=KEY]`, or `rediss:` for TLS";

pub(super) fn connect(text: &str) -> Result<RedisFeatureFlagStore> {
    let Some(mut url) = redis::parse_redis_url(text) else {
        return Err(Error::invalid_input(FORM));
    };
    let mut base_key = None;
    let mut rest = Vec::new();
    for (name, value) in url.query_pairs() {
        match &*name {
            "base_key" => base_key = Some(value.into_owned()),
            "protocol" => rest.push((name.into_owned(), value.into_owned())),
            _ => {
                return Err(Error::invalid_input(
                    "a Redis store's URL has a parameter other than `base_key` and `protocol`",
                ));
            }
        }
    }
    url.set_query(None);
    if !rest.is_empty() {
        url.query_pairs_mut().extend_pairs(rest);
    }
    let client = Client::open(url).map_err(|error| Error::invalid_input(FORM).with_source(error))?;
    let store = RedisFeatureFlagStore::new(client);
    Ok(match base_key {
        Some(base_key) => store.base_key(base_key),
        None => store,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn urls() {
        let shown = |url: &str| connect(url).unwrap().to_string();
        assert_eq!(shown("redis://localhost"), "Redis(features)");
        assert_eq!(shown("rediss://u:p@[::1]:7000/3?base_key=a%2Fb&protocol=resp3"), "Redis(a/b)");
    }

    #[test]
    fn messages_hold_no_password() {
        for url in
            ["redis:/nowhere:secret", "redis://u:secret@h/notadb", "redis://u:secret@h?base=x", "http://u:secret@h"]
        {
            let error = connect(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
        }
        let store = connect("redis://u:secret@localhost").unwrap();
        assert!(!format!("{store} {store:?}").contains("secret"));
    }
}
