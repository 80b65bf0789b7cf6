mod flags;
mod history;
mod lint;
mod moving;
mod postgres;
mod prerequisite;
mod rule;
mod schedule;
mod segment;
mod serve;
mod serving;
mod targeting;
mod tokens;
mod variant;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

pub(crate) use flags::{
    ClientData, ClientDataSet, ClientDataUnset, Create, Destroy, List, Names, Stale, Switch, Toggle, Write,
};
pub(crate) use history::{History, Undo};
pub(crate) use lint::{Lint, Rule};
pub(crate) use moving::{Diff, Export, Import, Limit, Sync, Watch};
pub(crate) use postgres::{Install, Postgres};
pub(crate) use prerequisite::{PrerequisiteAdd, PrerequisiteRemove, Prerequisites};
pub(crate) use rule::{RuleAdd, RuleMove, RuleRemove, Rules};
pub(crate) use schedule::Schedule;
pub(crate) use segment::{SegmentDelete, SegmentGet, SegmentSet, Segments};
pub(crate) use serve::{LogFormat, Serve};
pub(crate) use serving::{Completions, Doctor, Man};
pub(crate) use targeting::{Bucketer, Check, Condition, ConditionAdd, ConditionClear, ConditionList};
pub(crate) use tokens::{File as TokensFile, Token, TokenCreate, TokenList, TokenRevoke};
pub(crate) use variant::{VariantRemove, VariantSet, Variants};

fn after_help() -> String {
    let forms = crate::store::forms().replacen('a', "A", 1);
    format!("{EXIT_CODES}{forms}. {PASSWORDS}")
}

const EXIT_CODES: &str = "\
Exit codes:
    0  on, or done
    1  off, of `check`; or problems found, of `doctor` and `lint`
    2  the command is wrong: an option, a name, a condition, a file
    3  no such flag
    4  the store cannot be used, or has unreadable flags
  130  interrupted by Ctrl-C, 143 by SIGTERM, with something left to do

Who: the variable FLIPPER_ACTOR, else the system's user. `history` shows it.

Which store: --store, else the variable FLIPPER_STORE, else `store = \"URL\"` in the nearest flipper.toml from here upward or \
in ~/.config/flipper, else the file ~/.local/share/flipper/flags.db. `flipper stores` shows which one, and whether it answers.

";

const PASSWORDS: &str = "\
Every user of the machine can read a command line: keep passwords in FLIPPER_STORE or flipper.toml. They are never printed.";

/// Feature flags in a terminal: manage, watch, move and serve them
#[derive(Parser)]
#[command(name = "flipper", version, max_term_width = 100, after_help = after_help(), arg_required_else_help = true)]
#[command(infer_subcommands = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Args)]
pub(crate) struct Global {
    /// The store to use
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) store: Option<OsString>,
    /// Writes data as JSON, and errors too; docs/cli.schema.json says how
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Lists flags
    List(List),
    /// Shows flags: their state, targeting and data
    Get(Names),
    /// Creates flags, off unless --enable
    Create(Create),
    /// Turns flags on
    Enable(Switch),
    /// Turns flags off
    Disable(Switch),
    /// Turns flags on that are off, and off that are on
    Toggle(Toggle),
    /// Destroys flags; asks before
    Destroy(Destroy),
    /// Reads and changes the client data of flags
    #[command(subcommand, visible_alias = "data", alias = "client_data")]
    ClientData(ClientData),
    /// Reads and changes the conditions of flags
    #[command(subcommand)]
    Condition(Condition),
    /// Turns flags on for a part of the callers, now or little by little
    #[command(visible_alias = "rollout")]
    Bucketer(Bucketer),
    /// Reads and changes the rules of flags, of which the first that holds decides
    #[command(subcommand)]
    Rule(Rules),
    /// Reads and changes the variants of flags: values of which each caller gets one
    #[command(subcommand)]
    Variant(Variants),
    /// Reads and changes the flags that must be on for another one to be
    #[command(subcommand)]
    Prerequisite(Prerequisites),
    /// Says when flags are on, and shows it
    Schedule(Schedule),
    /// Reads and changes segments: groups of callers that rules of any flag may name
    #[command(subcommand)]
    Segment(Segments),
    /// Checks flags for a caller; exit code 0 if on, 1 if off
    #[command(after_help = "Exit codes: 0 all are on, 1 one is off, 3 no such flag, 4 the store cannot be used.")]
    Check(Check),
    /// Shows step by step why flags are on or off for a caller
    #[command(visible_alias = "explain")]
    Evaluate(Check),
    /// Follows changes as they happen, one line each
    Watch(Watch),
    /// Lists who changed which flag, when and why, the newest change first
    History(History),
    /// Makes flags what they were before their last change; asks before
    Undo(Undo),
    /// Writes all flags to a file
    Export(Export),
    /// Reads flags from a file into the store
    Import(Import),
    /// Copies flags from one store to another
    Sync(Sync),
    /// Shows what differs between two stores
    Diff(Diff),
    /// Lists flags that have long been fully on or off
    Stale(Stale),
    /// Finds flags that have no owner, have expired, have long been on, or name what is missing; for CI jobs
    Lint(Lint),
    /// Serves the store's flags over HTTP and Thrift
    Serve(Box<Serve>),
    /// Makes, lists and revokes tokens for `serve --tokens`
    #[command(subcommand)]
    Token(Token),
    /// Shows which store is used, why, and whether it answers
    Stores,
    /// Examines the store: connection, rights, how changes arrive, unreadable flags
    #[command(
        after_help = "Exit codes: 0 all is fine, 1 there are problems, 4 there is a fault: the store cannot be used."
    )]
    Doctor(Doctor),
    /// Installs and removes the feed of changes in a PostgreSQL database
    #[command(subcommand)]
    Postgres(Postgres),
    /// Writes a script that completes commands in a shell
    Completions(Completions),
    /// Writes the manual page
    Man(Man),
    /// Prints the version
    Version,
}

impl Command {
    /// What all commands that change flags have.
    pub(crate) fn write(&self) -> Option<&Write> {
        Some(match self {
            Self::Create(Create { write, .. })
            | Self::Enable(Switch { write, .. })
            | Self::Disable(Switch { write, .. })
            | Self::Toggle(Toggle { write, .. })
            | Self::Destroy(Destroy { write, .. })
            | Self::ClientData(
                ClientData::Set(ClientDataSet { write, .. }) | ClientData::Unset(ClientDataUnset { write, .. }),
            )
            | Self::Condition(
                Condition::Add(ConditionAdd { write, .. }) | Condition::Clear(ConditionClear { write, .. }),
            )
            | Self::Bucketer(Bucketer { write, .. })
            | Self::Rule(
                Rules::Add(RuleAdd { write, .. })
                | Rules::Remove(RuleRemove { write, .. })
                | Rules::Move(RuleMove { write, .. }),
            )
            | Self::Variant(Variants::Set(VariantSet { write, .. }) | Variants::Remove(VariantRemove { write, .. }))
            | Self::Prerequisite(
                Prerequisites::Add(PrerequisiteAdd { write, .. })
                | Prerequisites::Remove(PrerequisiteRemove { write, .. }),
            )
            | Self::Schedule(Schedule { write, .. })
            | Self::Segment(Segments::Set(SegmentSet { write, .. }) | Segments::Delete(SegmentDelete { write, .. }))
            | Self::Undo(Undo { write, .. })
            | Self::Import(Import { write, .. })
            | Self::Sync(Sync { write, .. }) => write,
            _ => return None,
        })
    }
}
