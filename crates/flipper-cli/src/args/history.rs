//! Commands about what was changed.

use std::time::Duration;

use clap::Args;

use super::flags::{Names, Write, duration};

#[derive(Args)]
#[command(after_help = "\
Each line has the time, the flag, what differs, who changed it, from where, and why. `outside` are programs that use the store \
without Flipper. The order is that of the changes; the times are those of the clocks of the writers. A store keeps a part of its \
history: by default 10,000 changes of the last 90 days.")]
pub(crate) struct History {
    /// Only this flag, which need not exist any more; without a name all
    #[arg(value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only changes of this time: 2h, 90min, 7d
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// Only changes by this actor
    #[arg(long, value_name = "ACTOR")]
    pub(crate) by: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
}

#[derive(Args)]
pub(crate) struct Undo {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}
