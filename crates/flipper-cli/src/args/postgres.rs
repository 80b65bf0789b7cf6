//! Commands of a PostgreSQL store.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::flags::duration;

#[derive(Subcommand)]
pub(crate) enum Postgres {
    /// Adds triggers that list changes, so that followers need not compare all rows
    #[command(after_help = "\
The table stays as it is, for other programs too. Its owner should run this: the triggers of another user, who needs the rights \
TRIGGER on the table and CREATE on the database, do not see writers in replication. Run again, it also removes the names of deleted \
flags from the list of changes, and leaves it as it is how much history is kept.")]
    Install(Install),
    /// Removes what `install` added; only the table's owner may
    Uninstall(Uninstall),
    /// Shows how changes become known to followers
    #[command(after_help = "Exit codes: 0 all is fine, 1 it could be better, 4 the store cannot be used.")]
    Status,
}

#[derive(Args)]
pub(crate) struct Install {
    /// Prints the SQL, and changes nothing
    #[arg(long)]
    pub(crate) print: bool,
    /// Lets followers ask four times a second instead of being notified: for programs that prepare transactions in which they write flags
    #[arg(long)]
    pub(crate) without_notifications: bool,
    /// Keeps at most so many changes in the history; at first 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), requires = "history_age")]
    pub(crate) history_entries: Option<u32>,
    /// Keeps only changes of this time in the history: 90d, 52w; at first 90d
    #[arg(long, value_name = "TIME", value_parser = duration, requires = "history_entries")]
    pub(crate) history_age: Option<Duration>,
}

#[derive(Args)]
pub(crate) struct Uninstall {
    /// Prints the SQL, and changes nothing
    #[arg(long)]
    pub(crate) print: bool,
}
