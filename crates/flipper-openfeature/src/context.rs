use flipper::Context;
use flipper::json::{Json, Object};
use open_feature::{
    EvaluationContext, EvaluationContextFieldValue, EvaluationErrorCode, EvaluationResult, StructValue, Value,
};

use crate::provider::error;

/// By default.
pub(crate) const TARGETING_KEY: &str = "targeting_key";

/// Custom fields sorted by name, to make calls repeatable; the targeting key last, since it replaces a field of its name.
pub(crate) fn attributes(context: &EvaluationContext, targeting_key: &str) -> EvaluationResult<Context> {
    let mut fields: Vec<_> = context.custom_fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    let mut attributes = Context::new();
    for (name, value) in fields {
        match value {
            EvaluationContextFieldValue::Bool(value) => attributes.insert(name, *value),
            EvaluationContextFieldValue::Int(value) => attributes.insert(name, *value),
            EvaluationContextFieldValue::Float(value) => attributes.insert(name, *value),
            EvaluationContextFieldValue::String(value) => attributes.insert(name, value),
            EvaluationContextFieldValue::DateTime(value) => attributes.insert(name, value.unix_timestamp()),
            EvaluationContextFieldValue::Struct(value) => {
                let json = value.downcast_ref::<Json>().cloned();
                let json = json
                    .or_else(|| Some(Json::Object(value.downcast_ref::<Object>()?.clone())))
                    .or_else(|| value.downcast_ref().map(to_json))
                    .or_else(|| value.downcast_ref().map(struct_to_json))
                    .ok_or_else(|| {
                        let message = format!(
                            "the struct in the field {name:?} is of an unknown type: use flipper::json::Json, flipper::json::Object, \
                             open_feature::Value or open_feature::StructValue"
                        );
                        error(EvaluationErrorCode::InvalidContext, message)
                    })?;
                attributes.insert(name, &json);
            }
        }
    }
    if let Some(key) = &context.targeting_key {
        attributes.insert(targeting_key, key);
    }
    Ok(attributes)
}

fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::Int(value) => Json::from(*value),
        // JSON has no NaN and no infinities.
        Value::Float(value) => flipper::json::Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::String(value) => Json::from(value.as_str()),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Struct(value) => struct_to_json(value),
    }
}

fn struct_to_json(value: &StructValue) -> Json {
    let mut fields: Vec<_> = value.fields.iter().collect();
    fields.sort_unstable_by_key(|(name, _)| *name);
    Json::Object(fields.into_iter().map(|(name, value)| (name, to_json(value))).collect())
}
