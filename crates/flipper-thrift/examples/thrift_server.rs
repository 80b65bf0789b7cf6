//! Serves the flags of an SQLite file over Thrift, until its input ends or has a line:
//!
//! ```text
//! cargo run --package flipper-thrift --example thrift_server -- flags.db 127.0.0.1:9090
//! ```

use std::io::{BufRead, Write};

use flipper::SqliteFeatureFlagStore;
use flipper_thrift::{Server, ServerOptions};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "flags.db".to_owned());
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:9090".to_owned());

    let store = SqliteFeatureFlagStore::new(&path)?;
    let server = Server::start_with(address, store, ServerOptions::new())?;
    let mut out = std::io::stdout();
    writeln!(out, "serving the flags of {path} on {}; press Enter to stop", server.local_addr())?;
    out.flush()?;

    std::io::stdin().lock().lines().next();
    // Pending calls finish first.
    server.shutdown();
    writeln!(out, "stopped")?;
    Ok(())
}
