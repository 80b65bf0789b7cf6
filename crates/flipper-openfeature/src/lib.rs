//! Flipper's flags as a provider of the [OpenFeature](https://openfeature.dev) SDK.
//!
//! ```
//! use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore};
//! use flipper_openfeature::FlipperProvider;
//! use open_feature::{EvaluationContext, EvaluationReason, OpenFeature};
//!
//! # futures_executor::block_on(async {
//! let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
//! features.create("NEW_CHECKOUT").enabled(true).client_data(serde_json::json!({ "button": "green" })).await?;
//! features.add_condition("NEW_CHECKOUT", Condition::new().eq("plan", "pro")).await?;
//!
//! let mut api = OpenFeature::singleton_mut().await;
//! api.set_provider(FlipperProvider::new(&features).targeting_key_as("user_id")).await;
//! let client = api.create_client();
//!
//! let pro = EvaluationContext::default().with_targeting_key("7").with_custom_field("plan", "pro");
//! let details = client.get_bool_details("NEW_CHECKOUT", Some(&pro), None).await.unwrap();
//! assert!(details.value);
//! assert_eq!(details.reason, Some(EvaluationReason::TargetingMatch));
//!
//! let button = client.get_string_value("NEW_CHECKOUT/button", Some(&pro), None).await;
//! assert_eq!(button.as_deref(), Ok("green"));
//! # Ok::<(), flipper::Error>(()) }).unwrap();
//! ```
//!
//! # Flags and values
//!
//! A flag of OpenFeature is asked for by a key, and a type:
//!
//! | asked for | key | value |
//! |---|---|---|
//! | bool | `FLAG` | the flag's answer for this context, as by [`evaluate`](flipper::FeatureFlagClient::evaluate) |
//! | string, int, float, struct | `FLAG/KEY` | what the flag's client data have under `KEY`; `FLAG/KEY/INNER` goes into objects |
//! | string, int, float | `FLAG` | what they have under `value` |
//! | struct | `FLAG` | all of the client data |
//!
//! A value is there while the flag is on for the context; while it is off there is the error `FLAG_OFF`, so that the caller's
//! own default applies. An integer is a float too, where a float is asked for. A null in an object is left out.
//!
//! # Context
//!
//! The targeting key becomes the attribute `targeting_key`, or what [`targeting_key_as`](FlipperProvider::targeting_key_as) says;
//! custom fields become attributes of their names, in the order of the names. A date is seconds since 1970, an integer. A struct
//! may hold a [`flipper::json::Json`], [`flipper::json::Object`], `open_feature::Value` or `open_feature::StructValue`. Any other type is an
//! `INVALID_CONTEXT` error, since a condition on an attribute that is left out would not be looked at.
//!
//! # Reasons and errors
//!
//! | reason of Flipper | OpenFeature | variant |
//! |---|---|---|
//! | enabled for everybody | `STATIC` | `on` |
//! | disabled | `DISABLED` | `off` |
//! | conditions, of whose attributes the context has none | `DEFAULT` | `on` |
//! | conditions, deny conditions, a bucketer of your own | `TARGETING_MATCH` | `on`, `off` |
//! | bucket, random | `SPLIT` | `on`, `off` |
//! | overridden by a test | `OVERRIDDEN` | `on`, `off` |
//! | no such flag | error `FLAG_NOT_FOUND`; before the store's flags are in memory, `PROVIDER_NOT_READY` | |
//! | the stored flag cannot be read, or its percentage is no number | error `PARSE_ERROR` | |
//! | an attribute's type does not go with a condition | error `INVALID_CONTEXT` | |
//! | off, as the attribute is missing that tells callers apart | error `TARGETING_KEY_MISSING` | |
//! | the value has another type, or there is none under the key | error `TYPE_MISMATCH` | |
//!
//! With an error the SDK's client gives no value; take what the flag is when it is off.
//!
//! A flag's metadata has its client data, as far as they are strings, numbers or booleans, and `flipper.reason`,
//! [`flipper.reason_code`](flipper::evaluation::Reason::code), `flipper.created_date`, `flipper.bucket_score`, and
//! `flipper.not_given`: attributes that the flag looks at and the context lacks, so that **conditions on them were not looked at**.

mod context;
mod provider;
mod reason;
mod value;

pub use provider::FlipperProvider;
