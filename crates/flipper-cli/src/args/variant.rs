//! Commands about the variants of flags.

use clap::{Args, Subcommand};

use super::flags::{Names, Write};
use super::targeting::Check;

#[derive(Subcommand)]
pub(crate) enum Variants {
    /// Sets the variants and their shares; of an existing set as few callers as possible change theirs
    Set(VariantSet),
    /// Prints the variant that a caller gets; exit code 1 without one
    Get(Check),
    /// Lists the variants, with their shares and values
    List(Names),
    /// Removes all variants
    Remove(VariantRemove),
}

#[derive(Args)]
#[command(after_help = "\
The shares add up to 100%. Without shares all variants get the same. A caller keeps the variant: where a set is changed, a variant \
that grows takes callers only from those that shrink. Without any VARIANT only what the options name changes.

Examples:
  flipper variant set BUTTON red=50% blue=50% --by user_id
  flipper variant set BUTTON red blue --value red='\"#f00\"' --value blue='\"#00f\"' --off red
  flipper variant set LIMIT small big --value small=10 --value big=100

A value is JSON where it can be read as such, else a text; without --value it is the variant's name. All values of a flag have one type.

THE PYTHON LIBRARY finds the flag on or off as before, and drops the variants when it writes the flag.")]
pub(crate) struct VariantSet {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// Variants with their shares, or without
    #[arg(value_name = "VARIANT[=SHARE]")]
    pub(crate) variants: Vec<String>,
    /// The attribute that identifies a caller; else the one that the flag uses already
    #[arg(long, value_name = "ATTRIBUTE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,
    /// A variant's value; may be given several times
    #[arg(long, value_name = "VARIANT=JSON")]
    pub(crate) value: Vec<String>,
    /// The variant of checks while the flag is off; without one they get their default
    #[arg(long, value_name = "VARIANT")]
    pub(crate) off: Option<String>,
    /// Removes the variant of checks while the flag is off
    #[arg(long, conflicts_with = "off")]
    pub(crate) no_off: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct VariantRemove {
    #[command(flatten)]
    pub(crate) names: Names,
    #[command(flatten)]
    pub(crate) write: Write,
}
