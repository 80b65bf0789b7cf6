//! Commands about segments.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::flags::{Names, Write};
use super::rule::WHEN;

#[derive(Subcommand)]
pub(crate) enum Segments {
    /// Creates or replaces a segment
    Set(SegmentSet),
    /// Prints whom a segment is about
    Get(SegmentGet),
    /// Lists the segments, and the flags that name them
    List,
    /// Deletes segments; asks before
    Delete(SegmentDelete),
}

fn set_help() -> String {
    format!(
        "Rules of any flag name it by `in segment NAME`. Its changes show at once in each of them.\n\nExamples:\n  \
         flipper segment set beta 'plan = pro and country in de, fr'\n  \
         flipper segment set beta --ids user_id --from ids.txt\n\n{WHEN}"
    )
}

#[derive(Args)]
#[command(after_help = set_help())]
pub(crate) struct SegmentSet {
    /// The segment
    pub(crate) name: String,
    /// Whom it is about, in quotes
    #[arg(value_name = "WHEN", required_unless_present = "ids", conflicts_with = "ids")]
    pub(crate) when: Vec<String>,
    /// The callers whose attribute is one of the values in --from
    #[arg(long, value_name = "ATTRIBUTE", requires = "from", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) ids: Option<String>,
    /// A file with one value a line, or a JSON array; - is standard input
    #[arg(long, value_name = "FILE", requires = "ids")]
    pub(crate) from: Option<PathBuf>,
    /// All values are text; without it those that look like numbers are numbers
    #[arg(long, requires = "ids")]
    pub(crate) text: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct SegmentGet {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Prints the values of a segment made by `set --ids`, one a line
    #[arg(long, conflicts_with = "json")]
    pub(crate) ids: bool,
}

#[derive(Args)]
pub(crate) struct SegmentDelete {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Does not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}
