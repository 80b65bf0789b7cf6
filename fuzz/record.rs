//! Properties of any stored text and any attributes. Run by the fuzzer, and by a test over the corpus.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use flipper::evaluation::{Clock, RandomSource, Reason};
use flipper::json::Json;
use flipper::{Context, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};

#[derive(Debug)]
struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000)
    }
}

impl RandomSource for Fixed {
    fn next(&self) -> f64 {
        0.5
    }
}

/// The stored text up to the first line break, which none of our texts has; then the attributes as a JSON object.
pub(crate) fn check(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == b'\n');
    let text = parts.next().unwrap_or_default();
    let attributes = parts.next().unwrap_or_default();

    let record = FlagRecord::from_json(text);
    if let Ok(record) = &record {
        let written = record.to_json();
        let again = FlagRecord::from_json(&written).unwrap_or_else(|error| panic!("{written} cannot be read: {error}"));
        assert_eq!(&again, record, "from {written}");
        assert_eq!(again.to_json(), written);
    }

    let store = MemoryFeatureFlagStore::new();
    store.put_text("FLAG", text);
    let features = FeatureFlagClient::builder().clock(Fixed).random(Fixed).build(store);
    assert_eq!(features.record("FLAG").is_ok(), record.is_ok());
    assert_eq!(features.status().corrupt.is_empty(), record.is_ok());

    let mut context = Context::new();
    if let Ok(Json::Object(attributes)) = Json::from_slice(attributes) {
        for (name, value) in &attributes {
            context.insert(name, value);
        }
    }
    let evaluation = features.evaluate("FLAG", &context);
    assert_eq!(evaluation.is_enabled, features.is_enabled_with("FLAG", &context), "{evaluation}");
    assert_eq!(evaluation.reason == Reason::Corrupt, record.is_err(), "{evaluation}");
    assert_eq!(features.evaluate("FLAG", &Context::new()).is_enabled, features.is_enabled("FLAG"));
}
