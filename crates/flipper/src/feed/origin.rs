//! Which store an answer is of: behind one address may be several servers of one store, and after a mistake servers of several stores.

use xxhash_rust::xxh3::xxh3_64;

/// In the answers of reads: a digest of the identity of the store behind all servers.
pub const STORE: &str = "Flipper-Store";

/// The same for each server of a store. `store`: as in [`Delta`](super::Delta).
#[must_use]
pub fn digest(store: &str) -> String {
    format!("{:016x}", xxh3_64(behind_all(store).as_bytes()))
}

/// The identity of a server's address has that of its store: `http://HOST (SERVER: STORE)`.
fn behind_all(mut store: &str) -> &str {
    while let Some((_, rest)) = store.split_once(" (")
        && let Some((server, inner)) = rest.split_once(": ")
        && let Some(inner) = inner.strip_suffix(')')
        && server.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        store = inner;
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_one_store_have_one_digest() {
        let store = "sqlite:/srv/flags (old): 1.db (fe00:9ec059)";
        let chain = |server: &str, store: &str| format!("http://h:1 ({server}: {store})");
        for server in
            [store.to_owned(), chain("bb372d398d099109", store), chain("0a", &chain("9ca5e4853ebbdbaf", store))]
        {
            assert_eq!(behind_all(&server), store);
            assert_eq!(digest(&server), digest(store));
        }
        assert_ne!(digest(store), digest("sqlite:/srv/flags (old): 1.db (fe00:9ec05a)"));
        assert_eq!(behind_all("http://h:1 (bb37)"), "http://h:1 (bb37)", "a server that does not know its store yet");
    }
}
