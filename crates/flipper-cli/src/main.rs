//! The `flipper` command: manage, watch, move and serve feature flags from a terminal.

mod actor;
mod args;
mod caller;
mod change;
mod circles;
mod commands;
mod confirm;
mod describe;
mod detached;
mod diff;
mod elsewhere;
mod failure;
mod follow;
mod interrupt;
mod linked;
mod logs;
mod marked;
mod missing;
mod names;
mod order;
mod output;
mod plan;
mod progress;
mod records;
mod refused;
mod session;
mod settled;
mod store;
mod suggest;
mod table;
mod text;
mod time;
mod toml_file;
mod transfer;
mod turns;

use std::mem;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use tokio::runtime::Builder;

use crate::args::{Cli, Command, Serve};
use crate::failure::{Code, Done, Failure};
use crate::output::Output;
use crate::session::Session;
use crate::store::without_secrets;
use crate::text::path_text;

fn main() -> ExitCode {
    let Cli { global, command } = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage_error(&error),
    };
    let mut session = Session::new(global);
    let done = run(&mut session, command);
    session.end(done)
}

fn run(session: &mut Session, mut command: Command) -> Done {
    let mut runtime = Builder::new_current_thread();
    if let Command::Serve(args) = &mut command {
        with_config(args)?;
        runtime = Builder::new_multi_thread();
    }
    logs::begin(&command);
    let runtime = runtime.enable_all().build();
    let runtime = runtime.map_err(|error| Failure::store(format!("the runtime cannot be started: {error}")))?;
    runtime.block_on(async {
        let done = commands::run(session, command).await;
        // Also what a command wrote before it failed.
        session.finish_copies().await;
        done
    })
}

/// Fills in what only the config file has.
fn with_config(args: &mut Serve) -> Done {
    let Some(path) = &args.config else { return Ok(()) };
    let missing =
        || Failure::usage(format!("--config {}: there is no such file, or it cannot be looked at", path_text(path)));
    let file: Serve = toml_file::read(path, "`flipper serve --help` has the options")?.ok_or_else(missing)?;
    let file = file.relative_to(path.parent().unwrap_or(Path::new("")));
    *args = mem::take(args).or(file);
    Ok(())
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
