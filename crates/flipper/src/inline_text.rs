use std::fmt;

/// A text of up to `N` bytes where it is, without an allocation, else one on the heap.
#[derive(Clone)]
pub(crate) enum InlineText<const N: usize> {
    Short { len: u8, bytes: [u8; N] },
    Long(Box<str>),
}

impl<const N: usize> InlineText<N> {
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => &bytes[..usize::from(*len)],
            Self::Long(text) => text.as_bytes(),
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            // Only whole texts are kept.
            Self::Short { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }

    fn short(text: &str) -> Option<Self> {
        let mut bytes = [0; N];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self::Short { len: u8::try_from(text.len()).ok()?, bytes })
    }
}

impl<const N: usize> From<&str> for InlineText<N> {
    fn from(text: &str) -> Self {
        Self::short(text).unwrap_or_else(|| Self::Long(text.into()))
    }
}

impl<const N: usize> From<String> for InlineText<N> {
    fn from(text: String) -> Self {
        Self::short(&text).unwrap_or_else(|| Self::Long(text.into()))
    }
}

impl<const N: usize> PartialEq for InlineText<N> {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl<const N: usize> fmt::Debug for InlineText<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_all_lengths_are_kept() {
        for length in 0..=300 {
            for letter in ["x", "ü"] {
                let text = letter.repeat(length);
                let kept = InlineText::<22>::from(&*text);
                assert_eq!((kept.as_str(), kept.as_bytes()), (&*text, text.as_bytes()));
                assert_eq!(matches!(kept, InlineText::Short { .. }), text.len() <= 22);
                assert_eq!(kept, InlineText::from(text.clone()));
                assert_ne!(kept, InlineText::from(format!("{text}x")));
                assert_eq!(format!("{kept:?}"), format!("{text:?}"));
            }
        }
        assert_eq!(size_of::<InlineText<22>>(), size_of::<String>());
    }
}
