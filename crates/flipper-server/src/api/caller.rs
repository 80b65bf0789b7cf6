//! What the caller of a request may do.

use std::convert::Infallible;
use std::fmt;

use axum::extract::FromRequestParts;
use http::StatusCode;
use http::request::Parts;

use crate::access::{Access, Role};
use crate::problem::Problem;

/// Without an [`Access`] nothing is allowed.
#[derive(Clone, Debug)]
pub(crate) struct Caller(Option<Access>);

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

impl Caller {
    pub(crate) fn allows(&self, role: Role, name: &str) -> bool {
        self.0.as_ref().is_some_and(|access| access.allows(role, name))
    }

    /// For a request about many flags, which are then filtered by [`allows`](Self::allows).
    pub(crate) fn must_have(&self, role: Role) -> Result<(), Problem> {
        match &self.0 {
            Some(access) if access.role >= role => Ok(()),
            _ => Err(missing(role)),
        }
    }

    pub(crate) fn must(&self, role: Role, name: &str) -> Result<(), Problem> {
        self.must_have(role)?;
        if self.allows(role, name) {
            return Ok(());
        }
        Err(forbidden(format!("your token is not for flag {name:?}"))
            .hint("use a token whose prefixes begin the flag's name")
            .with("flag", name))
    }

    /// Whom a history names, if the server knows the caller.
    pub(crate) fn actor(&self) -> Option<String> {
        self.0.as_ref()?.actor()
    }

    #[cfg(test)]
    pub(crate) fn unknown() -> Self {
        Self(None)
    }

    /// Whether every flag is allowed.
    pub(crate) fn is_unlimited(&self) -> bool {
        self.0.as_ref().is_some_and(Access::is_unlimited)
    }
}

/// As the log names the caller.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(access) => access.fmt(f),
            None => f.write_str("unknown"),
        }
    }
}

fn missing(role: Role) -> Problem {
    forbidden(format!("this needs the role {role}"))
        .hint(format!("use a token with the role {role}"))
        .with("role", role.name())
}

fn forbidden(detail: String) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this", detail)
}
