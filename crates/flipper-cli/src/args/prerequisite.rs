//! Commands about the flags that another one needs.

use clap::{Args, Subcommand};

use super::flags::{Names, Write};

#[derive(Subcommand)]
pub(crate) enum Prerequisites {
    /// Adds flags that must be on for this one to be
    Add(PrerequisiteAdd),
    /// Prints the flags that must be on, one a line
    List(Names),
    /// Removes prerequisites, or all
    Remove(PrerequisiteRemove),
}

#[derive(Args)]
#[command(after_help = "\
A check asks the other flag with the same attributes. Flags that would need each other in a circle are refused.

THE PYTHON LIBRARY finds a flag with rules, prerequisites or a schedule OFF, and drops them when it writes the flag.")]
pub(crate) struct PrerequisiteAdd {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// The other flags; with =VARIANT they must have this variant
    #[arg(value_name = "OTHER[=VARIANT]", required = true)]
    pub(crate) others: Vec<String>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct PrerequisiteRemove {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// The other flags; with =VARIANT only if they must have this variant
    #[arg(value_name = "OTHER[=VARIANT]", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) others: Vec<String>,
    /// All prerequisites
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}
