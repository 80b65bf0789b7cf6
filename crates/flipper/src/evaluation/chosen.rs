use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::bucketing::bucket_at;
use crate::conditions::Word;
use crate::context::Attributes;
use crate::json::{Json, NumberRef};
use crate::targeting::{Variants, WHOLE};

/// The variant that a check got. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen(Arc<Inner>);

#[derive(Debug, PartialEq)]
struct Inner {
    name: Box<str>,
    value: Json,
    /// The value, if it is a text: a check returns it without a copy.
    text: Option<Arc<str>>,
}

impl Chosen {
    fn new(name: &str, value: &Json) -> Self {
        let text = value.as_str().map(Arc::from);
        Self(Arc::new(Inner { name: name.into(), value: value.clone(), text }))
    }

    /// The variant's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The variant's value.
    #[must_use]
    pub fn value(&self) -> &Json {
        &self.0.value
    }
}

/// What a variant's value is read as: the type of the default of `variant`.
///
/// | default | value |
/// |---|---|
/// | `bool`, `i32`, `i64`, `u32`, `u64`, `f64`, [`Json`] | the same |
/// | `&str` | [`Text`], which is a `&str` wherever one is wanted; nothing is copied |
/// | `String` | the same, copied |
/// | [`FromJson`] | any type that `serde` reads |
///
/// A value of another type is as if the flag had no variants: the check returns the default. A whole number is read as `f64`, and one without
/// a fraction, such as `2.0`, as an integer.
pub trait FlagValue {
    /// What `variant` returns.
    type Value;

    /// The variant's value, if it has this type.
    fn read(chosen: &Chosen) -> Option<Self::Value>;

    /// The default.
    fn or_default(self) -> Self::Value;
}

macro_rules! plain {
    ($($type:ty: $read:expr;)*) => {$(
        impl FlagValue for $type {
            type Value = Self;

            #[inline]
            fn read(chosen: &Chosen) -> Option<Self> {
                let read: fn(&Json) -> Option<Self> = $read;
                read(&chosen.0.value)
            }

            #[inline]
            fn or_default(self) -> Self {
                self
            }
        }
    )*};
}

plain! {
    bool: Json::as_bool;
    i64: integer;
    i32: |value| integer(value)?.try_into().ok();
    u32: |value| integer(value)?.try_into().ok();
    u64: unsigned;
    f64: |value| value.as_f64().filter(|value| value.is_finite());
    String: |value| value.as_str().map(str::to_owned);
    Json: |value| Some(value.clone());
}

fn unsigned(value: &Json) -> Option<u64> {
    match value {
        Json::Number(number) => match number.as_ref() {
            NumberRef::Big(digits) => digits.parse().ok(),
            _ => integer(value)?.try_into().ok(),
        },
        _ => None,
    }
}

fn integer(value: &Json) -> Option<i64> {
    // Every integer up to it is a float.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let float = value.as_f64().filter(|float| float.trunc() == *float && float.abs() <= LARGEST)?;
        Some(float as i64)
    })
}

/// The text of a variant, or the default. It is a `&str` wherever one is wanted.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// The variant's.
    Variant(Arc<str>),
    /// The default.
    Default(&'a str),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Variant(text) => text,
            Self::Default(text) => text,
        }
    }
}

impl AsRef<str> for Text<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

impl Borrow<str> for Text<'_> {
    fn borrow(&self) -> &str {
        self
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        **self == *other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        **self == **other
    }
}

impl From<Text<'_>> for String {
    fn from(text: Text<'_>) -> Self {
        (*text).to_owned()
    }
}

impl<'a> FlagValue for &'a str {
    type Value = Text<'a>;

    #[inline]
    fn read(chosen: &Chosen) -> Option<Text<'a>> {
        chosen.0.text.clone().map(Text::Variant)
    }

    #[inline]
    fn or_default(self) -> Text<'a> {
        Text::Default(self)
    }
}

/// A default of any type that `serde` reads from the variant's JSON.
///
/// ```
/// use flipper::evaluation::FromJson;
/// use flipper::targeting::{Variant, Variants};
/// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
///
/// # futures_executor::block_on(async {
/// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// features.create("SIZES").enabled(true).await?;
/// features.set_variants("SIZES", Variants::new("user_id").with(Variant::new("all", 100.0).value(vec![1, 2, 3]))).await?;
/// assert_eq!(features.variant("SIZES", &context! { user_id: 7 }, FromJson(Vec::<u8>::new())), [1, 2, 3]);
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct FromJson<T>(pub T);

impl<T: DeserializeOwned> FlagValue for FromJson<T> {
    type Value = T;

    fn read(chosen: &Chosen) -> Option<T> {
        serde_json::from_value(chosen.0.value.to_serde()).ok()
    }

    fn or_default(self) -> T {
        self.0
    }
}

/// Variants, ready to be chosen from.
#[derive(Clone, Debug)]
pub(super) struct Choice {
    by: Word,
    seed: u64,
    /// The end of each range of buckets and the place of its variant.
    ranges: Vec<(u32, usize)>,
    values: Vec<Chosen>,
    off: Option<usize>,
}

impl Choice {
    pub(super) fn of(variants: &Variants, flag_name: &str) -> Self {
        Self {
            by: Word::new(&variants.by),
            seed: crate::bucketing::seed_of_variants(flag_name),
            ranges: variants.ranges(),
            values: variants.values.iter().map(|variant| Chosen::new(&variant.name, &variant.value)).collect(),
            off: variants.off.as_ref().and_then(|off| variants.values.iter().position(|variant| variant.name == *off)),
        }
    }

    pub(super) fn by(&self) -> &str {
        self.by.as_str()
    }

    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|chosen| chosen.name() == name)
    }

    pub(super) fn get(&self, place: usize) -> Option<&Chosen> {
        self.values.get(place)
    }

    pub(super) fn when_off(&self) -> Option<&Chosen> {
        self.values.get(self.off?)
    }

    /// Without the attribute nothing, unless all callers get the same.
    #[inline]
    pub(super) fn choose<A: Attributes + ?Sized>(&self, attributes: &A) -> Option<&Chosen> {
        if let [(WHOLE, only)] = self.ranges[..] {
            return self.values.get(only);
        }
        let bucket = bucket_at(self.seed, attributes, self.by.place_in(attributes)?);
        // A few ends are compared faster one by one.
        let place = match &self.ranges[..] {
            few if few.len() <= 8 => few.iter().position(|(end, _)| bucket < *end)?,
            many => many.partition_point(|(end, _)| *end <= bucket),
        };
        self.values.get(self.ranges.get(place)?.1)
    }
}
