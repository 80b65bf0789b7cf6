//! Flags over HTTP: a JSON API, OFREP, and live changes, over any of Flipper's stores.

mod access;
mod app;
mod ofrep;
mod problem;

pub use self::app::App;
