use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;

use foldhash::fast::RandomState;

use super::{Json, LoneSurrogates, write_string};

/// Up to this many keys, as in nearly all objects, are searched one by one, in a fraction of time and memory.
const FEW: usize = 8;

/// A JSON object. It keeps the order of keys, which equality ignores.
///
/// ```
/// use flipper::json::{Json, Object};
///
/// let mut object: Object = [("b", 1), ("a", 2)].into_iter().collect();
/// object.insert("b", 3);
/// assert_eq!(Json::from(object).to_string(), r#"{"b": 3, "a": 2}"#);
/// ```
#[derive(Clone, Default)]
pub struct Object {
    entries: Vec<(Key, Json)>,
    /// `None` while there are few.
    places: Option<Box<Places>>,
}

#[derive(Clone, Default)]
struct Places {
    texts: HashMap<String, usize, RandomState>,
    lone: HashMap<LoneSurrogates, usize, RandomState>,
}

impl Places {
    fn add(&mut self, key: &Key, place: usize) {
        match key {
            Key::Text(text) => self.texts.insert(text.clone(), place),
            Key::Lone(text) => self.lone.insert(text.clone(), place),
        };
    }
}

/// No larger than a `String`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Key {
    Text(String),
    Lone(LoneSurrogates),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl Key {
    fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Lone(text) => text.as_str(),
        }
    }

    pub(crate) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        match self {
            Self::Text(text) => write_string(text, out),
            Self::Lone(text) => text.write(out),
        }
    }
}

impl Object {
    /// An object without keys.
    #[must_use]
    pub const fn new() -> Self {
        Self { entries: Vec::new(), places: None }
    }

    /// The value at a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.place(key).map(|place| &self.entries[place].1)
    }

    /// Sets a key and returns its previous value. An existing key keeps its place.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) -> Option<Json> {
        let key = key.into();
        self.set(self.place(&key), Key::Text(key), value.into())
    }

    pub(super) fn insert_key(&mut self, key: Key, value: Json) {
        self.set(self.place_of(&key), key, value);
    }

    #[inline]
    fn set(&mut self, place: Option<usize>, key: Key, value: Json) -> Option<Json> {
        if let Some(place) = place {
            return Some(std::mem::replace(&mut self.entries[place].1, value));
        }
        if let Some(places) = &mut self.places {
            places.add(&key, self.entries.len());
        }
        self.entries.push((key, value));
        if self.places.is_none() {
            self.index();
        }
        None
    }

    pub(crate) fn append(&mut self, other: &Self) {
        for (key, value) in &other.entries {
            self.insert_key(key.clone(), value.clone());
        }
    }

    /// Removes a key and returns its value, in time proportional to the keys after it.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let (_, value) = self.entries.remove(self.place(key)?);
        self.index();
        Some(value)
    }

    fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.texts.get(key).copied(),
            None => self.entries.iter().position(|(known, _)| matches!(known, Key::Text(known) if known == key)),
        }
    }

    fn place_of(&self, key: &Key) -> Option<usize> {
        match (key, &self.places) {
            (Key::Text(key), _) => self.place(key),
            (Key::Lone(key), Some(places)) => places.lone.get(key).copied(),
            (Key::Lone(_), None) => self.entries.iter().position(|(known, _)| known == key),
        }
    }

    fn index(&mut self) {
        if self.entries.len() <= FEW {
            self.places = None;
            return;
        }
        let mut places = Box::<Places>::default();
        self.entries.iter().zip(0..).for_each(|((key, _), place)| places.add(key, place));
        self.places = Some(places);
    }

    /// Whether the key exists.
    #[must_use]
    pub fn contains_key(&self, key: &str) -> bool {
        self.place(key).is_some()
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The keys, in order. Lone surrogates are U+FFFD; such a key cannot be looked up.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// Keys and values, in order; see [`keys`](Self::keys).
    pub fn iter(&self) -> Iter<'_> {
        Iter(self.entries.iter())
    }

    pub(crate) fn has_lone(&self, key: &LoneSurrogates) -> bool {
        self.place_of(&Key::Lone(key.clone())).is_some()
    }

    pub(crate) fn entries(&self) -> Entries<'_> {
        self.entries.iter()
    }

    /// Whether the keys are the same, and `same` holds for their values.
    pub(crate) fn matches<E>(
        &self,
        other: &Self,
        mut same: impl FnMut(&Json, &Json) -> Result<bool, E>,
    ) -> Result<bool, E> {
        if self.len() != other.len() {
            return Ok(false);
        }
        for (key, value) in &self.entries {
            match other.place_of(key) {
                Some(place) if same(value, &other.entries[place].1)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other, |one, other| Ok::<_, Infallible>(one == other)) == Ok(true)
    }
}

impl Eq for Object {}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Into<String>, V: Into<Json>> FromIterator<(K, V)> for Object {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut object = Self::new();
        object.extend(entries);
        object
    }
}

impl<K: Into<String>, V: Into<Json>> Extend<(K, V)> for Object {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

/// Iterates over an [`Object`] by reference.
#[derive(Clone, Debug)]
pub struct Iter<'a>(Entries<'a>);

pub(crate) type Entries<'a> = std::slice::Iter<'a, (Key, Json)>;

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.as_str(), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for Iter<'_> {}

impl<'a> IntoIterator for &'a Object {
    type Item = (&'a str, &'a Json);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Iterates over an [`Object`] by value.
#[derive(Debug)]
pub struct IntoIter(std::vec::IntoIter<(Key, Json)>);

impl Iterator for IntoIter {
    type Item = (String, Json);

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| match key {
            Key::Text(text) => (text, value),
            Key::Lone(text) => (text.as_str().to_owned(), value),
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for IntoIter {}

impl IntoIterator for Object {
    type Item = (String, Json);
    type IntoIter = IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        IntoIter(self.entries.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_keys_are_found_and_keep_their_order() {
        let mut object = Object::new();
        let keys: Vec<_> = (0..3 * FEW).map(|number| format!("k{number}")).collect();
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(object.insert(key.as_str(), 0), None);
            assert_eq!(object.insert(key.as_str(), number), Some(0.into()));
            assert_eq!(object.insert("k0", 0), Some(0.into()));
        }
        assert!(object.keys().eq(&keys));
        let reversed: Object = keys.iter().rev().map(|key| (key.as_str(), object.get(key).unwrap().clone())).collect();
        assert_eq!(object, reversed);
        for (number, key) in keys.iter().enumerate() {
            assert_eq!(object.remove(key), Some(number.into()));
            assert_eq!(object.remove(key), None);
            assert!(object.keys().eq(&keys[number + 1..]));
            assert!(keys[number + 1..].iter().all(|key| object.get(key) == reversed.get(key)));
            assert_ne!(object, reversed);
        }
        assert!(object.is_empty());
    }
}
