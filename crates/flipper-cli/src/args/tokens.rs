//! Tokens of `serve --tokens`.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use flipper_server::Role;

use super::flags::duration;

#[derive(Subcommand)]
pub(crate) enum Token {
    /// Makes a token, and prints it: the only time that it can be seen
    Create(TokenCreate),
    /// Lists tokens: what they allow, and until when
    List(TokenList),
    /// Revokes a token; running servers refuse it within two seconds
    Revoke(TokenRevoke),
}

#[derive(Args)]
pub(crate) struct File {
    /// The file of `serve --tokens`; without it ~/.local/share/flipper/tokens.json
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
#[command(after_help = "\
Roles, each of which includes the ones before it:
  evaluate  ask whether flags are on
  read      read flags with their conditions and data, and follow changes
  write     create, change and destroy flags
  admin     replace all flags at once

The token is sent as `Authorization: Bearer TOKEN` or `X-API-Key: TOKEN`. The file has only its hash, and must be readable by its \
owner alone.")]
pub(crate) struct TokenCreate {
    /// What the token is for
    pub(crate) name: String,
    /// What it allows
    #[arg(long, value_parser = role())]
    pub(crate) role: Role,
    /// Allows only flags whose names begin with this; may be repeated
    #[arg(long, value_name = "BEGINNING")]
    pub(crate) prefix: Vec<String>,
    /// For how long it is valid: 90d, 12h, 1year; without it until it is revoked
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) expires: Option<Duration>,
    #[command(flatten)]
    pub(crate) file: File,
}

#[derive(Args)]
pub(crate) struct TokenList {
    #[command(flatten)]
    pub(crate) file: File,
}

#[derive(Args)]
pub(crate) struct TokenRevoke {
    /// The token's id, as `flipper token list` shows it
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) file: File,
}

pub(super) fn role() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::name)).try_map(|role| role.parse::<Role>())
}
