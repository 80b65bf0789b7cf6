//! Free ports.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::net::TcpListener;

/// A port that was free just now.
#[must_use]
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
