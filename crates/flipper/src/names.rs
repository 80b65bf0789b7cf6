//! The place of a name in a list of names, found without looking at all of them.

use indexmap::IndexSet;

/// Up to so many names are looked at one by one, which is faster than hashing.
const FEW: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct Names(IndexSet<Box<str>, foldhash::fast::RandomState>);

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(AsRef::as_ref)
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        if self.0.len() <= FEW {
            return self.0.iter().position(|known| **known == *name);
        }
        self.0.get_index_of(name)
    }

    /// The place of the name, which is added when it is new.
    pub(crate) fn add(&mut self, name: &str) -> usize {
        self.0.get_index_of(name).unwrap_or_else(|| self.0.insert_full(name.into()).0)
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_names_have_their_places() {
        let mut names = Names::default();
        for count in 0..40 {
            assert_eq!(names.add(&format!("n{count}")), count);
            assert_eq!(names.add("n0"), 0);
            assert_eq!(names.place(&format!("n{count}")), Some(count));
            assert_eq!(names.place("other"), None);
        }
        assert_eq!(names.len(), 40);
    }
}
