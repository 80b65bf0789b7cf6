use std::collections::HashMap;

/// Up to this many are searched one by one, which is faster than hashing.
const FEW: usize = 8;

#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    names: Vec<Box<str>>,
    /// Empty while there are few.
    places: HashMap<Box<str>, usize, foldhash::fast::RandomState>,
}

impl Names {
    pub(crate) fn len(&self) -> usize {
        self.names.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    pub(crate) fn get(&self, place: usize) -> &str {
        &self.names[place]
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(AsRef::as_ref)
    }

    #[inline]
    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        if self.names.len() > FEW {
            return self.places.get(name).copied();
        }
        self.names.iter().position(|known| **known == *name)
    }

    /// The name's place; a new name is added.
    pub(crate) fn add(&mut self, name: &str) -> usize {
        if let Some(place) = self.place(name) {
            return place;
        }
        let place = self.names.len();
        self.names.push(name.into());
        if self.names.len() == FEW + 1 {
            self.places.extend(self.names.iter().cloned().zip(0..));
        } else if self.names.len() > FEW {
            self.places.insert(name.into(), place);
        }
        place
    }
}

impl PartialEq for Names {
    fn eq(&self, other: &Self) -> bool {
        self.names == other.names
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
