//! Commands of a PostgreSQL store.

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum Postgres {
    /// Adds triggers that list changes, so that followers need not compare all rows
    #[command(after_help = "\
The table stays as it is, for other programs too. Its owner should run this: the triggers of another user, who needs the rights \
TRIGGER on the table and CREATE on the database, do not see writers in replication. Run again, it completes what an older version has \
installed, and lets users follow who may read the flags since.")]
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
    /// How many changes the history keeps, 10,000 with `--history-days` alone. Without either, an earlier installation's limits stay
    // The trigger has it as an `int`.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=0x7fff_ffff))]
    pub(crate) history_entries: Option<u32>,
    /// For how many days it keeps them, 90 with `--history-entries` alone
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) history_days: Option<u32>,
}

#[derive(Args)]
pub(crate) struct Uninstall {
    /// Prints the SQL, and changes nothing
    #[arg(long)]
    pub(crate) print: bool,
}
