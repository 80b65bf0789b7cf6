//! A file that is imported into a store that has its flags.

use std::collections::HashMap;

use flipper::FlagRecord;
use flipper::store::Stored;
use futures_util::StreamExt;

use crate::failure::Done;
use crate::plan::{ASKED_AT_ONCE, get};
use crate::store::Store;

/// Each flag that the store has keeps what the file does not say.
pub(super) async fn adopt(records: &mut [FlagRecord], store: &Store) -> Done {
    let places: HashMap<String, usize> =
        records.iter().enumerate().map(|(place, record)| (record.name().to_owned(), place)).collect();
    let mut take = |there: Stored| {
        if let (Some(place), Ok(there)) = (places.get(&there.name), there.record) {
            records[*place] = as_there(&records[*place], &there);
        }
    };
    // For more, all of the store is read.
    if places.len() <= ASKED_AT_ONCE {
        let names: Vec<&str> = places.keys().map(String::as_str).collect();
        get(store, &names).await?.into_iter().flatten().for_each(take);
        return Ok(());
    }
    let mut flags = store.inner.stream();
    while let Some(flag) = flags.next().await {
        take(flag.map_err(|error| store.failure(&error))?);
    }
    Ok(())
}

/// When it was made, and which caller has which variant as far as the weights allow.
pub(super) fn as_there(file: &FlagRecord, there: &FlagRecord) -> FlagRecord {
    let Some(created) = there.created_date() else { return file.clone() };
    let mut record = FlagRecord::new(file.name(), created);
    record.set_enabled(file.is_enabled());
    if let Some(data) = file.client_data().as_object() {
        record.set_client_data(data.clone());
    }
    record.set_bucketer(file.bucketer().clone());
    record.set_rules(file.rules().to_vec());
    record.set_variants(there.variants().cloned());
    record.set_variants(file.variants().cloned());
    record.set_prerequisites(file.prerequisites().to_vec());
    record.set_schedule(file.schedule().cloned());
    record.set_segment(file.segment().cloned());
    record
}
