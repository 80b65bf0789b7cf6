use flipper::__words::{Changed, difference};
use flipper::FlagRecord;
use flipper::json::{Json, Object};

use crate::output::{OFF, ON, STRONG, object, or_null, styled};
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
        let head = match (self.before, self.after) {
            _ if !self.is_any() => return Vec::new(),
            (None, _) => styled(ON, "+"),
            (_, None) => styled(OFF, "-"),
            _ => "~".to_owned(),
        };
        let mut lines = vec![format!("{head} {}", styled(STRONG, quoted(self.name)))];
        for Changed { what, before, after } in difference(self.before, self.after) {
            lines.extend(before.map(|how| styled(OFF, format_args!("  - {what}: {how}"))));
            lines.extend(after.map(|how| styled(ON, format_args!("  + {what}: {how}"))));
        }
        if lines.len() == 1 {
            lines.push("  the same, with another spelling".to_owned());
        }
        lines
    }

    pub(crate) fn to_json(&self) -> Object {
        object([
            ("name", self.name.into()),
            ("verb", self.verb().into()),
            ("before", or_null(self.before.map(json))),
            ("after", or_null(self.after.map(json))),
        ])
    }
}

pub(crate) fn json(record: &FlagRecord) -> Json {
    // Our own output always parses.
    Json::parse(&record.to_json()).unwrap_or_default()
}
