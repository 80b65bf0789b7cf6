//! Flags over HTTP: a JSON API, OFREP, and live changes, over any of Flipper's stores.

mod access;
mod app;
mod ofrep;
mod problem;
mod tls;

pub use self::access::{
    AccessControl, Network, NewToken, Role, Secret, Token, TokenFile, TokenFileError, Tokens, TrustedProxy, Validity,
};
pub use self::app::App;
pub use self::tls::{Tls, TlsError, TlsFiles};
