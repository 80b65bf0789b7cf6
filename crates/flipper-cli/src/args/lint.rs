//! The command that finds flags without an owner, and those to take out of the code.

use std::time::Duration;

use clap::{Args, ValueEnum};
use regex_lite::Regex;

use super::flags::duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rule {
    /// A flag has an owner: `owner` in its client data
    Owner,
    /// Its last day, `expires`, is not over, and is a day like 2027-03-31
    Expiry,
    /// It is not on for all callers for longer than --on-for
    LongOn,
    /// Its whole name matches --name-pattern
    Name,
    /// All OFREP clients can ask for its name
    Ofrep,
    /// The flags and segments exist that its rules and prerequisites name
    Missing,
    /// Flags do not need each other in a circle
    Circle,
    /// The flags that it needs have the variants that it needs
    Variant,
    /// No rule comes after one for everybody
    Unreachable,
    /// Its schedule is not over
    Schedule,
}

impl Rule {
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Expiry => "expiry",
            Self::LongOn => "long-on",
            Self::Name => "name",
            Self::Ofrep => "ofrep",
            Self::Missing => "missing",
            Self::Circle => "circle",
            Self::Variant => "variant",
            Self::Unreachable => "unreachable",
            Self::Schedule => "schedule",
        }
    }
}

#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 nothing was found, 1 there are findings, 2 the command is wrong, 4 the store cannot be used, or has unreadable flags.

Since when a flag is on is known from the store's history, else from the date of its creation. Flags of one owner are listed by \
`flipper list --owner`.")]
pub(crate) struct Lint {
    /// Only this rule; may be given several times
    #[arg(long, value_name = "RULE")]
    pub(crate) rule: Vec<Rule>,
    /// Not this rule; may be given several times
    #[arg(long, value_name = "RULE")]
    pub(crate) skip: Vec<Rule>,
    /// How long a flag may be on for all callers
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "90d")]
    pub(crate) on_for: Duration,
    /// A regular expression for whole names: '[A-Z][A-Z0-9_]*'. Without it the rule `name` is not used
    #[arg(long, value_name = "REGEX", value_parser = pattern)]
    pub(crate) name_pattern: Option<Regex>,
}

/// For whole names.
fn pattern(text: &str) -> Result<Regex, String> {
    let wrong = |error: regex_lite::Error| error.to_string();
    // By itself, or a parenthesis too many would close the group.
    Regex::new(text).map_err(wrong)?;
    Regex::new(&format!(r"\A(?:{text})\z")).map_err(wrong)
}
