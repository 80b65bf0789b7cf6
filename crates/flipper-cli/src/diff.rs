//! What differs between two states of a flag.

use flipper::FlagRecord;
use flipper::json::{Json, Object};

use crate::describe::fields;
use crate::output::{OFF, ON, STRONG, styled};
use crate::text::quoted;

/// A flag before and after; `None` where it is not there.
pub(crate) struct Difference<'a> {
    pub(crate) name: &'a str,
    pub(crate) before: Option<&'a FlagRecord>,
    pub(crate) after: Option<&'a FlagRecord>,
}

impl Difference<'_> {
    /// What is done to get from the one to the other.
    pub(crate) fn verb(&self) -> &'static str {
        match (self.before, self.after) {
            (None, Some(_)) => "create",
            (Some(_), None) => "destroy",
            (None, None) => "nothing",
            (Some(before), Some(after)) if before == after => "nothing",
            (Some(_), Some(_)) => "change",
        }
    }

    /// Whether they differ.
    pub(crate) fn is_any(&self) -> bool {
        self.verb() != "nothing"
    }

    /// Lines for a person: `+` what is new, `-` what goes, `~` a flag that stays and is another.
    pub(crate) fn lines(&self) -> Vec<String> {
        let name = styled(STRONG, quoted(self.name));
        let added = |(what, how): &(String, String)| styled(ON, format_args!("  + {what}: {how}"));
        let removed = |(what, how): &(String, String)| styled(OFF, format_args!("  - {what}: {how}"));
        match (self.before, self.after) {
            (None, None) => Vec::new(),
            (None, Some(after)) => {
                let lines = fields(after);
                std::iter::once(format!("{} {name}", styled(ON, "+"))).chain(lines.iter().map(added)).collect()
            }
            (Some(before), None) => {
                let lines = fields(before);
                std::iter::once(format!("{} {name}", styled(OFF, "-"))).chain(lines.iter().map(removed)).collect()
            }
            (Some(before), Some(after)) if before == after => Vec::new(),
            (Some(before), Some(after)) => {
                let (old, new) = (fields(before), fields(after));
                let mut lines = vec![format!("~ {name}")];
                let gone = old.iter().filter(|field| !new.contains(field));
                let come: Vec<_> = new.iter().filter(|field| !old.contains(field)).collect();
                let mut shown = vec![false; come.len()];
                for field in gone {
                    lines.push(removed(field));
                    // The new value of the same thing right below the old one.
                    let same = come.iter().zip(&mut shown).find(|(come, shown)| come.0 == field.0 && !**shown);
                    if let Some((come, shown)) = same {
                        *shown = true;
                        lines.push(added(come));
                    }
                }
                lines.extend(come.iter().zip(shown).filter(|(_, shown)| !shown).map(|(come, _)| added(come)));
                if lines.len() == 1 {
                    lines.push("  the same, written in another way".to_owned());
                }
                lines
            }
        }
    }

    /// The same for a script.
    pub(crate) fn to_json(&self) -> Object {
        let mut object = Object::new();
        object.insert("name", self.name);
        object.insert("verb", self.verb());
        object.insert("before", self.before.map_or(Json::Null, json));
        object.insert("after", self.after.map_or(Json::Null, json));
        object
    }
}

/// The stored record as JSON.
pub(crate) fn json(record: &FlagRecord) -> Json {
    // What was written by ourselves can be read.
    Json::parse(&record.to_json()).unwrap_or_default()
}
