//! Every behaviour of the trait, for each way to follow changes, and through a pool.

use std::sync::Arc;

use flipper::PostgresFeatureFlagStore;
use flipper::conformance::TwoConnections;
use flipper_testkit::Shared;
use flipper_testkit::postgres::{Pool, PoolMode, PostgresServer};

use crate::{random_table, shared, store};

static POOL: Shared<Pool> = Shared::new();
static POOL_OF_STATEMENTS: Shared<Pool> = Shared::new();

type Held = (PostgresFeatureFlagStore, Arc<PostgresServer>);

fn polled() -> Option<Held> {
    let server = shared()?;
    Some((store(&server.url(), &random_table()), server))
}

async fn fed() -> Option<Held> {
    let (store, server) = polled()?;
    store.install_feed(true).await.unwrap();
    Some((store, server))
}

/// With a first call, which shows that there is a history.
async fn looked(store: PostgresFeatureFlagStore) -> PostgresFeatureFlagStore {
    flipper::FeatureFlagStore::list(&store).await.unwrap();
    store
}

flipper::store_conformance_tests!(with_the_feed, async || fed().await);
flipper::store_conformance_tests!(by_fingerprint, async || polled());
flipper::store_conformance_tests!(two_connections, async || {
    let (store, server) = fed().await?;
    let other = looked(store.clone().create_table(false)).await;
    Some((TwoConnections::new(store, other), server))
});
flipper::store_conformance_tests!(half_through_a_pool, async || {
    let (direct, server) = fed().await?;
    let pool = POOL.get(|| Pool::start(&server, PoolMode::Transaction))?;
    let table = direct.to_string();
    let table = table.strip_prefix("Postgres(").unwrap().strip_suffix(')').unwrap();
    Some((TwoConnections::new(looked(store(&pool.url(), table)).await, direct), (pool, server)))
});
flipper::store_conformance_tests!(through_a_pool_of_statements, async || {
    let (direct, server) = fed().await?;
    let pool = POOL_OF_STATEMENTS.get(|| Pool::start(&server, PoolMode::Statement))?;
    let table = direct.to_string();
    let table = table.strip_prefix("Postgres(").unwrap().strip_suffix(')').unwrap();
    Some((looked(store(&pool.url(), table)).await, (pool, server)))
});
flipper::corrupt_conformance_tests!(
    rows_that_are_no_flags,
    async || fed().await,
    async |store: &PostgresFeatureFlagStore, name: &str, value: &[u8]| put_row(store, name, value).await,
);
flipper::reopened_conformance_tests!(
    reopened,
    async || {
        let server = shared()?;
        let table = random_table();
        let store = store(&server.url(), &table);
        store.install_feed(true).await.unwrap();
        Some((store, (table, server)))
    },
    async |held: &(String, Arc<PostgresServer>)| looked(store(&held.1.url(), &held.0)).await,
);

async fn put_row(store: &PostgresFeatureFlagStore, name: &str, value: &[u8]) {
    let table = store.to_string();
    let table = table.strip_prefix("Postgres(").unwrap().strip_suffix(')').unwrap().to_owned();
    let item: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    let name: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
    flipper::FeatureFlagStore::list(store).await.unwrap();
    let put = format!("INSERT INTO {table} VALUES (convert_from('\\x{name}', 'UTF8'), '\\x{item}')");
    shared().unwrap().psql(&put);
}
