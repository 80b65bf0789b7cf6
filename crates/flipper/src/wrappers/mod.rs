//! Stores made of another store.

mod mirrored;
