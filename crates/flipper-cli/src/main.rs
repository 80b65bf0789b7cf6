//! The `flipper` command: manage, watch, move and serve feature flags from a terminal.

mod args;
mod change;
mod commands;
mod condition;
mod confirm;
mod describe;
mod diff;
mod failure;
mod follow;
mod interrupt;
mod logs;
mod names;
mod output;
mod plan;
mod progress;
mod records;
mod session;
mod store;
mod suggest;
mod table;
mod text;
mod transfer;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
use crate::session::Session;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { global, command } = Cli::parse();
    logs::begin(&command);
    let mut session = Session::new(global);
    let done = commands::run(&mut session, command).await;
    session.end(done)
}
