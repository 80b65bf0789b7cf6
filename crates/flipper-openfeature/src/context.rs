use std::any::Any;

use flipper::context;
use flipper::json::{Json, Object};
use open_feature::{
    EvaluationContext, EvaluationContextFieldValue as Field, EvaluationErrorCode, EvaluationResult, StructValue, Value,
};

use crate::provider::error;

/// By default.
pub(crate) const TARGETING_KEY: &str = "targeting_key";

/// So many attributes are on the stack.
const FEW: usize = 8;

/// Reads the context in place. Custom fields are sorted by name, to make calls repeatable; the targeting key is last, or has the place of a field
/// of its name.
pub(crate) fn with_attributes<T>(
    context: &EvaluationContext,
    targeting_key: &str,
    read: impl FnOnce(&[(&str, context::Value<'_>)]) -> EvaluationResult<T>,
) -> EvaluationResult<T> {
    let fields = &context.custom_fields;
    let mut converted = Vec::new();
    for (name, value) in fields {
        if let Field::Struct(value) = value
            && !value.is::<Json>()
        {
            converted.push(convert(name, &**value)?);
        }
    }
    let mut converted = converted.iter();
    let (mut few, mut many);
    let mut attributes = if fields.len() < FEW {
        few = [("", context::Value::Null); FEW];
        &mut few[..]
    } else {
        many = vec![("", context::Value::Null); fields.len() + 1];
        &mut many[..]
    };
    for (attribute, (name, value)) in attributes.iter_mut().zip(fields) {
        let value = match value {
            Field::Bool(value) => (*value).into(),
            Field::Int(value) => (*value).into(),
            Field::Float(value) => (*value).into(),
            Field::String(value) => value.into(),
            Field::DateTime(value) => value.unix_timestamp().into(),
            Field::Struct(value) => value.downcast_ref::<Json>().or_else(|| converted.next()).into(),
        };
        *attribute = (name, value);
    }
    let mut count = fields.len();
    if count > 1 {
        attributes[..count].sort_unstable_by_key(|(name, _)| *name);
    }
    if let Some(key) = &context.targeting_key {
        let place = attributes[..count].iter().position(|(name, _)| *name == targeting_key).unwrap_or(count);
        attributes[place] = (targeting_key, key.into());
        count = count.max(place + 1);
    }
    attributes = &mut attributes[..count];
    read(attributes)
}

#[cold]
fn convert(name: &str, value: &(dyn Any + Send + Sync)) -> EvaluationResult<Json> {
    let json = value.downcast_ref().map(|object: &Object| Json::Object(object.clone()));
    let json = json.or_else(|| value.downcast_ref().map(to_json)).or_else(|| value.downcast_ref().map(struct_to_json));
    json.ok_or_else(|| {
        let message = format!(
            "the struct in the field {name:?} is of an unknown type: use flipper::json::Json, flipper::json::Object, \
             open_feature::Value or open_feature::StructValue"
        );
        error(EvaluationErrorCode::InvalidContext, message)
    })
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
