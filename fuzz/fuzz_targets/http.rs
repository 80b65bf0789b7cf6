//! A request of the JSON API.

#![no_main]

#[path = "../http.rs"]
mod http;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| http::check(bytes));
