//! Names that the expansion uses may mean something else where it stands.

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
    pub(super) fn number(_: u8, __enabled: bool, (a, ..): (u8, u8)) -> u8 {
        u8::from(__enabled) + a
    }

    fn old_number(__argument_0: u8, __enabled: bool, pair: (u8, u8)) -> u8 {
        __argument_0 + pair.1
    }

    #[::flipper::is_enabled(crate::FEATURES, "HOSTILE_DEFAULT")]
    pub(super) async fn nothing() {
        tokio::task::yield_now().await;
    }
}

#[test]
fn names_in_the_way() {
    assert_eq!(states("HOSTILE", || hostile::number(5, true, (1, 2))), [7, 7, 2]);
    states("HOSTILE_DEFAULT", || futures_executor::block_on(hostile::nothing()));
}
