//! Commands of a server, and about the command itself.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::Shell;
use tracing::level_filters::LevelFilter;

#[derive(Args)]
pub(crate) struct Serve {
    /// How much is logged
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(crate) log_level: LogLevel,
    /// How it is logged, on standard error
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) log_format: LogFormat,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogFormat {
    /// A line a message
    Text,
    /// A JSON object a line
    Json,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<LogLevel> for LevelFilter {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Error => Self::ERROR,
            LogLevel::Warn => Self::WARN,
            LogLevel::Info => Self::INFO,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Trace => Self::TRACE,
        }
    }
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
