//! Serializes to [`Json`], by the rules of `serde_json`.

use std::fmt::{self, Display};

use serde::ser::{self, Serialize, Serializer};

use super::serde::RAW_VALUE;
use super::{Json, MAX_DEPTH, Number, Object, parse_str};
use crate::{Error, Result};

pub(super) fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<Json> {
    value.serialize(ToJson { depth: 0 }).map_err(|Failed(message)| Error::invalid_input(message))
}

/// A type of its own, so that [`Error`] need not implement serde's trait.
#[derive(Debug)]
struct Failed(String);

impl Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}

impl ser::Error for Failed {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

type Done<T = Json> = Result<T, Failed>;

#[derive(Clone, Copy)]
struct ToJson {
    depth: usize,
}

impl ToJson {
    fn deeper(self) -> Done<Self> {
        if self.depth == MAX_DEPTH {
            return Err(Failed(format!("value nests deeper than {MAX_DEPTH}")));
        }
        Ok(Self { depth: self.depth + 1 })
    }

    fn array(self, variant: Option<&'static str>) -> Done<Array> {
        // A variant is an object around its fields.
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(Array { items: Vec::new(), each: outer.deeper()?, variant })
    }

    fn map(self, variant: Option<&'static str>) -> Done<Map> {
        let outer = if variant.is_some() { self.deeper()? } else { self };
        Ok(Map { object: Object::new(), key: String::new(), each: outer.deeper()?, variant })
    }
}

fn wrap(variant: Option<&str>, value: Json) -> Json {
    match variant {
        Some(variant) => Json::Object([(variant, value)].into_iter().collect()),
        None => value,
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty => $json:ty;)*) => {$(
        fn $method(self, value: $type) -> Done {
            Ok(<$json>::from(value).into())
        }
    )*};
}

impl Serializer for ToJson {
    type Ok = Json;
    type Error = Failed;
    type SerializeSeq = Array;
    type SerializeTuple = Array;
    type SerializeTupleStruct = Array;
    type SerializeTupleVariant = Array;
    type SerializeMap = Map;
    type SerializeStruct = Struct;
    type SerializeStructVariant = Map;

    scalars! {
        serialize_bool: bool => bool;
        serialize_i8: i8 => i32;
        serialize_i16: i16 => i32;
        serialize_i32: i32 => i32;
        serialize_i64: i64 => i64;
        serialize_i128: i128 => i128;
        serialize_u8: u8 => u32;
        serialize_u16: u16 => u32;
        serialize_u32: u32 => u32;
        serialize_u64: u64 => u64;
        serialize_u128: u128 => u128;
        serialize_char: char => String;
        serialize_str: &str => String;
    }

    fn serialize_f32(self, value: f32) -> Done {
        // 0.1_f32 becomes 0.1, as in serde_json's text, not 0.10000000149011612.
        value.to_string().parse().map_or_else(|_| self.serialize_f64(value.into()), |value| self.serialize_f64(value))
    }

    fn serialize_f64(self, value: f64) -> Done {
        Number::from_f64(value).map(Json::Number).ok_or_else(|| Failed(format!("{value} is not a JSON number")))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Done {
        Ok(bytes.iter().map(|byte| u32::from(*byte)).collect::<Vec<_>>().into())
    }

    fn serialize_none(self) -> Done {
        Ok(Json::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(Json::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(Json::Null)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Done {
        Ok(variant.into())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        Ok(wrap(Some(variant), value.serialize(self.deeper()?)?))
    }

    fn serialize_seq(self, _: Option<usize>) -> Done<Array> {
        self.array(None)
    }

    fn serialize_tuple(self, _: usize) -> Done<Array> {
        self.array(None)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Done<Array> {
        self.array(None)
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Done<Array> {
        self.array(Some(variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Done<Map> {
        self.map(None)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Done<Struct> {
        if name == RAW_VALUE { Ok(Struct::Raw(self, Json::Null)) } else { self.map(None).map(Struct::Map) }
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Done<Map> {
        self.map(Some(variant))
    }
}

struct Array {
    items: Vec<Json>,
    each: ToJson,
    variant: Option<&'static str>,
}

macro_rules! array {
    ($($trait:ident::$method:ident),*) => {$(
        impl ser::$trait for Array {
            type Ok = Json;
            type Error = Failed;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Done<()> {
                self.items.push(value.serialize(self.each)?);
                Ok(())
            }

            fn end(self) -> Done {
                Ok(wrap(self.variant, Json::Array(self.items)))
            }
        }
    )*};
}
array!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

struct Map {
    object: Object,
    key: String,
    each: ToJson,
    variant: Option<&'static str>,
}

impl ser::SerializeMap for Map {
    type Ok = Json;
    type Error = Failed;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done<()> {
        self.key = match key.serialize(ToJson { depth: MAX_DEPTH })? {
            Json::String(key) => key,
            Json::LoneSurrogates(key) => key.as_str().to_owned(),
            key @ (Json::Bool(_) | Json::Number(_)) => key.to_string(),
            key => return Err(Failed(format!("a map key is {}, not a string", key.type_name()))),
        };
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done<()> {
        self.object.insert(std::mem::take(&mut self.key), value.serialize(self.each)?);
        Ok(())
    }

    fn end(self) -> Done {
        Ok(wrap(self.variant, Json::Object(self.object)))
    }
}

impl ser::SerializeStructVariant for Map {
    type Ok = Json;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done<()> {
        self.object.insert(key, value.serialize(self.each)?);
        Ok(())
    }

    fn end(self) -> Done {
        ser::SerializeMap::end(self)
    }
}

enum Struct {
    Map(Map),
    /// A `serde_json::RawValue`: JSON text in its only field.
    Raw(ToJson, Json),
}

impl ser::SerializeStruct for Struct {
    type Ok = Json;
    type Error = Failed;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Done<()> {
        match self {
            Self::Map(map) => ser::SerializeStructVariant::serialize_field(map, key, value),
            Self::Raw(at, json) => {
                let text = value.serialize(*at)?;
                *json = parse_str(text.as_str().unwrap_or_default()).map_err(Failed)?;
                Ok(())
            }
        }
    }

    fn end(self) -> Done {
        match self {
            Self::Map(map) => ser::SerializeMap::end(map),
            Self::Raw(_, json) => Ok(json),
        }
    }
}
