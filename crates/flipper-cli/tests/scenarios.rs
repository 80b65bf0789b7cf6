//! Every scenario prints the same on every store.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::path::Path;

use flipper_testkit::s3::{KEY, SECRET};
use support::session::Place;
use support::stores::{self, Make};

fn play(scenario: &str, make: Make) {
    let place = Place::new();
    let Some(store) = make(place.home()) else { return };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios").join(scenario);
    let place = place.variable("AWS_ACCESS_KEY_ID", KEY).variable("AWS_SECRET_ACCESS_KEY", SECRET);
    place.variable("FLIPPER_STORE", &store.url).show(&store.url, "STORE").replay(&path);
}

macro_rules! scenarios {
    ($($scenario:ident)*; $stores:tt) => {
        $(scenarios!(@ $scenario $stores);)*

        #[test]
        fn every_scenario_is_played() {
            let mut there: Vec<_> = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios"))
                .unwrap()
                .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
                .collect();
            there.sort();
            let mut played = vec![$(stringify!($scenario)),*];
            played.sort_unstable();
            assert_eq!(there, played);
        }
    };
    (@ $scenario:ident ($($store:ident)*)) => {
        mod $scenario {
            $(
                #[test]
                fn $store() {
                    super::play(concat!(stringify!($scenario), ".md"), super::stores::$store);
                }
            )*
        }
    };
}

scenarios!(a_flags_life targeting rules several_flags moving; (sqlite postgres redis consul s3 thrift));
