use std::fmt::Write;

use super::{FlagRecord, conditions_to_json};
use crate::json::{Json, MAX_DEPTH, Object};
use crate::targeting::{SEGMENTS, Variants, segment_of};
use crate::{Error, ErrorKind, Result};

/// Bytes of JSON text.
const MAX_CLIENT_DATA: usize = 256 * 1024;

/// Bytes of JSON text, of all rules and the like: a segment of 100,000 long names fits several times.
const MAX_TARGETING: usize = 16 * 1024 * 1024;

/// Bytes, of a new flag.
const MAX_NEW_NAME: usize = 255;

/// Bytes, of any flag.
const MAX_NAME: usize = 4096;

impl FlagRecord {
    /// Checks that every reader can read the flag. Code that puts a record without a client must call it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the client data is no object or takes over 256 KiB as JSON text, the flag nests deeper than 512, or its rules,
    /// variants, prerequisites or schedule contradict each other.
    pub fn validate(&self) -> Result<()> {
        self.validate_targeting()?;
        if self.client_data().as_object().is_none() {
            return self.refuse(format!("client data is {}, not an object", self.client_data().type_name()));
        }
        let size = size(self.client_data());
        if size > MAX_CLIENT_DATA {
            return self.refuse(format!("client data takes {size} bytes, more than the {MAX_CLIENT_DATA} allowed"));
        }
        self.validate_depth()
    }

    /// As [`validate`](Self::validate), for the change of a stored flag: its client data may stay as it is, or become smaller. So whatever
    /// another program has stored can be switched off.
    ///
    /// # Errors
    ///
    /// Those of `validate`.
    pub fn validate_change(&self, before: &Self) -> Result<()> {
        self.validate_targeting()?;
        let (old, new) = (before.client_data(), self.client_data());
        if new == old || (new.as_object().is_some() && size(old) > MAX_CLIENT_DATA && size(new) <= size(old)) {
            return self.validate_depth();
        }
        self.validate()
    }

    fn validate_targeting(&self) -> Result<()> {
        let Some(targeting) = self.targeting() else { return Ok(()) };
        if targeting.segment.is_some() && self.is_enabled() {
            return self.refuse("a segment is neither on nor off".to_owned());
        }
        if targeting.segment.is_some() && segment_of(self.name()).is_none() {
            return self.refuse(format!("a segment's name begins with {SEGMENTS:?}"));
        }
        let sizes = [
            (targeting.variants.as_ref().map(Variants::to_json), MAX_CLIENT_DATA, "variants take"),
            (Some(self.targeting_json()), MAX_TARGETING, "rules or segment take"),
        ];
        for (json, most, what) in sizes {
            let size = json.map_or(0, |json| size(&json));
            if size > most {
                return self.refuse(format!("the {what} {size} bytes, more than the {most} allowed"));
            }
        }
        targeting.check().map_err(|error| error.with_flag(self.name()))
    }

    fn targeting_json(&self) -> Json {
        let mut parts = Object::new();
        if let Some(targeting) = self.targeting() {
            targeting.write(&mut parts);
        }
        parts.into()
    }

    /// Of the parts, below `meta`.
    fn targeting_depth(&self) -> usize {
        if self.targeting().is_some() { self.targeting_json().depth() - 1 } else { 0 }
    }

    fn validate_depth(&self) -> Result<()> {
        let written =
            [self.conditions(), self.deny_conditions()].map(|conditions| conditions_to_json(conditions).depth());
        let deepest = written.into_iter().fold(self.client_data().depth(), usize::max).max(self.targeting_depth());
        // `meta` and the record are two more levels.
        let depth = deepest + 2;
        if depth > MAX_DEPTH {
            return self.refuse(format!("flag nests {depth} levels deep, more than the {MAX_DEPTH} allowed"));
        }
        Ok(())
    }

    fn refuse(&self, message: String) -> Result<()> {
        Err(Error::invalid_input(message).with_flag(self.name()))
    }
}

fn size(data: &Json) -> usize {
    let mut size = Size(0);
    // Does not fail.
    let _ = write!(size, "{data}");
    size.0
}

struct Size(usize);

impl Write for Size {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0 += text.len();
        Ok(())
    }
}

/// Any name of the Python library passes, so that its flags can be changed.
pub(crate) fn validate_name(name: &str) -> Result<()> {
    short_enough(name, MAX_NAME)
}

pub(crate) fn validate_new_name(name: &str) -> Result<()> {
    if name.is_empty() {
        return refuse(name, "flag name is empty".to_owned());
    }
    short_enough(name, MAX_NEW_NAME)?;
    match name.char_indices().find(|(_, c)| *c == '/' || c.is_control()) {
        Some((at, '/')) => refuse(name, format!("flag name has a '/' at byte {at}")),
        Some((at, c)) => refuse(name, format!("flag name has the control character {c:?} at byte {at}")),
        None => Ok(()),
    }
}

fn short_enough(name: &str, most: usize) -> Result<()> {
    if name.len() <= most {
        return Ok(());
    }
    refuse(name, format!("flag name is {} bytes long, more than the {most} allowed", name.len()))
}

fn refuse(name: &str, what: String) -> Result<()> {
    Err(Error::new(ErrorKind::InvalidName).with_message(what).with_flag(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(error: &Error, kind: ErrorKind) -> String {
        assert_eq!(error.kind(), kind);
        error.to_string()
    }

    #[test]
    fn names_are_checked() {
        for name in ["a", "é b*?[", &"x".repeat(255), "\u{2028}", "."] {
            validate_new_name(name).unwrap();
        }
        for name in ["", "/", "a/b", "a\n\0", &"x".repeat(4096)] {
            validate_name(name).unwrap();
        }
        assert_eq!(validate_name(&"x".repeat(4097)).unwrap_err().kind(), ErrorKind::InvalidName);
        let refused = |name: &str| message(&validate_new_name(name).unwrap_err(), ErrorKind::InvalidName);
        assert!(refused("").starts_with("flag name is empty"));
        assert!(refused(&"é".repeat(128)).starts_with("flag name is 256 bytes long, more than the 255 allowed"));
        assert!(refused("éa/b").starts_with("flag name has a '/' at byte 3"));
        assert!(refused("a\nb").starts_with("flag name has the control character '\\n' at byte 1"));
        assert!(refused("é\u{85}").starts_with("flag name has the control character '\\u{85}' at byte 2"));
    }

    fn with_data(data: impl Into<Json>) -> FlagRecord {
        let mut record = FlagRecord::new("F", 1);
        record.set_client_data([("a", data)].into_iter().collect());
        record
    }

    #[test]
    fn client_data_is_bounded_as_it_is_stored() {
        let fits = MAX_CLIENT_DATA - r#"{"a": ""}"#.len();
        with_data("x".repeat(fits)).validate().unwrap();
        let error = with_data("x".repeat(fits + 1)).validate().unwrap_err();
        assert!(
            message(&error, ErrorKind::InvalidInput)
                .starts_with("client data takes 262145 bytes, more than the 262144 allowed")
        );
        // Six bytes each.
        assert!(with_data("é".repeat(fits / 6 + 1)).validate().is_err());
    }

    #[test]
    fn client_data_that_is_stored_may_stay_or_become_smaller() {
        let before = with_data("x".repeat(2 * MAX_CLIENT_DATA));
        let mut after = before.clone();
        after.set_enabled(true);
        after.validate_change(&before).unwrap();
        with_data("x".repeat(2 * MAX_CLIENT_DATA - 1)).validate_change(&before).unwrap();
        assert!(with_data("x".repeat(2 * MAX_CLIENT_DATA + 1)).validate_change(&before).is_err());
        assert!(with_data("x".repeat(MAX_CLIENT_DATA)).validate_change(&with_data("")).is_err());
        let list = r#"{"feature_name": "F", "is_enabled": true, "meta": {"client_data": [1], "created_date": 1}}"#;
        let list = FlagRecord::from_json(list).unwrap();
        list.validate_change(&list).unwrap();
        with_data("x").validate_change(&list).unwrap();
        assert!(list.validate_change(&before).is_err());
    }

    #[test]
    fn client_data_must_be_an_object_to_be_written() {
        let text = r#"{"feature_name": "F", "is_enabled": true, "meta": {"client_data": [1], "created_date": 1}}"#;
        let error = FlagRecord::from_json(text).unwrap().validate().unwrap_err();
        assert!(message(&error, ErrorKind::InvalidInput).starts_with("client data is an array, not an object"));
    }

    #[test]
    fn what_validates_can_be_read_back() {
        let nested = |depth| (0..depth).fold(Json::Null, |inner, _| vec![inner].into());
        let deepest = with_data(nested(MAX_DEPTH - 3));
        deepest.validate().unwrap();
        assert_eq!(FlagRecord::from_json(deepest.to_json()).unwrap(), deepest);
        let error = with_data(nested(MAX_DEPTH - 2)).validate().unwrap_err();
        assert!(message(&error, ErrorKind::InvalidInput).starts_with("flag nests 513 levels deep"));
    }
}
