use super::{Entry, FlagState};

const FIRST: usize = 8;
const LONGEST: usize = 1000;
/// Below this the next portion is larger.
const SMALL: usize = 512 * 1024;

/// How many entries to ask a store for. Few at first: each may have a large flag, twice. More while they are small: some stores read their
/// whole history for each question.
#[derive(Debug)]
pub(crate) struct Portion(usize);

impl Portion {
    pub(crate) fn first(limit: usize) -> Self {
        Self(FIRST.min(limit))
    }

    pub(crate) fn count(&self) -> usize {
        self.0
    }

    /// After a portion of so many bytes.
    pub(crate) fn grow(&mut self, bytes: usize) {
        self.0 = if bytes < SMALL { (self.0 * 2).min(LONGEST) } else { FIRST.min(self.0) };
    }
}

/// Of both states, approximately.
pub(crate) fn bytes_of(entry: &Entry) -> usize {
    let length =
        |state: &FlagState| state.as_ref().map_or(0, |state| state.as_ref().map_or(0, |it| it.to_json().len()));
    length(&entry.before) + length(&entry.after)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_while_entries_are_small() {
        let mut portion = Portion::first(100);
        let mut counts = Vec::new();
        for bytes in [0, 0, 0, 0, 0, 0, SMALL - 1, 0, SMALL, 0] {
            counts.push(portion.count());
            portion.grow(bytes);
        }
        assert_eq!(counts, [8, 16, 32, 64, 128, 256, 512, 1000, 1000, 8]);
        assert_eq!(Portion::first(1).count(), 1);
    }
}
