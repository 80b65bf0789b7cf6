use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};

use super::S3FeatureFlagStore;
use crate::error::{Error, Result};
use crate::stores::kinds::S3;
use crate::stores::url_parts::{Parts, duration, set};

const FORM: &str = "an S3 store's URL is `s3://BUCKET[/PREFIX][?region=…&endpoint=https://…&poll=5s]`";
const LOGIN: &str = "an S3 store's URL holds no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead";
const POLL: &str = "the parameter `poll` of an S3 store's URL is a time from `50ms` to `10m`, such as `5s`";

/// The environment has the defaults, and always the credentials.
pub(super) fn parse(url: &str) -> Result<S3FeatureFlagStore> {
    parse_with(url, AmazonS3Builder::from_env())
}

fn parse_with(url: &str, client: AmazonS3Builder) -> Result<S3FeatureFlagStore> {
    let mut parts = Parts::parse(url, S3.schemes, FORM)?;
    parts.refuse_login(LOGIN)?;
    let bucket = parts.authority().to_owned();
    let is_bucket = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if bucket.is_empty() || bucket.len() > 255 || !bucket.chars().all(is_bucket) {
        return Err(Error::invalid_input(FORM));
    }
    let prefix = parts.decoded_path()?;
    let parameters = &mut parts.parameters;
    let endpoint = parameters.take("endpoint");
    if endpoint.as_deref().is_some_and(|text| !text.starts_with("http://") && !text.starts_with("https://")) {
        return Err(Error::invalid_input("`endpoint` in an S3 store's URL begins with `https://` or `http://`"));
    }
    // This one precedes the others of the environment.
    let with_endpoint = |client: AmazonS3Builder, url| client.with_config(AmazonS3ConfigKey::S3Endpoint, url);
    let client = set(client.with_bucket_name(bucket), endpoint, with_endpoint);
    let client = set(client, parameters.take("region"), AmazonS3Builder::with_region);
    let poll = parameters.take("poll");
    let in_range = |time: &Duration| (Duration::from_millis(50)..=Duration::from_secs(600)).contains(time);
    let poll =
        poll.map(|time| duration(&time).filter(in_range).ok_or_else(|| Error::invalid_input(POLL))).transpose()?;
    let unconditional = parameters.take_one_of("unconditional_writes", &[("true", true), ("false", false)])?;
    parts.parameters.refuse_rest(S3.parameters)?;
    let store = S3FeatureFlagStore::new(client)?.prefix(prefix)?;
    let store = set(store, poll, S3FeatureFlagStore::poll_every);
    Ok(set(store, unconditional, S3FeatureFlagStore::unconditional_writes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FeatureFlagStore;

    fn parsed(url: &str) -> Result<S3FeatureFlagStore> {
        let keys = AmazonS3Builder::new().with_access_key_id("key").with_secret_access_key("s3cr3t");
        parse_with(url, keys.with_region("eu-west-1"))
    }

    #[test]
    fn urls() {
        for (url, shown, place) in [
            ("s3://flags", "S3(flags)", "s3://flags"),
            ("s3://flags/shop/features/", "S3(flags/shop/features)", "s3://flags/shop/features"),
            ("s3://flags/a%20b?region=us-east-2&poll=500ms", "S3(flags/a b)", "s3://flags/a%20b"),
            (
                "s3://My_flags.x?endpoint=http://127.0.0.1:9000/&unconditional_writes=true",
                "S3(My_flags.x)",
                "s3://My_flags.x?endpoint=http://127.0.0.1:9000",
            ),
        ] {
            let store = parsed(url).unwrap();
            assert_eq!((store.to_string().as_str(), store.identity().to_string().as_str()), (shown, place), "{url}");
            assert!(!format!("{store:?}").contains("s3cr3t"), "{store:?}");
        }
        let debug = format!("{:?}", parsed("s3://flags/p?region=us-east-2&poll=1m").unwrap());
        for part in ["https://s3.us-east-2.amazonaws.com/flags", "\"p\"", "60s"] {
            assert!(debug.contains(part), "{part} in {debug}");
        }
    }

    #[test]
    fn messages_hold_no_secret() {
        for url in [
            "s3:s3cr3t",
            "s3://key:s3cr3t@flags",
            "s3:///s3cr3t",
            "s3://flags:s3cr3t",
            "s3://flags?secret=s3cr3t",
            "s3://flags?poll=s3cr3t",
            "s3://flags?poll=1ms",
            "s3://flags?endpoint=s3cr3t",
            "s3://flags?endpoint=https://key:s3cr3t@host",
            "s3://flags?endpoint=https%3A%2F%2Fkey%3As3cr3t%40host",
            "s3://flags?unconditional_writes=s3cr3t",
            "s3://flags/a//b",
        ] {
            let error = parsed(url).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{url}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
        // As AWS_ENDPOINT_URL.
        let client = AmazonS3Builder::new().with_bucket_name("flags").with_endpoint("https://key:s3cr3t@host");
        let error = S3FeatureFlagStore::new(client).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    }
}
