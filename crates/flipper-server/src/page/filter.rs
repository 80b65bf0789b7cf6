//! Which flags a list shows, from its query.

use std::collections::BTreeSet;
use std::time::SystemTime;

use flipper::__words::{is_settled, now, targeting};
use flipper::FlagRecord;
use flipper::client_data::{description, expires};
pub(super) use flipper::client_data::{owner, tags};
use flipper::store::Stored;
use http::Uri;

/// Created so many seconds ago: `flipper stale` reads the history too, which is too much for a list.
const SETTLED: i64 = 30 * 24 * 3600;

/// Of a search, in letters: the longest name.
const SEARCHED: usize = 255;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Show {
    #[default]
    All,
    On,
    Off,
    Targeted,
    Stale,
    Unreadable,
}

impl Show {
    pub(super) const CHOICES: [Self; 5] = [Self::All, Self::On, Self::Off, Self::Targeted, Self::Stale];

    pub(super) fn code(self) -> &'static str {
        match self {
            Self::All => "",
            Self::On => "on",
            Self::Off => "off",
            Self::Targeted => "targeted",
            Self::Stale => "stale",
            Self::Unreadable => "unreadable",
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::On => "On",
            Self::Off => "Off",
            Self::Targeted => "Targeted",
            Self::Stale => "Stale",
            Self::Unreadable => "Unreadable",
        }
    }

    /// For whom the name is too short.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Self::Targeted => Some("On or off by conditions or a rollout"),
            Self::Stale => Some(
                "On or off for everybody for 30 days at least, or past its last day, and so perhaps ready to leave the code",
            ),
            _ => None,
        }
    }
}

/// Unknown parameters are left out, and unknown values show all: a link may be of another version.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    pub(super) search: String,
    pub(super) show: Show,
    pub(super) owner: String,
    pub(super) tag: String,
    pub(super) after: String,
}

impl Filter {
    pub(super) fn of(uri: &Uri) -> Self {
        Self::read(uri.query().unwrap_or_default())
    }

    pub(super) fn read(query: &str) -> Self {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "q" => filter.search = value.trim().chars().take(SEARCHED).collect(),
                "show" => {
                    let all = Show::CHOICES.into_iter().chain([Show::Unreadable]);
                    filter.show = all.into_iter().find(|show| show.code() == value).unwrap_or_default();
                }
                "owner" => filter.owner = value.into_owned(),
                "tag" => filter.tag = value.into_owned(),
                "after" => filter.after = value.into_owned(),
                _ => {}
            }
        }
        filter
    }

    /// A link to this list.
    pub(super) fn link(&self) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let all = [("q", &*self.search), ("show", self.show.code()), ("owner", &self.owner), ("tag", &self.tag)];
        for (name, value) in all.into_iter().chain([("after", &*self.after)]) {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        let query = query.finish();
        if query.is_empty() { super::link::LIST.to_owned() } else { format!("{}?{query}", super::link::LIST) }
    }

    pub(super) fn with(&self, change: impl FnOnce(&mut Self)) -> Self {
        let mut filter = Self { after: String::new(), ..self.clone() };
        change(&mut filter);
        filter
    }

    pub(super) fn is_any(&self) -> bool {
        self.show != Show::All || [&self.search, &self.owner, &self.tag].iter().any(|text| !text.is_empty())
    }

    /// Whether the flag is in the list, wherever a page begins.
    pub(super) fn matches(&self, stored: &Stored) -> bool {
        let record = stored.record.as_ref().ok().map(|record| &**record);
        let searched = self.search.is_empty()
            || contains(&stored.name, &self.search)
            || record.and_then(description).is_some_and(|text| contains(text, &self.search));
        searched
            && self.shows(record)
            && (self.owner.is_empty() || record.and_then(owner).is_some_and(|owner| owner == self.owner))
            && (self.tag.is_empty() || record.is_some_and(|record| tags(record).contains(&&*self.tag)))
    }

    fn shows(&self, record: Option<&FlagRecord>) -> bool {
        match (self.show, record) {
            (Show::All, _) | (Show::Unreadable, None) => true,
            (Show::Unreadable, Some(_)) | (_, None) => false,
            (Show::On, Some(record)) => record.is_on_at(now()),
            (Show::Off, Some(record)) => !record.is_on_at(now()),
            (Show::Targeted, Some(record)) => targeting(record).is_some(),
            (Show::Stale, Some(record)) => {
                is_over(record)
                    || record.created_date().is_some_and(|date| date <= now() - SETTLED) && is_settled(record)
            }
        }
    }
}

/// Whether the last day of its `expires` has passed.
fn is_over(record: &FlagRecord) -> bool {
    expires(record).is_ok_and(|end| end.is_some_and(|end| end <= SystemTime::now()))
}

/// Without regard to case, as people search.
pub(super) fn contains(text: &str, searched: &str) -> bool {
    match text.is_ascii() && searched.is_ascii() {
        true => {
            searched.is_empty()
                || text.as_bytes().windows(searched.len()).any(|part| part.eq_ignore_ascii_case(searched.as_bytes()))
        }
        false => text.to_lowercase().contains(&searched.to_lowercase()),
    }
}

/// All owners and tags of these flags.
pub(super) fn choices<'a>(flags: impl Iterator<Item = &'a Stored>) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut owners, mut all_tags) = (BTreeSet::new(), BTreeSet::new());
    for record in flags.filter_map(|flag| flag.record.as_ref().ok()) {
        if let Some(owner) = owner(record).filter(|owner| !owners.contains(*owner)) {
            owners.insert(owner.to_owned());
        }
        for tag in tags(record) {
            if !all_tags.contains(tag) {
                all_tags.insert(tag.to_owned());
            }
        }
    }
    (owners, all_tags)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flipper::json::Json;
    use flipper::store::Version;

    use super::*;

    fn flag(text: &str) -> Stored {
        let mut record = FlagRecord::new("NEW_CHECKOUT", 1);
        record.set_client_data(Json::parse(text).unwrap().as_object().unwrap().clone());
        Stored { name: "NEW_CHECKOUT".into(), version: Version::ordered(1), record: Ok(Arc::new(record)) }
    }

    #[test]
    fn a_link_is_read_as_it_was_written() {
        let filter = Filter::read("q=a%26b&show=on&owner=%C3%A9&tag=x+y&after=Z&other=1");
        assert_eq!(filter.link(), "/flags?q=a%26b&show=on&owner=%C3%A9&tag=x+y&after=Z");
        assert_eq!(filter.with(|filter| filter.tag.clear()).link(), "/flags?q=a%26b&show=on&owner=%C3%A9");
        assert_eq!(Filter::read("show=x").link(), "/flags");
        assert_eq!(Filter::read(&format!("q={}", "a".repeat(1000))).search.len(), SEARCHED);
    }

    #[test]
    fn flags_match() {
        let stored = flag(r#"{"owner": "shop", "tags": ["pay", 1, "eu"], "description": "Für alle"}"#);
        for query in ["", "q=checkout", "q=f%C3%BCr", "owner=shop", "tag=eu", "show=off", "show=stale", "q=NEW&tag=pay"]
        {
            assert!(Filter::read(query).matches(&stored), "{query}");
        }
        for query in ["q=x", "owner=sho", "tag=p", "show=on", "show=targeted", "show=unreadable", "q=NEW&tag=x"] {
            assert!(!Filter::read(query).matches(&stored), "{query}");
        }
        let targeted = |day: &str| {
            let mut stored = flag(&format!("{{\"expires\": \"{day}\"}}"));
            let mut record = stored.record.as_deref().unwrap().clone();
            record.set_enabled(true);
            record.add_condition(flipper::Condition::new().eq("plan", "pro"));
            stored.record = Ok(Arc::new(record));
            stored
        };
        let is_stale = |day| Filter::read("show=stale").matches(&targeted(day));
        assert!(is_stale("2024-02-29") && !is_stale("9999-12-31") && !is_stale("soon"));
        let odd = flag(r#"{"owner": 1, "tags": "pay"}"#);
        assert!(!Filter::read("owner=1").matches(&odd) && !Filter::read("tag=pay").matches(&odd));
    }
}
