//! Every behaviour of the trait, at the root of a bucket and under a prefix. moto takes minutes for it; other tests have it.

use flipper::S3FeatureFlagStore;
use flipper::conformance::TwoConnections;
use flipper_testkit::s3::S3Server;

use crate::{random, seaweedfs, store};

struct Place {
    server: &'static S3Server,
    bucket: String,
}

impl Place {
    fn store(&self) -> S3FeatureFlagStore {
        store(self.server.port(), &self.bucket)
    }
}

fn at_the_root() -> Option<(S3FeatureFlagStore, Place)> {
    let server = seaweedfs()?;
    let place = Place { server, bucket: server.bucket() };
    Some((place.store(), place))
}

flipper::store_conformance_tests!(at_the_root_of_a_bucket, async || at_the_root());
flipper::store_conformance_tests!(under_a_prefix, async || {
    let server = seaweedfs()?;
    let (bucket, prefix) = (server.bucket(), random("shop/features"));
    let connect = || store(server.port(), &bucket).prefix(&prefix).unwrap();
    Some((TwoConnections::new(connect(), connect()), ()))
});
flipper::reopened_conformance_tests!(reopened, async || at_the_root(), async |place: &Place| place.store());
flipper::corrupt_conformance_tests!(
    corrupt,
    async || at_the_root(),
    async |store: &S3FeatureFlagStore, name: &str, value: &[u8]| {
        let bucket = store.to_string();
        let bucket = bucket.strip_prefix("S3(").and_then(|rest| rest.strip_suffix(')')).unwrap();
        assert_eq!(seaweedfs().unwrap().ask("PUT", &format!("/{bucket}/{name}"), value).status, 200);
    }
);
