//! Commands about many flags, files and two stores.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::Args;

use super::flags::Write;
use crate::elsewhere::Tool;

#[derive(Args)]
#[command(after_help = "\
Each line has the time of the change, the flag, and what differs from before. Where the store pushes changes, they \
arrive within milliseconds; where it is polled, within the interval printed at the start. An outage is reported, and \
the changes made meanwhile follow when the store is back. Ctrl-C ends the command.")]
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
The file is what `export` writes: a JSON array of stored flags. One flag after the other, as `get --json` prints them, works \
too. The whole file is checked first: from a file with a mistake nothing is imported.

Without --merge or --replace nothing is written if a flag exists and differs. A new SQLite file is created.

With --from the file is another tool's. A flag of which our rules cannot say a part is left out and listed: no flag is on for \
more callers than there. docs/coming-from.md has what becomes of what.")]
pub(crate) struct Import {
    /// The file; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// The tool whose file it is
    #[arg(long, value_name = "TOOL", value_enum)]
    pub(crate) from: Option<Tool>,
    /// The environment to read, of a file that has several
    #[arg(long, value_name = "NAME", requires = "from")]
    pub(crate) environment: Option<String>,
    /// Imports what cannot be said as a flag that is off, instead of leaving it out
    #[arg(long, requires = "from")]
    pub(crate) lossy: bool,
    /// Overwrites existing flags, and leaves those that are not in the file
    #[arg(long, conflicts_with = "replace")]
    pub(crate) merge: bool,
    /// Like --merge, and destroys flags that are not in the file; asks before
    #[arg(long)]
    pub(crate) replace: bool,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
#[command(after_help = "\
Flags of FROM overwrite those of TO. Only differences are written, so the same command continues where it was \
interrupted. A new SQLite file is created. Flags that only TO has stay, unless --delete; with --follow, so do those that \
are missing when FROM comes back after an outage. --follow watches TO too, and writes again what others change or destroy there.

--max-deletions protects TO when FROM is emptied. If more flags than that are destroyed in FROM within a minute, they stay \
in TO and are reported, and all other changes go on. Without --follow it applies only if it is given.")]
pub(crate) struct Sync {
    /// The store to read, as a URL
    #[arg(value_name = "FROM")]
    pub(crate) from: OsString,
    /// The store to write, as a URL
    #[arg(value_name = "TO")]
    pub(crate) to: OsString,
    /// Continues with each change of FROM, until Ctrl-C; flags destroyed there are destroyed in TO
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) follow: bool,
    /// Destroys flags that only TO has; asks before
    #[arg(long)]
    pub(crate) delete: bool,
    /// Destroys no more flags than this share or number; with --follow the default is 50%; 100% is no limit
    #[arg(long, value_name = "SHARE|N", value_parser = Limit::parse)]
    pub(crate) max_deletions: Option<Limit>,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Limit {
    /// In percent.
    Share(f64),
    Number(usize),
}

impl Limit {
    /// The default of `--follow`.
    pub(crate) const USUAL: Self = Self::Share(50.0);
    /// The default limit always allows this many.
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
Lines begin with + for a flag that only B has, - for one that only A has, ~ for one that differs. For equal stores nothing \
is printed. The exit code is 0 either way; scripts read `equal` with --json.")]
pub(crate) struct Diff {
    /// A store's URL
    #[arg(value_name = "A")]
    pub(crate) a: OsString,
    /// Another one's
    #[arg(value_name = "B")]
    pub(crate) b: OsString,
}
