use super::{Place, Prerequisite, Rule, Schedule, Serve, Targeting, Test, Variants, When};
use crate::bucketing::AnyPercentage;
use crate::json::{Json, Object};

impl Targeting {
    /// Adds the fields of `meta`.
    pub(crate) fn write(&self, meta: &mut Object) {
        let mut list = |key: &str, items: Vec<Json>| {
            if !items.is_empty() {
                meta.insert(key, Json::Array(items));
            }
        };
        list("rules", self.rules.iter().map(Rule::to_json).collect());
        list("prerequisites", self.prerequisites.iter().map(Prerequisite::to_json).collect());
        meta.extend(self.variants.iter().map(|variants| ("variants", variants.to_json())));
        meta.extend(self.schedule.iter().map(|schedule| ("schedule", schedule.to_json())));
        meta.extend(self.segment.iter().map(|segment| ("segment", segment.to_json())));
    }
}

fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    Json::Object(fields.into_iter().collect())
}

impl Prerequisite {
    fn to_json(&self) -> Json {
        let mut fields = Object::new();
        fields.insert("flag", self.flag.as_str());
        fields.extend(self.variant.iter().map(|variant| ("variant", Json::from(variant.as_str()))));
        Json::Object(fields)
    }
}

impl Rule {
    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut fields = Object::new();
        fields.extend(self.name.iter().map(|name| ("name", Json::from(name.as_str()))));
        fields.extend(self.when.iter().map(|when| ("when", when.to_json())));
        fields.insert("serve", self.serve.to_json());
        Json::Object(fields)
    }
}

impl Serve {
    fn to_json(&self) -> Json {
        match self {
            Self::On => "on".into(),
            Self::Off => "off".into(),
            Self::Share { percentage, by } => object([("share", percentage.to_short()), ("by", by.as_str().into())]),
            Self::Variant(name) => object([("variant", name.as_str().into())]),
        }
    }
}

impl Variants {
    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let values = self.values.iter().map(|variant| {
            let mut fields = Object::new();
            fields.insert("name", variant.name.as_str());
            fields.insert("weight", variant.weight);
            fields.insert("value", variant.value.clone());
            if !variant.buckets.is_empty() {
                let ranges = variant.buckets.iter().map(|(start, end)| Json::from(vec![*start, *end]));
                fields.insert("buckets", Json::Array(ranges.collect()));
            }
            Json::Object(fields)
        });
        let mut fields = Object::new();
        fields.insert("by", self.by.as_str());
        fields.extend(self.off.iter().map(|off| ("off", Json::from(off.as_str()))));
        fields.insert("values", Json::Array(values.collect()));
        Json::Object(fields)
    }
}

impl Schedule {
    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let mut fields = Object::new();
        fields.extend(self.enable_at.iter().map(|at| ("enable_at", Json::from(*at))));
        fields.extend(self.disable_at.iter().map(|at| ("disable_at", Json::from(*at))));
        if !self.steps.is_empty() {
            let step =
                |at: i64, share: f64| object([("at", at.into()), ("share", AnyPercentage::from(share).to_short())]);
            let steps = self.steps.iter().map(|each| step(each.at, each.share));
            fields.insert("steps", Json::Array(steps.collect()));
            fields.insert("by", self.by.as_str());
        }
        Json::Object(fields)
    }
}

impl When {
    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> Json {
        let list = |parts: &[Self]| Json::Array(parts.iter().map(Self::to_json).collect());
        match self {
            Self::All(parts) => object([("all", list(parts))]),
            Self::Any(parts) => object([("any", list(parts))]),
            Self::Not(part) => object([("not", part.to_json())]),
            Self::Segment(name) => object([("segment", name.as_str().into())]),
            Self::Check { attribute, test } => {
                let mut fields = Object::new();
                fields.insert("attribute", attribute.as_str());
                fields.insert("operator", test.symbol());
                fields.extend(test.value().map(|value| ("value", value)));
                Json::Object(fields)
            }
        }
    }
}

impl Test {
    /// The stored name of its operator.
    #[must_use]
    pub fn symbol(&self) -> String {
        match self {
            Self::Compare(operator, _) => operator.to_string(),
            Self::Text { place, ignore_case, .. } => {
                [place.stored(), if *ignore_case { "_ignore_case" } else { "" }].concat()
            }
            Self::Matches(_) => "matches".to_owned(),
            Self::Semver(operator, _) => format!("semver_{operator}"),
            Self::Date(operator, _) => format!("date_{operator}"),
            Self::Network(_) => "in_network".to_owned(),
            Self::Exists => "exists".to_owned(),
        }
    }

    /// The stored value of its operator, if it has one.
    #[must_use]
    pub fn value(&self) -> Option<Json> {
        match self {
            Self::Compare(_, value) => Some(value.clone()),
            Self::Text { values, .. } | Self::Network(values) => Some(match values.as_slice() {
                [only] => only.as_str().into(),
                several => Json::Array(several.iter().map(|value| value.as_str().into()).collect()),
            }),
            Self::Matches(text) | Self::Semver(_, text) | Self::Date(_, text) => Some(text.as_str().into()),
            Self::Exists => None,
        }
    }
}

impl Place {
    pub(super) fn stored(self) -> &'static str {
        match self {
            Self::Start => "starts_with",
            Self::End => "ends_with",
            Self::Anywhere => "contains",
        }
    }
}
