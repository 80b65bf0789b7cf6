//! Names in the expansion that have another meaning at the place of the attribute.

use crate::{FEATURES, states};

mod flipper_again {
    pub(super) use ::flipper::{__private, is_enabled};
}

#[flipper_again::is_enabled(FEATURES, "CRATE_PATH", redirect = old_moved, crate = flipper_again)]
async fn moved(number: u8) -> u8 {
    tokio::task::yield_now().await;
    number
}

async fn old_moved(number: u8) -> u8 {
    tokio::task::yield_now().await;
    number + 1
}

#[test]
fn crate_under_another_path() {
    assert_eq!(states("CRATE_PATH", || futures_executor::block_on(moved(1))), [2, 2, 1]);
}

mod hostile {
    #![expect(dead_code, reason = "they are in the way")]

    pub(super) mod core {}
    pub(super) mod std {}
    pub(super) mod flipper {}
    pub(super) struct Default;
    pub(super) struct Option;

    #[::flipper::is_enabled(crate::FEATURES, "HOSTILE", redirect = old_number)]
    pub(super) fn number(_: u8, enabled: bool, (argument_0, ..): (u8, u8), _enabled: u8) -> u8 {
        let argument_2 = u8::from(enabled);
        argument_2 + argument_0
    }

    fn old_number(first: u8, _: bool, pair: (u8, u8), last: u8) -> u8 {
        first + pair.1 + last
    }

    #[::flipper::is_enabled(crate::FEATURES, "HOSTILE_DEFAULT")]
    pub(super) async fn nothing() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn names_in_the_way() {
    assert_eq!(states("HOSTILE", || hostile::number(5, true, (1, 2), 3)), [10, 10, 2]);
    states("HOSTILE_DEFAULT", || futures_executor::block_on(hostile::nothing()));
}
