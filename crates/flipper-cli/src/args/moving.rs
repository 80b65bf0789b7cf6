//! Commands about many flags, files and two stores.

use std::ffi::OsString;
use std::fmt;
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
gone when FROM comes back after it was away. With --follow TO is watched too: what others change or destroy there is written again.

--max-deletions keeps a FROM that is emptied from emptying TO. If more flags than that are destroyed in FROM within a minute, they \
are kept in TO and told, and all other changes go on. Without --follow it is looked at only if it is given.")]
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
    /// Destroys no more flags than this share or number of them; --follow has 50% if it is not given, and 100% is no limit
    #[arg(long, value_name = "SHARE|N", value_parser = Limit::parse)]
    pub(crate) max_deletions: Option<Limit>,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) dry: DryRun,
}

/// How many of all flags may be destroyed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// In percent.
    Share(f64),
    Number(usize),
}

impl Limit {
    /// Of `--follow`, where none is given.
    pub(crate) const USUAL: Self = Self::Share(50.0);
    /// So few are never many, whatever the usual share is.
    const FEW: usize = 2;

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || "write a share like 20%, or a number".to_owned();
        match text.trim().strip_suffix('%') {
            Some(percent) => match percent.trim().parse::<f64>() {
                Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self::Share(percent)),
                _ => Err(wrong()),
            },
            None => text.trim().parse().map(Self::Number).map_err(|_| wrong()),
        }
    }

    /// Whether so many of all are more than that.
    pub(crate) fn is_exceeded(self, destroyed: usize, all: usize) -> bool {
        match self {
            Self::USUAL => destroyed > Self::FEW && destroyed * 2 > all,
            Self::Share(percent) => destroyed as f64 > all as f64 * percent / 100.0,
            Self::Number(most) => destroyed > most,
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Share(percent) => write!(f, "{percent}%"),
            Self::Number(most) => write!(f, "{most}"),
        }
    }
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
