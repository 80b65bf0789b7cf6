use crate::stores::base_key::BaseKey;

impl BaseKey {
    pub(super) fn name_of(&self, key: Vec<u8>) -> Option<String> {
        self.flag_key(key).and_then(|key| self.name(&key).map(str::to_owned))
    }

    /// For a deeper key its value decides.
    pub(super) fn flag_key(&self, key: Vec<u8>) -> Option<String> {
        if !key.starts_with(self.prefix().as_bytes()) {
            return None;
        }
        let read = String::from_utf8(key);
        if let Err(error) = &read {
            let key = String::from_utf8_lossy(error.as_bytes());
            tracing::debug!(%key, "a key under the base key is not UTF-8 and so no flag's");
        }
        read.ok()
    }

    pub(super) fn cut(&self, mut key: String) -> String {
        key.drain(..self.prefix().len());
        key
    }

    /// For `MATCH` and `PSUBSCRIBE`; includes deeper keys.
    pub(super) fn pattern(&self) -> String {
        let mut pattern = String::with_capacity(self.prefix().len() + 1);
        for c in self.prefix().chars() {
            if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
                pattern.push('\\');
            }
            pattern.push(c);
        }
        pattern.push('*');
        pattern
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_as_bytes() {
        let keys = BaseKey::new("a/b");
        for name in ["é", "F/G", ""] {
            assert_eq!(keys.name_of(keys.of(name).into()).as_deref(), Some(name));
        }
        for foreign in ["a/F", "a/b", "a/bc/F"] {
            assert_eq!(keys.name_of(foreign.into()), None);
        }
        assert_eq!(keys.name_of(b"a/b/\xff".to_vec()), None);
    }

    #[test]
    fn glob_characters_are_escaped() {
        assert_eq!(BaseKey::new("features").pattern(), "features/*");
        assert_eq!(BaseKey::new(r"f*?[a]\").pattern(), r"f\*\?\[a\]\\/*");
    }
}
