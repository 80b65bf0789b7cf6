//! Commands about flags as a whole.

use std::ffi::OsString;
use std::time::Duration;

use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Names {
    /// Flags; - stands for names on standard input, one a line
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Write {
    /// Shows what would change, and changes nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why, for the history: up to 4 KiB
    #[arg(long, value_name = "TEXT")]
    pub(crate) because: Option<String>,
}

#[derive(Args)]
pub(crate) struct List {
    /// Only flags whose name has this in it, upper or lower case
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Only flags that are on
    #[arg(long, conflicts_with = "disabled")]
    pub(crate) enabled: bool,
    /// Only flags that are off
    #[arg(long)]
    pub(crate) disabled: bool,
    /// Only flags of this owner: `owner` in their client data
    #[arg(long, value_name = "NAME")]
    pub(crate) owner: Option<String>,
    /// Only flags with this tag: one of the list `tags` in their client data
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<String>,
}

#[derive(Args)]
pub(crate) struct Switch {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Creates missing flags
    #[arg(long)]
    pub(crate) create: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct Toggle {
    #[command(flatten)]
    pub(crate) names: Names,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct Create {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Turns them on
    #[arg(long)]
    pub(crate) enable: bool,
    /// Client data: a JSON object, or @FILE that holds one; `description` and `owner` in it are shown by `list`
    #[arg(long, visible_alias = "data", value_name = "JSON|@FILE")]
    pub(crate) client_data: Option<OsString>,
    /// Conditions on attributes that a check does not give do not hold, instead of being skipped. Python ignores this
    #[arg(long)]
    pub(crate) strict: bool,
    /// Leaves an existing flag as it is
    #[arg(long)]
    pub(crate) if_missing: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct Destroy {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Subcommand)]
pub(crate) enum ClientData {
    /// Prints the client data, as JSON
    Get(Names),
    /// Sets keys of the client data, and leaves the others
    Set(ClientDataSet),
    /// Removes keys of the client data
    Unset(ClientDataUnset),
}

#[derive(Args)]
#[command(after_help = "The first argument is a flag; further ones are flags until the first KEY=VALUE.")]
pub(crate) struct ClientDataSet {
    /// Flags, then pairs; a value is JSON where it can be read as such, else a string
    #[arg(value_names = ["NAME", "KEY=VALUE"], required = true, num_args = 2..)]
    pub(crate) words: Vec<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct ClientDataUnset {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// Keys
    #[arg(value_name = "KEY", required = true)]
    pub(crate) keys: Vec<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
#[command(after_help = "\
A flag counts as stale if it has been off, or on for all callers, for that long: no condition, no rollout below 100%, no unfinished \
ramp. Since when is known from the store's history. Where that does not go back so far, or the store keeps none, it is the date of \
creation; the output says which.")]
pub(crate) struct Stale {
    /// Fully on or off for at least this long: 90d, 12h, 1year
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) older_than: Duration,
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it like 90d, 2h or 30min"))
}
