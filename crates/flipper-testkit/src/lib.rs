//! Test support for Flipper.
