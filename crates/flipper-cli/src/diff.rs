//! The difference between two states of a flag.

use flipper::FlagRecord;
use flipper::json::{Json, Object};

use crate::describe::fields;
use crate::output::{OFF, ON, STRONG, styled};
use crate::text::quoted;

/// A flag before and after; `None` if it does not exist.
pub(crate) struct Difference<'a> {
    pub(crate) name: &'a str,
    pub(crate) before: Option<&'a FlagRecord>,
    pub(crate) after: Option<&'a FlagRecord>,
}

impl Difference<'_> {
    pub(crate) fn verb(&self) -> &'static str {
        match (self.before, self.after) {
            (None, Some(_)) => "create",
            (Some(_), None) => "destroy",
            (None, None) => "nothing",
            (Some(before), Some(after)) if before == after => "nothing",
            (Some(_), Some(_)) => "change",
        }
    }

    pub(crate) fn is_any(&self) -> bool {
        self.verb() != "nothing"
    }

    /// For people: `+` is added, `-` is removed, `~` is a flag that exists on both sides.
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
                let only_old = old.iter().filter(|field| !new.contains(field));
                let only_new: Vec<_> = new.iter().filter(|field| !old.contains(field)).collect();
                let mut shown = vec![false; only_new.len()];
                for field in only_old {
                    lines.push(removed(field));
                    let same =
                        only_new.iter().zip(&mut shown).find(|(only_new, shown)| only_new.0 == field.0 && !**shown);
                    if let Some((only_new, shown)) = same {
                        *shown = true;
                        lines.push(added(only_new));
                    }
                }
                lines.extend(
                    only_new.iter().zip(shown).filter(|(_, shown)| !shown).map(|(only_new, _)| added(only_new)),
                );
                if lines.len() == 1 {
                    lines.push("  the same, with another spelling".to_owned());
                }
                lines
            }
        }
    }

    pub(crate) fn to_json(&self) -> Object {
        let mut object = Object::new();
        object.insert("name", self.name);
        object.insert("verb", self.verb());
        object.insert("before", self.before.map_or(Json::Null, json));
        object.insert("after", self.after.map_or(Json::Null, json));
        object
    }
}

pub(crate) fn json(record: &FlagRecord) -> Json {
    // Our own output always parses.
    Json::parse(&record.to_json()).unwrap_or_default()
}
