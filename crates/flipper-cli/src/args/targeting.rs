//! Commands about whom a flag is on for.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::flags::{Names, Write, duration};

#[derive(Subcommand)]
pub(crate) enum Condition {
    /// Adds a condition; all conditions of a flag must hold
    Add(ConditionAdd),
    /// Prints the conditions, one a line
    List(ConditionList),
    /// Removes all conditions, or one
    Clear(ConditionClear),
}

const EXPRESSIONS: &str = "\
Expressions:
  'horses > 9000'                       = != < <= > >= compare an attribute with a value
  'plan in pro,team'                    one of several; `not in` for none of them
  'country = CH and age >= 18'          several checks, all of which must hold
  'id = \"7\"'                            in quotes it is a string, else JSON where it can be read as such

A check skips conditions on attributes that it does not give: give all that the conditions name.

With --deny the flag is off if the condition holds, whatever else holds. PYTHON IGNORES deny conditions, and drops them when \
it writes the flag.";

#[derive(Args)]
#[command(after_help = EXPRESSIONS)]
pub(crate) struct ConditionAdd {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// The condition, in quotes
    #[arg(value_name = "EXPR", required = true)]
    pub(crate) expression: Vec<String>,
    /// Turns the flag off where the condition holds
    #[arg(long)]
    pub(crate) deny: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct ConditionList {
    #[command(flatten)]
    pub(crate) names: Names,
    /// Prints the deny conditions
    #[arg(long)]
    pub(crate) deny: bool,
}

#[derive(Args)]
pub(crate) struct ConditionClear {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// Only this condition, as `condition list` prints it
    #[arg(value_name = "EXPR")]
    pub(crate) expression: Option<String>,
    /// Removes deny conditions
    #[arg(long)]
    pub(crate) deny: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
#[command(after_help = "\
The bucketer is ConsistentHashPercentageBucketer, which Python programs can read: a caller always gets the same result. \
It does not hash the flag's name, so the same callers come first in every flag, and 10% is 11 buckets of 100.

  --by user_id  hashes this attribute alone; a new rollout without it hashes all that a check gives
  --salted      is SaltedPercentageBucketer: other callers in each flag, exact to 0.001%
                PYTHON CANNOT LOAD the flag then
  --random      is PercentageBucketer: each check draws again

What is not named stays: `flipper bucketer NAME 60%` changes only the share of an existing rollout.

In checks that give attributes, the conditions of a flag decide alone, and its rollout is not used.")]
pub(crate) struct Bucketer {
    /// Flags; - stands for names on standard input, one a line. Then the share: 25%, or 0..100% with --over
    #[arg(value_names = ["NAME", "SHARE"], num_args = 1.., required = true)]
    pub(crate) words: Vec<String>,
    /// The attribute that identifies a caller; may be given several times
    #[arg(long, value_name = "ATTRIBUTE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) by: Vec<String>,
    /// All attributes of a check identify the caller
    #[arg(long, conflicts_with_all = ["by", "salted", "random"])]
    pub(crate) by_all: bool,
    /// How long the ramp takes from the first share to the last: 2h, 3d; it begins now
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) over: Option<Duration>,
    /// Chooses other callers in each flag; needs --by. The Python library cannot load such a flag
    #[arg(long, conflicts_with = "random")]
    pub(crate) salted: bool,
    /// Chooses the same callers in each flag again, after --salted
    #[arg(long, conflicts_with_all = ["salted", "random"])]
    pub(crate) unsalted: bool,
    /// Draws again at each check
    #[arg(long, conflicts_with = "by")]
    pub(crate) random: bool,
    /// Removes the rollout: the flag is on for everybody again
    #[arg(long, conflicts_with_all = ["by", "by_all", "over", "salted", "unsalted", "random"])]
    pub(crate) clear: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct Check {
    /// Flags, then attributes of the caller: user_id=7 plan=pro. A value is JSON where it can be read as such, else text;
    /// user_id:text=7 is text
    #[arg(value_names = ["NAME", "KEY=VALUE"], num_args = 1.., required = true)]
    pub(crate) words: Vec<String>,
}
