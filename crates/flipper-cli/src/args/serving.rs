//! Commands about the store and the command itself.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

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
