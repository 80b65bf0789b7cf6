//! Who may do what: tokens with roles and prefixes of names, an authenticating proxy, and limits of requests.

mod control;
mod file;
mod host;
pub(crate) mod private;
mod proxy;
mod rate;
mod refusal;
mod role;
mod secret;
mod token;
mod tokens;

use std::fmt;
use std::sync::Arc;

use axum::body::Body;
use flipper::history::__actor;
use flipper::targeting::segment_of;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};

pub use self::control::AccessControl;
pub use self::file::{TokenFile, TokenFileError};
#[cfg(feature = "page")]
pub(crate) use self::host::foreign_origin;
pub use self::proxy::{Network, TrustedProxy};
pub use self::role::Role;
pub use self::secret::Secret;
pub use self::token::{NewToken, Token, Validity};
pub use self::tokens::Tokens;

/// What the caller of a request may do; an extension of the request.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    pub(crate) role: Role,
    caller: Caller,
}

/// The SHA-256 of a client's certificate, as `openssl x509 -fingerprint -sha256` has it but for colons; an extension of its requests.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificate(Arc<str>);

impl ClientCertificate {
    pub(crate) fn of(der: &[u8]) -> Self {
        Self(Sha256::digest(der).iter().map(|byte| format!("{byte:02X}")).collect::<String>().into())
    }
}

/// Of a caller that has shown its token before, and now sends a cookie; an extension of its requests.
#[cfg(feature = "page")]
#[derive(Clone, Debug)]
pub(crate) struct Session(pub(crate) Access);

#[derive(Clone, Debug)]
enum Caller {
    /// Of a route that shows no flag.
    Unasked,
    Anyone,
    Certificate(ClientCertificate),
    User(Arc<str>),
    Token(Arc<Tokens>, Arc<Token>),
}

impl Access {
    /// What a server without tokens allows.
    pub(crate) fn everything(extensions: &http::Extensions) -> Self {
        let certificate = extensions.get().cloned();
        Self { role: Role::Admin, caller: certificate.map_or(Caller::Anyone, Caller::Certificate) }
    }

    /// For a route that shows no flag.
    fn nothing() -> Self {
        Self { role: Role::Evaluate, caller: Caller::Unasked }
    }

    fn of_user(name: &str, role: Role) -> Self {
        Self { role, caller: Caller::User(name.into()) }
    }

    fn of_token(tokens: Arc<Tokens>, token: Arc<Token>) -> Self {
        Self { role: token.role, caller: Caller::Token(tokens, token) }
    }

    /// A segment is allowed by its own name alone, wherever it shows: a follower needs those that its flags name. By the name that it is stored
    /// under, the prefix `se` would be for all of them.
    pub(crate) fn allows(&self, role: Role, name: &str) -> bool {
        let own = segment_of(name).unwrap_or(name);
        let begins = |prefix: &String| own.starts_with(&**prefix);
        let is_named = match &self.caller {
            Caller::Unasked => false,
            Caller::Token(_, token) => token.prefixes.is_empty() || token.prefixes.iter().any(begins),
            Caller::Anyone | Caller::Certificate(_) | Caller::User(_) => true,
        };
        self.role >= role && is_named
    }

    /// Whether every flag is allowed.
    pub(crate) fn is_unlimited(&self) -> bool {
        match &self.caller {
            Caller::Unasked => false,
            Caller::Token(_, token) => token.prefixes.is_empty(),
            Caller::Anyone | Caller::Certificate(_) | Caller::User(_) => true,
        }
    }

    /// Whether its token still allows what it did.
    #[cfg(feature = "page")]
    pub(crate) fn is_current(&self) -> bool {
        match &self.caller {
            Caller::Token(tokens, token) => tokens.is_current(token),
            _ => true,
        }
    }

    /// Whom a history names: the token, the user or the certificate.
    pub(crate) fn actor(&self) -> Option<String> {
        match &self.caller {
            Caller::Unasked | Caller::Anyone => None,
            Caller::Certificate(certificate) => __actor(&format!("certificate {}", certificate.0)),
            Caller::User(name) => __actor(name),
            Caller::Token(_, token) => __actor(&token.name),
        }
    }

    /// Whether the caller has a name.
    #[cfg(feature = "page")]
    pub(crate) fn is_known(&self) -> bool {
        !matches!(self.caller, Caller::Unasked | Caller::Anyone)
    }

    /// Ends a stream once this access is no longer what it was: its token is revoked, expired, or has other rights.
    pub(crate) fn limit(self, stream: Body) -> Body {
        match self.caller {
            Caller::Token(tokens, token) => {
                let ended = Box::pin(async move { tokens.ended(&token).await });
                Body::from_stream(stream.into_data_stream().take_until(ended))
            }
            _ => stream,
        }
    }
}

/// The caller, for logs.
impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.caller {
            Caller::Unasked | Caller::Anyone => f.write_str("anyone"),
            Caller::Certificate(certificate) => write!(f, "certificate {}", certificate.0),
            Caller::User(name) => write!(f, "user {name:?}"),
            Caller::Token(_, token) => write!(f, "token {token}"),
        }
    }
}
