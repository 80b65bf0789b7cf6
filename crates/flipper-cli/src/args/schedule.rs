//! The command that says when flags are on.

use clap::Args;

use super::flags::Write;

#[derive(Args)]
#[command(after_help = "\
Without options it prints the schedule. What is not named stays; --clear with other options begins a new schedule.

A time is 2026-12-01T09:00+01:00, 2026-12-01T08:00Z, 2026-12-01T09:00[Europe/Berlin], or with --zone 2026-12-01T09:00 or \
2026-12-01; +2h or +3d is from now on. Times that have passed are refused.

The flag is off before --enable-at, and from --disable-at on. --step is a rollout instead of that of `bucketer`: off before the \
first step, then the share of the last one that has begun. --enable-at and --step turn the flag's switch on, so that the schedule \
decides; `flipper enable` turns the flag on at once; its steps go on, so before the first one it is off. Each program asks its own clock.

Examples:
  flipper schedule NEW_CHECKOUT --enable-at 2026-12-01T09:00+01:00 --disable-at '2027-01-01T00:00[Europe/Berlin]'
  flipper schedule NEW_CHECKOUT --step 10%@2026-12-07T09:00Z --step 50%@2026-12-14T09:00Z --by user_id

THE PYTHON LIBRARY finds a flag with rules, prerequisites or a schedule OFF, and drops them when it writes the flag.")]
pub(crate) struct Schedule {
    /// Flags; - stands for names on standard input, one a line
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
    /// The flag is on from this time on
    #[arg(long, value_name = "TIME")]
    pub(crate) enable_at: Option<String>,
    /// The flag is off from this time on
    #[arg(long, value_name = "TIME")]
    pub(crate) disable_at: Option<String>,
    /// The flag is on for a share of callers from a time on; may be given several times, in order
    #[arg(long, value_name = "SHARE@TIME")]
    pub(crate) step: Vec<String>,
    /// The attribute that identifies a caller, for steps; else the one that the flag uses already
    #[arg(long, value_name = "ATTRIBUTE", requires = "step", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub(crate) by: Option<String>,
    /// The time zone of times without one, and of those that are printed: Europe/Berlin
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Option<String>,
    /// Removes the schedule
    #[arg(long)]
    pub(crate) clear: bool,
    #[command(flatten)]
    pub(crate) write: Write,
}
