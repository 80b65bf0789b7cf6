//! A request of an OFREP client.

#![no_main]

#[path = "../ofrep.rs"]
mod ofrep;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ofrep::check(bytes));
