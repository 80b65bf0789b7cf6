//! Commands about the rules of flags.

use clap::{Args, Subcommand};

use super::flags::{Names, Write};

#[derive(Subcommand)]
pub(crate) enum Rules {
    /// Adds a rule, after the others unless --at
    Add(RuleAdd),
    /// Prints the rules, one a line, in their order
    List(Names),
    /// Removes a rule, or all
    Remove(RuleRemove),
    /// Moves a rule to another place
    Move(RuleMove),
}

/// The text language of rules and segments.
pub(super) const WHEN: &str = "\
WHEN, of which `and` binds closer than `or`, and brackets group:
  'plan = pro and not (country in de, fr)'  = != < <= > >= in `not in`, as in conditions
  'email ends with \"@corp.com\"'             starts with, ends with, contains; + `ignoring case`
  'path matches \"^/v[12]/\"'                 a regular expression
  'app >= semver 2.1.0'                     a semantic version
  'born < date 2000-01-01'                  a time; `2026-12-01T09:00+01:00` has its zone
  'ip in network 10.0.0.0/8, fd00::/8'      an address
  'plan exists', 'in segment beta'

A check of an attribute that is not given does not hold.";

const ADD: &str = "\
The first rule that holds decides; where none does, conditions and the rollout do. Deny conditions come before rules.

Examples:
  flipper rule add NEW_CHECKOUT 'email ends with \"@corp.com\"' on
  flipper rule add NEW_CHECKOUT 'plan = pro and in segment beta' 25% --by user_id
  flipper rule add NEW_CHECKOUT 'country = de' red
  flipper rule add NEW_CHECKOUT --everyone off";

const PYTHON: &str = "\
THE PYTHON LIBRARY finds a flag with rules, prerequisites or a schedule OFF, and drops them when it writes the flag.";

fn add_help() -> String {
    format!("{ADD}\n\n{WHEN}\n\n{PYTHON}")
}

#[derive(Args)]
#[command(after_help = add_help())]
pub(crate) struct RuleAdd {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// Whom it is about, in quotes, or `always`; then what they get: on, off, a share like 25%, or a variant
    #[arg(value_names = ["WHEN", "WHAT"], num_args = 1.., required_unless_present_all = ["everyone", "variant"])]
    pub(crate) words: Vec<String>,
    /// The rule is about everybody: there is no WHEN
    #[arg(long)]
    pub(crate) everyone: bool,
    /// They get this variant: for one whose name is on, off or a share
    #[arg(long, value_name = "VARIANT")]
    pub(crate) variant: Option<String>,
    /// The attribute that identifies a caller, for a share; else the one that the flag uses already
    #[arg(long, value_name = "ATTRIBUTE", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,
    /// The rule's name, for people
    #[arg(long = "name", value_name = "TEXT", id = "called")]
    pub(crate) called: Option<String>,
    /// Before the rule that is at this place now; the first is at 0
    #[arg(long, value_name = "POSITION")]
    pub(crate) at: Option<usize>,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct RuleRemove {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// The rule's place, as `rule list` prints it
    #[arg(value_name = "INDEX", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) index: Option<usize>,
    /// All rules
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}

#[derive(Args)]
pub(crate) struct RuleMove {
    /// The flag; - stands for names on standard input, one a line
    pub(crate) name: String,
    /// The rule's place, as `rule list` prints it
    pub(crate) from: usize,
    /// Its new place
    pub(crate) to: usize,
    #[command(flatten)]
    pub(crate) write: Write,
}
