//! The answer to a write is lost after the server wrote: between them is a relay that forwards the request, and then closes the connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use flipper::store::Precondition;
use flipper::{
    Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, FlagRecord, HttpFeatureFlagStore, MemoryFeatureFlagStore,
};
use flipper_testkit::{Harm, PATIENCE, Relay, block_on, wait_until};
use support::Running;

const PUT: &str = r#""put""#;
const DELETE: &str = r#""delete""#;

struct Behind {
    backing: MemoryFeatureFlagStore,
    relay: Relay,
    _server: Running,
}

impl Behind {
    fn start() -> Self {
        let backing = MemoryFeatureFlagStore::new();
        let server = Running::over(backing.clone());
        Self { backing, relay: Relay::start(server.address.port()), _server: server }
    }

    fn store_within(&self, timeout: Duration) -> HttpFeatureFlagStore {
        let url = format!("http://127.0.0.1:{}", self.relay.port());
        HttpFeatureFlagStore::builder(url).timeout(timeout).build().unwrap()
    }

    fn store(&self) -> HttpFeatureFlagStore {
        self.store_within(PATIENCE)
    }

    fn record(&self, name: &str) -> Option<FlagRecord> {
        block_on(self.backing.get(name)).unwrap().map(|flag| FlagRecord::clone(flag.readable().unwrap()))
    }

    /// How many writes there were, if the last was of this flag: a memory store numbers them.
    fn writes(&self, name: &str) -> u64 {
        block_on(self.backing.get(name)).unwrap().unwrap().version.as_ordered().unwrap()
    }
}

#[track_caller]
fn must_be_unknown(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    assert!(!error.nothing_written(), "{error:?}");
}

#[test]
fn the_outcome_is_unknown_and_the_same_change_again_ends_well() {
    let behind = Behind::start();
    let (relay, features) = (&behind.relay, FeatureFlagClient::remote(behind.store()));
    // A connection that is there already: what a server closed while it was idle may be sent again, and nothing else.
    assert!(block_on(features.fetch("F")).unwrap().is_none());

    relay.lose_answers(PUT, 1);
    must_be_unknown(&block_on(features.create("F")).err().unwrap());
    assert_eq!(behind.writes("F"), 1);
    assert_eq!(block_on(features.create("F")).err().unwrap().kind(), ErrorKind::FlagExists);
    block_on(features.create("F").or_get()).unwrap();
    assert_eq!(behind.writes("F"), 1);

    relay.lose_answers(PUT, 1);
    must_be_unknown(&block_on(features.enable("F")).unwrap_err());
    assert!(behind.record("F").unwrap().is_enabled() && behind.writes("F") == 2);
    // What others write meanwhile stays.
    let server = FeatureFlagClient::remote(behind.backing.clone());
    block_on(server.set_client_data("F", [("theirs", 1)].into_iter().collect::<flipper::json::Object>())).unwrap();
    block_on(features.enable("F")).unwrap();
    let record = behind.record("F").unwrap();
    assert!(record.is_enabled() && record.client_data()["theirs"].as_i64() == Some(1), "{}", record.to_json());
    assert_eq!(behind.writes("F"), 4);

    // With the version that it was to replace, a write that was done is not done again.
    let stored = block_on(behind.backing.get("F")).unwrap().unwrap();
    let (record, when) = (FlagRecord::clone(stored.readable().unwrap()), Precondition::Unchanged(stored.version));
    let store = behind.store();
    relay.lose_answers(PUT, 1);
    must_be_unknown(&block_on(store.put(&record, when.clone().into())).unwrap_err());
    let error = block_on(store.put(&record, when.into())).unwrap_err();
    assert!(error.kind() == ErrorKind::Conflict && error.nothing_written(), "{error:?}");
    assert_eq!(behind.writes("F"), 5);

    relay.lose_answers(DELETE, 1);
    must_be_unknown(&block_on(features.destroy("F")).unwrap_err());
    assert!(behind.record("F").is_none());
    assert_eq!(block_on(features.destroy("F")).unwrap_err().kind(), ErrorKind::FlagNotFound);
    assert_eq!(relay.cuts(), 4);
}

#[test]
fn half_an_answer_and_a_late_one_are_none() {
    let behind = Behind::start();
    behind.relay.harm(Harm::Cut(1));
    let error = block_on(behind.store().put(&FlagRecord::new("F", 7), Precondition::Absent.into())).unwrap_err();
    must_be_unknown(&error);
    assert_eq!(behind.writes("F"), 1);

    behind.relay.harm(Harm::Delay(Duration::from_secs(2)));
    let store = behind.store_within(Duration::from_millis(100));
    // On a busy machine a request may not be sent in that time.
    wait_until("one is written", || {
        must_be_unknown(&block_on(store.put(&FlagRecord::new("F", 8), Precondition::Any.into())).unwrap_err());
        behind.writes("F") > 1
    });
}

#[test]
fn many_writes_at_once_are_all_unknown() {
    const FLAGS: u64 = 100;
    let behind = Behind::start();
    let store = behind.store();
    let records: Vec<_> = (0..FLAGS).map(|number| FlagRecord::new(format!("F{number}"), 7)).collect();
    behind.relay.lose_answers(PUT, 1);
    let results = block_on(store.put_all(&records, Precondition::Absent.into()));
    assert_eq!(results.len(), records.len());
    results.iter().for_each(|result| must_be_unknown(result.as_ref().unwrap_err()));
    assert_eq!(behind.writes(&format!("F{}", FLAGS - 1)), FLAGS);
    let again = block_on(store.put_all(&records, Precondition::Absent.into()));
    assert!(again.iter().all(|result| result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict)));
    assert_eq!(behind.writes(&format!("F{}", FLAGS - 1)), FLAGS);
}

/// A mirror reads the flag again, whatever the caller does.
#[test]
fn memory_has_what_was_written() {
    let behind = Behind::start();
    let features = FeatureFlagClient::new(behind.store());
    block_on(features.ready()).unwrap();
    block_on(features.create("F")).unwrap();
    for number in 0..20 {
        let on = number % 2 == 0;
        behind.relay.lose_answers(PUT, 1);
        let change = async { if on { features.enable("F").await } else { features.disable("F").await } };
        must_be_unknown(&block_on(change).unwrap_err());
        wait_until("memory has it", || features.is_enabled("F") == on);
    }
    assert_eq!(behind.writes("F"), 21);
}

#[test]
fn writers_who_try_again_lose_nothing() {
    const WRITERS: usize = 8;
    const MERGES: usize = 25;
    const LOSSES: usize = 60;
    let behind = Behind::start();
    let client = || FeatureFlagClient::builder().write_timeout(PATIENCE).build_remote(behind.store());
    block_on(client().create("F")).unwrap();
    behind.relay.lose_answers(PUT, LOSSES);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let features = client();
            scope.spawn(move || {
                for merge in 0..MERGES {
                    let data: flipper::json::Object = [(format!("{writer}-{merge}"), 1)].into_iter().collect();
                    while let Err(error) = block_on(features.merge_client_data("F", &data)) {
                        must_be_unknown(&error);
                    }
                }
            });
        }
    });
    assert_eq!(behind.record("F").unwrap().client_data().as_object().unwrap().len(), WRITERS * MERGES);
    assert_eq!(behind.relay.cuts(), LOSSES);
    // One for each merge, and one for each answer that was lost, unless it was that of a conflict; and the flag's creation.
    let (merges, losses) = (u64::try_from(WRITERS * MERGES).unwrap(), u64::try_from(LOSSES).unwrap());
    let writes = behind.writes("F") - 1;
    assert!((merges..=merges + losses).contains(&writes), "{writes} writes");
}
