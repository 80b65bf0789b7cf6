//! `PUT`, and a blocking query of all keys: over plain sockets. The response is not parsed.

use flipper_testkit::Role;
use flipper_testkit::consul::Connection;

use super::text;
use crate::stores::FLAGS;
use crate::way::{FLAG, Write, saw};

pub(super) fn writer(address: &str) -> Write {
    let mut consul = Connection::open(address);
    let mut put = move |name: &str, is_on| {
        consul.request("PUT", &format!("/v1/kv/wire/{name}"), text(is_on).as_bytes());
    };
    for number in 1..FLAGS {
        put(&format!("{FLAG}{number:05}"), false);
    }
    put(FLAG, false);
    Box::new(move |is_on| put(FLAG, is_on))
}

pub(super) fn follow(address: &str, role: &Role) {
    let mut consul = Connection::open(address);
    let (mut index, _) = consul.request("GET", "/v1/kv/wire/?recurse", b"");
    role.say("ready");
    let mut is_on = false;
    loop {
        let (next, _) = consul.request("GET", &format!("/v1/kv/wire/?recurse&index={index}&wait=10s"), b"");
        if next != index {
            index = next;
            is_on = !is_on;
            saw(role, is_on);
        }
    }
}
