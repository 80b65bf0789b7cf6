//! Evaluates flags by the Rust SDK's provider: a line of JSON in, a line of JSON out.

use std::error::Error;
use std::io::{BufRead, stdin};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use open_feature::provider::{FeatureProvider, ResolutionDetails};
use open_feature::{EvaluationContext, EvaluationError, EvaluationReason, StructValue, Value};
use open_feature_ofrep::{OfrepOptions, OfrepProvider};
use serde_json::{Value as Json, json};
use time::OffsetDateTime;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let base_url = arguments.next().ok_or("the server's address is missing")?;
    let mut headers = HeaderMap::new();
    if let Some(token) = arguments.next() {
        headers.insert(AUTHORIZATION, format!("Bearer {token}").parse()?);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let provider = OfrepProvider::new(OfrepOptions { base_url, headers, ..OfrepOptions::default() }).await?;
        for line in stdin().lock().lines() {
            let request: Json = serde_json::from_str(&line?)?;
            println!("{}", details(&provider, &request).await);
        }
        Ok(())
    })
}

async fn details(provider: &OfrepProvider, request: &Json) -> Json {
    let key = request["key"].as_str().unwrap_or_default();
    let context = &context(&request["context"]);
    match request["type"].as_str() {
        Some("boolean") => show(provider.resolve_bool_value(key, context).await, request, Json::from),
        Some("string") => show(provider.resolve_string_value(key, context).await, request, Json::from),
        Some("integer") => show(provider.resolve_int_value(key, context).await, request, Json::from),
        Some("float") => show(provider.resolve_float_value(key, context).await, request, Json::from),
        _ => show(provider.resolve_struct_value(key, context).await, request, object),
    }
}

fn context(attributes: &Json) -> EvaluationContext {
    let mut context = EvaluationContext::default();
    for (name, value) in attributes.as_object().into_iter().flatten() {
        context = match value {
            Json::String(key) if name == "targetingKey" => context.with_targeting_key(key),
            Json::String(text) => context.with_custom_field(name, text.as_str()),
            Json::Bool(value) => context.with_custom_field(name, *value),
            Json::Object(object) => {
                match object.get("$date").and_then(Json::as_i64).map(OffsetDateTime::from_unix_timestamp) {
                    Some(Ok(date)) => context.with_custom_field(name, date),
                    _ => context,
                }
            }
            Json::Number(number) => match number.as_i64() {
                Some(int) => context.with_custom_field(name, int),
                None => context.with_custom_field(name, number.as_f64().unwrap_or_default()),
            },
            _ => context,
        };
    }
    context
}

/// As the SDK's client does: the default in place of an error.
fn show<T>(
    result: Result<ResolutionDetails<T>, EvaluationError>,
    request: &Json,
    to_json: impl Fn(T) -> Json,
) -> Json {
    match result {
        Ok(ResolutionDetails { value, variant, reason, .. }) => {
            json!({ "value": to_json(value), "variant": variant, "reason": reason.map(|reason: EvaluationReason| reason.to_string()) })
        }
        Err(EvaluationError { code, message }) => {
            json!({ "value": request["default"], "reason": "ERROR", "errorCode": format!("{code:?}"), "errorMessage": message })
        }
    }
}

fn object(value: StructValue) -> Json {
    value.fields.into_iter().map(|(name, value)| (name, any(value))).collect::<serde_json::Map<_, _>>().into()
}

fn any(value: Value) -> Json {
    match value {
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::String(value) => value.into(),
        Value::Array(items) => items.into_iter().map(any).collect(),
        Value::Struct(value) => object(value),
    }
}
