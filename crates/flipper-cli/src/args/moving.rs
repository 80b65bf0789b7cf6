//! Commands about many flags, files and two stores.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::flags::DryRun;

#[derive(Args)]
#[command(after_help = "\
Each line has the time at which the change was seen, the flag, and what is another than before. Where changes are pushed \
they are seen within milliseconds; where the store is polled, within the time that is told at the start. While the store \
is away this says so, and when it is back it tells what happened meanwhile. Ctrl-C ends it.")]
pub(crate) struct Watch {
    /// Only these flags, which need not exist; without names all
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<String>,
}

#[derive(Args)]
pub(crate) struct Export {
    /// The file, which is replaced as a whole; - or nothing is standard output
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
The file is what `export` writes: a JSON array of flags as they are stored. Flags one after the other, as `get --json` prints \
them, will do too. It is read to its end first: from a broken file nothing is imported.

Without --merge or --replace nothing is written if a flag is there already and is another one. A new SQLite file is made.")]
pub(crate) struct Import {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Writes over flags that are there, and leaves those that are not in the file
    #[arg(long, conflicts_with = "replace")]
    pub(crate) merge: bool,
    /// As --merge, and destroys flags that are not in the file; asks before
    #[arg(long)]
    pub(crate) replace: bool,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Args)]
#[command(after_help = "\
Flags of FROM are written over those of TO; only what differs is written, so that the same command goes on where it was \
interrupted. A new SQLite file is made. Flags that only TO has stay, unless --delete; so do, with --follow, those that are \
gone when FROM comes back after it was away.")]
pub(crate) struct Sync {
    /// The store to read, as a URL
    #[arg(value_name = "FROM")]
    pub(crate) from: OsString,
    /// The store to write, as a URL
    #[arg(value_name = "TO")]
    pub(crate) to: OsString,
    /// Goes on with each change of FROM, until Ctrl-C; flags that are destroyed there meanwhile are destroyed in TO
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) follow: bool,
    /// Destroys flags that only TO has; asks before
    #[arg(long)]
    pub(crate) delete: bool,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

#[derive(Args)]
#[command(after_help = "\
Lines begin with + for a flag that only B has, - for one that only A has, ~ for one that is another in B. Nothing is printed \
for stores that have the same flags, and the exit code is 0 either way; for scripts, `equal` of --json says it.")]
pub(crate) struct Diff {
    /// A store's URL
    #[arg(value_name = "A")]
    pub(crate) a: OsString,
    /// Another one's
    #[arg(value_name = "B")]
    pub(crate) b: OsString,
}
