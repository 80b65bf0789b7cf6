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
//! OpenFeature reads a flag by a key and a type:
//!
//! | type | key | value |
//! |---|---|---|
//! | bool | `FLAG` | the flag's answer for this context, as by [`evaluate`](flipper::FeatureFlagClient::evaluate) |
//! | string, int, float, struct | `FLAG/KEY` | `KEY` in the flag's client data; `FLAG/KEY/INNER` for nested objects |
//! | string, int, float | `FLAG` | `value` in the client data |
//! | struct | `FLAG` | all of the client data |
//!
//! Of a flag with [variants](flipper::targeting::Variants) the key `FLAG` has the value of the caller's variant, of whatever type it is, and
//! the variant's name in the details; a bool is that only if the variants are booleans, else the flag's answer. `FLAG/KEY` stays.
//!
//! A flag that is off for the context, without a variant for that, has only the error `FLAG_OFF`, so that the caller's default applies. A float may be stored as an
//! integer. A null in an object is omitted.
//!
//! # Context
//!
//! The targeting key becomes the attribute `targeting_key`, or the one set by [`targeting_key_as`](FlipperProvider::targeting_key_as);
//! custom fields become attributes, sorted by name. A date is an integer, seconds since 1970. A struct is a [`flipper::json::Json`],
//! [`flipper::json::Object`], `open_feature::Value` or `open_feature::StructValue`; any other is an `INVALID_CONTEXT` error, since a
//! condition on a missing attribute is skipped.
//!
//! # Reasons and errors
//!
//! | reason of Flipper | OpenFeature | variant |
//! |---|---|---|
//! | enabled for everyone | `STATIC` | `on` |
//! | disabled, or off by its schedule | `DISABLED` | `off`, or the one for that |
//! | conditions, all on attributes that the context lacks | `DEFAULT` | `on` |
//! | conditions, deny conditions, rules, a prerequisite that is off, a custom bucketer | `TARGETING_MATCH` | `on`, `off`, or the caller's |
//! | bucket, random, a rule for a share of callers | `SPLIT` | the same |
//! | overridden by a test | `OVERRIDDEN` | `on`, `off` |
//! | missing flag | error `FLAG_NOT_FOUND`; before the store's flags are in memory, `PROVIDER_NOT_READY` | |
//! | the stored flag is unreadable, or its percentage is no number | error `PARSE_ERROR` | |
//! | an attribute's type does not match a condition | error `INVALID_CONTEXT` | |
//! | the attribute to choose callers or a variant by is missing | error `TARGETING_KEY_MISSING` | |
//! | the value has another type, or the key is missing | error `TYPE_MISMATCH` | |
//!
//! With an error the SDK's client returns no value; fall back to that of a flag that is off.
//!
//! A flag's metadata are the strings, numbers and booleans of its client data, `flipper.reason`,
//! [`flipper.reason_code`](flipper::evaluation::Reason::code), `flipper.created_date`, `flipper.bucket_score`, and `flipper.not_given`:
//! attributes that the flag uses and the context lacks, so that **conditions on them were skipped**. An answer whose reason is `enabled` or
//! `disabled`, of a flag without such client data, has no metadata: the reason says all, and the SDK copies each entry several times.

mod context;
mod provider;
mod reason;
mod value;

pub use provider::FlipperProvider;

/// Its example is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
