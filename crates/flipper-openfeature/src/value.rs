use flipper::json::Json;
use open_feature::{StructValue, Value};

pub(crate) fn at<'a>(data: &'a Json, path: &str) -> Result<&'a Json, String> {
    flipper::__openfeature::at(data, path).ok_or_else(|| format!("the client data have nothing under {path:?}"))
}

pub(crate) fn int(value: &Json) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| mismatch("an integer of 64 bits", value))
}

pub(crate) fn float(value: &Json) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| mismatch("a number", value))
}

pub(crate) fn string(value: &Json) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| mismatch("a string", value))
}

pub(crate) fn structure(value: &Json) -> Result<StructValue, String> {
    let object = value.as_object().ok_or_else(|| mismatch("an object", value))?;
    let mut fields = StructValue::default();
    for (name, value) in object.iter().filter(|(_, value)| !value.is_null()) {
        fields.add_field(name, any(value)?);
    }
    Ok(fields)
}

fn any(value: &Json) -> Result<Value, String> {
    Ok(match value {
        Json::Null => return Err(mismatch("a value of OpenFeature", value)),
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(int) => Value::Int(int),
            None => Value::Float(float(value)?),
        },
        Json::String(value) => Value::String(value.clone()),
        Json::LoneSurrogates(value) => Value::String(value.as_str().to_owned()),
        Json::Array(items) => Value::Array(items.iter().map(any).collect::<Result<_, _>>()?),
        Json::Object(_) => Value::Struct(structure(value)?),
    })
}

fn mismatch(wanted: &str, value: &Json) -> String {
    let found = match value {
        Json::Null => "null",
        Json::Bool(_) => "a boolean",
        Json::Number(_) => "a number",
        Json::String(_) | Json::LoneSurrogates(_) => "a string",
        Json::Array(_) => "a list",
        Json::Object(_) => "an object",
    };
    format!("{found} where {wanted} is asked for")
}
