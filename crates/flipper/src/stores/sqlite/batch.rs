use std::sync::Arc;

use crate::error::{Error, Result};
use crate::record::{FlagRecord, validate_name};
use crate::state::Version;

/// Other writers wait meanwhile.
const MOST: usize = 1000;

pub(super) type Flag = (Arc<FlagRecord>, Arc<str>);

pub(super) struct Batch<'a> {
    records: &'a [FlagRecord],
    valid: Vec<Result<()>>,
    pub(super) flags: Vec<Flag>,
}

impl<'a> Batch<'a> {
    pub(super) fn of_all(records: &'a [FlagRecord]) -> impl Iterator<Item = Self> + Send {
        records.chunks(MOST).map(|records| {
            let valid: Vec<_> = records.iter().map(|record| validate_name(record.name())).collect();
            let flags = records.iter().zip(&valid).filter(|(_, valid)| valid.is_ok());
            let flags = flags.map(|(record, _)| (Arc::new(record.clone()), Arc::from(record.to_json()))).collect();
            Self { records, valid, flags }
        })
    }

    pub(super) fn results(
        self,
        written: Result<Vec<Result<Version>>>,
        named: impl Fn(Error) -> Error,
    ) -> Vec<Result<Version>> {
        let mut written = match written {
            Ok(results) => results,
            Err(error) => self.flags.iter().map(|_| Err(error.copy())).collect(),
        }
        .into_iter();
        let result = |(record, valid): (&FlagRecord, Result<()>)| {
            valid?;
            let result = written.next().unwrap_or_else(|| Err(Error::unavailable("the result of a write is missing")));
            result.map_err(|error| named(error).with_flag(record.name()))
        };
        self.records.iter().zip(self.valid).map(result).collect()
    }
}
