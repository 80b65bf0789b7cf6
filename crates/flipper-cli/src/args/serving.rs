//! Commands of a server, and about the command itself.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum};
use clap_complete::Shell;
use tracing::level_filters::LevelFilter;

#[derive(Args)]
#[command(after_help = "\
The flags of a remote store are mirrored in memory: reads are answered from there, also while the store is \
unreachable, and writes go to the store. HTTP paths:
  /healthz                200 while it runs
  /readyz                 200 once it has flags to answer with, also while the store is unreachable
  /readyz?max_stale=30s   the same, but 503 if the store has not confirmed them for that long
  /metrics                in the text format of Prometheus
SIGTERM and Ctrl-C let pending calls finish.

Neither port has passwords or encryption: any client of the Thrift port can change all flags. Addresses that other machines \
can reach are refused without --listen-everywhere; a proxy with mutual TLS is the safer choice.")]
pub(crate) struct Serve {
    /// The address for Thrift; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9090")]
    pub(crate) thrift: String,
    /// The address for health and metrics; without it there are none
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) http: Option<String>,
    /// Keeps the last known flags in this file, for a start while the store is unreachable; an SQLite store needs none
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Copies the flags to this store too, and has its flags if the other is unreachable at the start; can be repeated
    #[arg(long, value_name = "URL")]
    pub(crate) replica: Vec<OsString>,
    /// Allows addresses that other machines can reach, without passwords or encryption
    #[arg(long)]
    pub(crate) listen_everywhere: bool,
    /// The log level
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log_level())]
    pub(crate) log_level: LevelFilter,
    /// The log format, on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn log_level() -> impl TypedValueParser<Value = LevelFilter> {
    PossibleValuesParser::new(["error", "warn", "info", "debug", "trace"]).try_map(|level| level.parse::<LevelFilter>())
}

#[derive(Args)]
pub(crate) struct Doctor {
    /// Examines the snapshot of `serve --snapshot` too
    #[arg(long, value_name = "FILE")]
    pub(crate) snapshot: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "For bash: flipper completions bash > ~/.local/share/bash-completion/completions/flipper")]
pub(crate) struct Completions {
    /// The shell
    pub(crate) shell: Shell,
}

#[derive(Args)]
pub(crate) struct Man {
    /// Writes the pages of all commands into this folder; without it, that of `flipper` to standard output
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: Option<PathBuf>,
}
