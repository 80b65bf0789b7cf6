use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Json, MAX_DEPTH, Number, NumberRef, Object, parse_str};

/// The name of `serde_json`'s `RawValue`, the only way around its numbers; other formats read a plain value.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";

pub(super) fn to_serde(json: &Json) -> serde_json::Value {
    match json {
        Json::Null => serde_json::Value::Null,
        Json::Bool(value) => (*value).into(),
        Json::Number(number) => match number.as_ref() {
            NumberRef::Int(value) => value.into(),
            NumberRef::Float(value) => value.into(),
            NumberRef::Big(digits) => match (digits.parse::<u64>(), number.as_f64()) {
                (Ok(value), _) => value.into(),
                (_, Some(value)) => value.into(),
                _ => digits.into(),
            },
        },
        Json::String(text) => text.as_str().into(),
        Json::LoneSurrogates(text) => text.as_str().into(),
        Json::Array(items) => items.iter().map(to_serde).collect(),
        Json::Object(object) => object.iter().map(|(key, value)| (key, to_serde(value))).collect(),
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(number) => number.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::LoneSurrogates(text) => serializer.serialize_str(text.as_str()),
            Self::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (key, value) in self {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_ref() {
            NumberRef::Int(value) => serializer.serialize_i64(value),
            NumberRef::Float(value) => serializer.serialize_f64(value),
            NumberRef::Big(digits) => match digits.parse() {
                Ok(value) => serializer.serialize_u64(value),
                Err(_) => {
                    let raw = RawValue::from_string(digits.to_owned()).map_err(serde::ser::Error::custom)?;
                    raw.serialize(serializer)
                }
            },
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(RAW_VALUE, Reader { raw: true, depth: 0 })
    }
}

#[derive(Clone, Copy)]
struct Reader {
    /// Whether a map may be the wrapper of raw text.
    raw: bool,
    depth: usize,
}

impl Reader {
    fn deeper<E: de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH {
            return Err(E::custom(format!("nests deeper than {MAX_DEPTH}")));
        }
        Ok(Self { raw: false, depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Reader {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Self { raw: false, ..self })
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty;)*) => {$(
        fn $method<E: de::Error>(self, value: $type) -> Result<Json, E> {
            Ok(value.into())
        }
    )*};
}

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        self.deserialize(deserializer)
    }

    scalars! {
        visit_bool: bool;
        visit_i64: i64;
        visit_u64: u64;
        visit_i128: i128;
        visit_u128: u128;
        visit_str: &str;
        visit_string: String;
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Json, E> {
        value.try_into().map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut items = Vec::new();
        while let Some(item) = seq.next_element_seed(seed)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let seed = self.deeper()?;
        let mut object = Object::new();
        while let Some(key) = map.next_key::<String>()? {
            if self.raw && key == RAW_VALUE {
                return parse_str(&map.next_value::<String>()?).map_err(de::Error::custom);
            }
            object.insert(key, map.next_value_seed(seed)?);
        }
        Ok(object.into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::ErrorKind;

    fn sample() -> Json {
        let text = r#"{"z": [1, -9223372036854775809, 18446744073709551615, 0.5], "a": {"é": null}, "b": true}"#;
        Json::parse(&text.replace("0.5", &"7".repeat(400))).unwrap()
    }

    #[test]
    fn serde_json_text_keeps_digits_and_order() {
        let text = serde_json::to_string(&sample()).unwrap();
        let read: Json = serde_json::from_str(&text).unwrap();
        assert_eq!(read.to_string(), sample().to_string());
    }

    #[test]
    fn from_serialize_keeps_digits_and_order() {
        #[derive(Debug)]
        struct Holder(Json);
        impl Serialize for Holder {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_newtype_variant("Holder", 0, "held", &self.0)
            }
        }
        let json = Json::from_serialize(&Holder(sample())).unwrap();
        assert_eq!(json.get("held").unwrap().to_string(), sample().to_string());
    }

    #[test]
    fn from_serialize_follows_serde_json() {
        let value = (BTreeMap::from([(1, 'a')]), 0.1_f32, Some("x"), (), None::<i8>, i128::MIN, [1_u8; 2]);
        let json = Json::from_serialize(&value).unwrap();
        assert_eq!(
            json.to_string(),
            r#"[{"1": "a"}, 0.1, "x", null, null, -170141183460469231731687303715884105728, [1, 1]]"#
        );
        assert_eq!(json, Json::parse(&serde_json::to_string(&value).unwrap()).unwrap());
    }

    #[test]
    fn from_serialize_refuses_what_json_cannot_hold() {
        for refused in [
            Json::from_serialize(&f64::INFINITY),
            Json::from_serialize(&vec![f32::NAN]),
            Json::from_serialize(&BTreeMap::from([(vec![1], 1)])),
            Json::from_serialize(&(0..=MAX_DEPTH).fold(Json::Null, |inner, _| vec![inner].into())),
        ] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn reads_from_values_that_are_not_text() {
        let value = serde_json::json!({"a": [1, 2.5, u64::MAX, null, "x", true], "b": {}});
        let json: Json = serde_json::from_value(value.clone()).unwrap();
        assert_eq!(json.to_serde(), value);
        let json = Json::deserialize(serde::de::value::U64Deserializer::<de::value::Error>::new(u64::MAX)).unwrap();
        assert_eq!(json, u64::MAX.into());
    }

    #[test]
    fn to_serde_does_what_it_can() {
        let value = sample().to_serde();
        assert_eq!(value["z"][1], serde_json::json!(-9223372036854775808.0));
        assert_eq!(value["z"][2], serde_json::json!(u64::MAX));
        assert_eq!(value["z"][3], serde_json::json!("7".repeat(400)));
    }
}
