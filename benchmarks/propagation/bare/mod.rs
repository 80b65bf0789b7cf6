//! The limits: what a program without a library would do.

mod consul;
pub(crate) mod http;
mod postgres;
mod redis;
mod sqlite;

use flipper::FlagRecord;
use flipper_testkit::Role;

use crate::way::{FLAG, Write};

fn text(is_on: bool) -> String {
    let mut record = FlagRecord::new(FLAG, 1_700_000_000);
    record.set_enabled(is_on);
    record.to_json()
}

/// What a follower has read.
fn is_on(text: &str) -> bool {
    text.contains("\"is_enabled\": true")
}

pub(crate) fn writer(how: &str, place: &str) -> Write {
    match how {
        "sqlite" => sqlite::writer(place),
        "redis" => redis::writer(place),
        "consul" => consul::writer(place),
        "postgres" => postgres::writer(place),
        _ => http::writer(place),
    }
}

/// Ends with the parent.
pub(crate) fn follow(how: &str, place: &str, role: &Role) {
    match how {
        "sqlite" => sqlite::follow(place, role),
        "redis" => redis::follow(place, role),
        "consul" => consul::follow(place, role),
        "postgres" => postgres::follow(place, role),
        _ => http::follow(place, role),
    }
}
