//! The `flipper` command: manage, watch, move and serve feature flags from a terminal.

mod args;
mod caller;
mod change;
mod commands;
mod confirm;
mod describe;
mod detached;
mod diff;
mod failure;
mod follow;
mod interrupt;
mod logs;
mod missing;
mod names;
mod output;
mod plan;
mod progress;
mod records;
mod refused;
mod session;
mod store;
mod suggest;
mod table;
mod text;
mod transfer;

use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::failure::{Code, Failure};
use crate::output::Output;
use crate::session::Session;
use crate::store::without_secrets;
use crate::text::path_text;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage_error(&error),
    };
    logs::begin(&command);
    let mut session = Session::new(global);
    let done = commands::run(&mut session, command).await;
    session.end(done)
}

/// Prints help or version, or why the command line is wrong.
fn usage_error(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        error.exit();
    }
    let json = std::env::args_os().any(|argument| argument == "--json");
    if error.kind() == ErrorKind::InvalidUtf8 {
        // File names need not be UTF-8, so some of these arguments may be allowed ones.
        let bytes = std::env::args_os().filter(|argument| argument.to_str().is_none());
        let shown: Vec<_> = bytes.map(|bytes| format!("$'{}'", path_text(bytes))).collect();
        let what = format!("arguments that are no file names have to be UTF-8: {}", shown.join(" "));
        Output::new(json).failure(&Failure::usage(what));
    } else if json {
        let text = error.render().to_string();
        Output::new(true).failure(&Failure::usage(text.trim().trim_start_matches("error: ")));
    } else {
        anstream::eprint!("{}", without_secrets(&error.render().ansi().to_string()));
    }
    ExitCode::from(Code::Usage as u8)
}
