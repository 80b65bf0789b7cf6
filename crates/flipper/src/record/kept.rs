use std::sync::Arc;

use super::FlagRecord;

/// A record in memory. Most flags have nothing but a state and a date: these take a tenth of a whole record, which is made when it is asked for.
#[derive(Clone, Debug)]
pub(crate) enum Kept {
    Plain { enabled: bool, created_date: i64 },
    Whole(Arc<FlagRecord>),
}

impl Kept {
    /// `name`: with which the record is asked for.
    pub(crate) fn new(name: &str, record: Arc<FlagRecord>) -> Self {
        match record.is_plain() && record.name() == name {
            true => Self::Plain { enabled: record.is_enabled, created_date: record.created_date },
            false => Self::Whole(record),
        }
    }

    pub(crate) fn record(&self, name: &str) -> Arc<FlagRecord> {
        match self {
            Self::Plain { enabled, created_date } => Arc::new(plain(name, *enabled, *created_date)),
            Self::Whole(record) => record.clone(),
        }
    }

    /// `None`: the flag has neither conditions nor a bucketer, nor anything of targeting, nor client data.
    pub(crate) fn whole(&self) -> Option<&FlagRecord> {
        match self {
            Self::Plain { .. } => None,
            Self::Whole(record) => Some(record),
        }
    }

    /// `None` where [`whole`](Self::whole) has more.
    pub(crate) fn plain_state(&self) -> Option<bool> {
        match self {
            Self::Plain { enabled, .. } => Some(*enabled),
            Self::Whole(_) => None,
        }
    }

    /// As [`record`](Self::record), without an allocation and without a count that other threads would have to share. That of a plain flag has no
    /// name.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&FlagRecord) -> T) -> T {
        match self {
            Self::Plain { enabled, created_date } => read(&plain("", *enabled, *created_date)),
            Self::Whole(record) => read(record),
        }
    }

    /// Whether it is this one, not another that is equal.
    pub(crate) fn is(&self, record: &Arc<FlagRecord>) -> bool {
        matches!(self, Self::Whole(own) if Arc::ptr_eq(own, record))
    }

    pub(crate) fn is_enabled(&self) -> bool {
        match self {
            Self::Plain { enabled, .. } => *enabled,
            Self::Whole(record) => record.is_enabled(),
        }
    }
}

/// Of two records of one flag.
impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain { enabled, created_date }, Self::Plain { enabled: on, created_date: date }) => {
                (enabled, created_date) == (on, date)
            }
            (Self::Whole(record), Self::Whole(other)) => record == other,
            // Each record is kept in one way.
            _ => false,
        }
    }
}

fn plain(name: &str, enabled: bool, created_date: i64) -> FlagRecord {
    let mut record = FlagRecord::new(name, created_date);
    record.set_enabled(enabled);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways return the same record, to the byte, and take it as the same.
    #[test]
    fn nothing_of_a_record_is_lost() {
        let meta = |meta: &str| format!(r#"{{"feature_name": "F", "is_enabled": true, "meta": {meta}}}"#);
        let plain = [
            meta(r#"{"created_date": 1}"#),
            meta(r#"{"created_date": -1, "client_data": {}, "conditions": [], "bucketer": {"type": "NoOpBucketer"}}"#),
            meta(r#"{"created_date": 9223372036854775807}"#),
            r#"{"feature_name": "F", "is_enabled": false, "meta": {"created_date": 1}}"#.to_owned(),
        ];
        let whole = [
            meta(r#"{"created_date": 1.0}"#),
            meta(r#"{"created_date": null}"#),
            meta(r#"{"created_date": 9223372036854775808}"#),
            meta(r#"{"created_date": 1, "client_data": {"a": 1}}"#),
            meta(r#"{"created_date": 1, "client_data": [1]}"#),
            meta(r#"{"created_date": 1, "conditions": [{}]}"#),
            meta(r#"{"created_date": 1, "deny_conditions": [{}]}"#),
            meta(
                r#"{"created_date": 1, "bucketer": {"type": "PercentageBucketer", "percentage": {"type": "Percentage", "value": 0.5}}}"#,
            ),
            meta(r#"{"created_date": 1, "rules": [{"serve": "on"}]}"#),
            meta(r#"{"created_date": 1, "strict_conditions": true}"#),
            meta(r#"{"created_date": 1, "other": null}"#),
            r#"{"feature_name": "F", "is_enabled": 1, "meta": {"created_date": 1}}"#.to_owned(),
            r#"{"feature_name": "F", "is_enabled": true, "meta": {"created_date": 1}, "other": 1}"#.to_owned(),
            r#"{"feature_name": "OTHER", "is_enabled": true, "meta": {"created_date": 1}}"#.to_owned(),
        ];
        for (text, is_plain) in plain.iter().map(|text| (text, true)).chain(whole.iter().map(|text| (text, false))) {
            let record = Arc::new(FlagRecord::from_json(text).unwrap());
            let kept = Kept::new("F", record.clone());
            assert_eq!(kept.whole().is_none(), is_plain, "{text}");
            assert_eq!(*kept.record("F"), *record);
            assert_eq!(kept.record("F").to_json(), record.to_json());
            let read = kept.read(Clone::clone);
            assert_eq!((read.name(), read.meta()), (if is_plain { "" } else { record.name() }, record.meta()));
            assert_eq!((kept.is_enabled(), kept == Kept::new("F", record.clone())), (record.is_enabled(), true));
            let mut other = (*record).clone();
            other.set_enabled(!record.is_enabled());
            assert!(kept != Kept::new("F", Arc::new(other)));
        }
    }
}
