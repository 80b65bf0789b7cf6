//! A store written from the docs alone shows every behaviour, and works with the client.

#[path = "../examples/directory_store.rs"]
#[allow(unreachable_pub, reason = "an example shows a store as a library would have it")]
mod directory_store;

use directory_store::DirectoryStore;
use flipper::conformance::TwoConnections;
use flipper::{ErrorKind, FeatureFlagClient, context};
use flipper_testkit::block_on;
use serde_json::json;
use std::fs;

flipper::store_conformance_tests!(directory, async || {
    let folder = tempfile::tempdir().unwrap();
    (DirectoryStore::open(folder.path()).unwrap(), folder)
});

flipper::store_conformance_tests!(directory_shared, async || {
    let folder = tempfile::tempdir().unwrap();
    let open = || DirectoryStore::open(folder.path()).unwrap();
    (TwoConnections::new(open(), open()), folder)
});

flipper::reopened_conformance_tests!(
    directory_reopened,
    async || {
        let folder = tempfile::tempdir().unwrap();
        (DirectoryStore::open(folder.path()).unwrap(), folder)
    },
    async |folder: &tempfile::TempDir| DirectoryStore::open(folder.path()).unwrap(),
);

flipper::corrupt_conformance_tests!(
    directory_with_files_that_are_no_flags,
    async || {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("README.txt"), "hello").unwrap();
        (DirectoryStore::open(folder.path()).unwrap(), folder)
    },
    async |store: &DirectoryStore, name: &str, value: &[u8]| {
        let shown = store.to_string();
        let folder = shown.strip_prefix("Directory(").unwrap().strip_suffix(')').unwrap();
        fs::write(format!("{folder}/{name}.json"), value).unwrap();
    },
);

#[test]
fn a_client_of_it_needs_no_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let features = FeatureFlagClient::remote(DirectoryStore::open(folder.path()).unwrap());
    block_on(async {
        features.create("CHECKOUT").client_data(json!({ "owner": "payments" })).await?;
        features.enable("CHECKOUT").await?;
        assert!(features.fetch_enabled("CHECKOUT", &context! { user_id: 7 }).await?);
        let error = features.create("CHECKOUT").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FlagExists);
        let text = fs::read_to_string(folder.path().join("CHECKOUT.json")).unwrap();
        assert_eq!(text, features.fetch("CHECKOUT").await?.unwrap().to_json());
        features.destroy("CHECKOUT").await?;
        assert_eq!(features.fetch("CHECKOUT").await?, None);
        assert_eq!(features.enable("CHECKOUT").await.unwrap_err().kind(), ErrorKind::FlagNotFound);
        Ok::<_, flipper::Error>(())
    })
    .unwrap();
}
