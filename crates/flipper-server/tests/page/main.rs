//! The page under `/flags`: what its forms do, and what people see in a browser.

#![cfg(feature = "page")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod conflicts;
mod connection;
mod forms;
mod history;
mod login;
mod people;
#[path = "../support/mod.rs"]
mod support;
mod targeting;
mod targeting_people;
