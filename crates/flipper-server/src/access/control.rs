use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::response::Response;
use http::header::{AUTHORIZATION, FORWARDED, VIA};
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use super::Access;
#[cfg(feature = "page")]
use super::Session;
use super::host::{foreign_origin, is_loopback};
use super::proxy::TrustedProxy;
use super::rate::{Caller, RateLimit};
use super::refusal::Refusal;
use super::role::Role;
use super::tokens::Tokens;
use crate::ofrep;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// They show no flag, and a probe has no token.
const OPEN_PATHS: [&str; 2] = ["/healthz", "/readyz"];

/// A proxy on this machine may send requests of others.
static PROXIED: [HeaderName; 3] = [FORWARDED, HeaderName::from_static("x-forwarded-for"), VIA];

/// Guesses of tokens, per address and second.
const REFUSED_PER_SECOND: NonZeroU32 = NonZeroU32::new(20).unwrap();

/// Who may use a server. Without tokens and without a proxy it is everyone on this machine: refused are callers whose address is another
/// one's or unknown, requests with another name than loopback's in `Host`, those with the header of a proxy (`Forwarded`, `X-Forwarded-For`, `Via`), and those
/// that pages of other origins send.
///
/// ```no_run
/// use flipper_server::{AccessControl, Tokens};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let tokens = Tokens::open("/etc/flipper/tokens.json")?;
/// tokens.follow();
/// let access = AccessControl::new().tokens(tokens);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct AccessControl(Arc<Rules>);

#[derive(Clone, Debug)]
struct Rules {
    tokens: Option<Arc<Tokens>>,
    proxy: Option<TrustedProxy>,
    open_to_everyone: bool,
    /// Whose pages may use OFREP.
    origins: Vec<HeaderValue>,
    /// Whose pages are this server's own.
    own: Vec<HeaderValue>,
    limit: Option<Arc<RateLimit>>,
    refused: Arc<RateLimit>,
}

impl Default for AccessControl {
    fn default() -> Self {
        Self::new()
    }
}

impl AccessControl {
    /// Everyone on this machine may do everything.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Rules {
            tokens: None,
            proxy: None,
            open_to_everyone: false,
            origins: Vec::new(),
            own: Vec::new(),
            limit: None,
            refused: Arc::new(RateLimit::new(REFUSED_PER_SECOND)),
        }))
    }

    fn with(self, change: impl FnOnce(&mut Rules)) -> Self {
        let mut rules = Arc::unwrap_or_clone(self.0);
        change(&mut rules);
        Self(Arc::new(rules))
    }

    /// Each request needs one of these tokens, in `Authorization: Bearer TOKEN` or `X-API-Key: TOKEN`.
    #[must_use]
    pub fn tokens(self, tokens: Arc<Tokens>) -> Self {
        self.with(|rules| rules.tokens = Some(tokens))
    }

    /// Also trusts a proxy that authenticates users. The server must pass the client's address on, as
    /// [`ConnectInfo`](axum::extract::ConnectInfo).
    #[must_use]
    pub fn proxy(self, proxy: TrustedProxy) -> Self {
        self.with(|rules| rules.proxy = Some(proxy))
    }

    /// Without tokens: allows callers on other machines, whose address may be unknown, proxies, and other names than loopback's in `Host`. Then
    /// everyone who reaches the port may do everything, and so may a web page that rebinds its own name to this machine.
    #[must_use]
    pub fn open_to_everyone(self) -> Self {
        self.with(|rules| rules.open_to_everyone = true)
    }

    /// The origins whose pages may use OFREP where no token is needed.
    pub(crate) fn pages_of(self, origins: Vec<HeaderValue>) -> Self {
        self.with(|rules| rules.origins = origins)
    }

    /// The origin of this server's pages, where it is another one than `Host` has.
    #[cfg(feature = "page")]
    pub(crate) fn own_pages(self, origin: &[HeaderValue]) -> Self {
        self.with(|rules| rules.own = origin.to_vec())
    }

    /// At most so many requests a second for each token or user, and for each address of callers without. No limit by default; unauthorized
    /// requests of an address are limited to 20 a second in any case.
    #[must_use]
    pub fn requests_per_second(self, requests: NonZeroU32) -> Self {
        self.with(|rules| rules.limit = Some(Arc::new(RateLimit::new(requests))))
    }

    /// Whether callers may log in with a token.
    #[cfg(feature = "page")]
    pub(crate) fn has_tokens(&self) -> bool {
        self.0.tokens.is_some()
    }

    /// What the request may do.
    fn access(&self, request: &Request, address: Option<IpAddr>) -> Result<Access, Refusal> {
        let rules = &*self.0;
        let (headers, path) = (request.headers(), request.uri().path());
        // OFREP's stream shows no flag, and a browser sends no token for it.
        let found = match rules.is_open() || request.method() != Method::GET || !ofrep::is_stream(path) {
            true => rules.authenticate(request, address),
            false => Ok((Access::nothing(), Caller::address(address))),
        };
        if found.as_ref().is_err_and(Refusal::is_unauthorized) {
            rules.refused.take(Caller::address(address), Instant::now()).map_err(Refusal::RateLimit)?;
        }
        let (access, caller) = found?;
        // A token is in no page of others; what a browser adds by itself is.
        if !matches!(caller, Caller::Token(_))
            && let Some(origin) = foreign_origin(headers, request.uri(), rules.origins_of(path))
        {
            return Err(Refusal::Origin(String::from_utf8_lossy(origin).into_owned()));
        }
        if let Some(limit) = &rules.limit {
            limit.take(caller, Instant::now()).map_err(Refusal::RateLimit)?;
        }
        Ok(access)
    }
}

impl Rules {
    /// Everyone on this machine may do everything.
    fn is_open(&self) -> bool {
        self.tokens.is_none() && self.proxy.is_none()
    }

    fn origins_of(&self, path: &str) -> &[HeaderValue] {
        if ofrep::is_ofrep(path) { &self.origins } else { &self.own }
    }

    fn authenticate(&self, request: &Request, address: Option<IpAddr>) -> Result<(Access, Caller), Refusal> {
        // One whose token is revoked is as none.
        #[cfg(feature = "page")]
        if let Some(Session(access)) = request.extensions().get()
            && access.is_current()
        {
            return Ok((access.clone(), Caller::User(access.to_string())));
        }
        let headers = request.headers();
        let user = match &self.proxy {
            Some(proxy) => user(proxy, headers, address)?,
            None => None,
        };
        let Some(tokens) = &self.tokens else {
            return match (&self.proxy, user) {
                (Some(proxy), Some(user)) => Ok((Access::of_user(user, proxy.role), Caller::User(user.to_owned()))),
                (Some(_), None) => Err(Refusal::NoToken),
                (None, _) if self.open_to_everyone => {
                    Ok((Access::everything(request.extensions()), Caller::address(address)))
                }
                (None, _) if !address.is_some_and(|address| address.to_canonical().is_loopback()) => {
                    Err(Refusal::Address(address))
                }
                (None, _) if !is_loopback(request.uri(), headers) => Err(Refusal::Host),
                (None, _) => match PROXIED.iter().find(|proxied| headers.keys().any(|header| header == *proxied)) {
                    Some(header) => Err(Refusal::Proxied(header.as_str())),
                    None => Ok((Access::everything(request.extensions()), Caller::address(address))),
                },
            };
        };
        let sent = sent_token(headers);
        match (&self.proxy, user, &sent) {
            // The proxy may pass on what it has checked itself.
            (Some(proxy), Some(user), Ok(None) | Err(Refusal::NoScheme | Refusal::Scheme(_))) => {
                Ok((Access::of_user(user, proxy.role), Caller::User(user.to_owned())))
            }
            _ => {
                let token = tokens.find(sent?.ok_or(Refusal::NoToken)?).map_err(Refusal::Token)?;
                let caller = Caller::Token(token.sha256);
                Ok((Access::of_token(tokens.clone(), token), caller))
            }
        }
    }
}

/// The user that the proxy names.
fn user<'a>(proxy: &TrustedProxy, headers: &'a HeaderMap, address: Option<IpAddr>) -> Result<Option<&'a str>, Refusal> {
    let name = &proxy.header;
    let Some(user) = only(headers, name)? else { return Ok(None) };
    if !proxy.is_from(address) {
        let from =
            address.map_or_else(|| "an unknown address".to_owned(), |address| address.to_canonical().to_string());
        return Err(Refusal::Header(format!(
            "{name} came from {from}, and is taken only from the proxy; leave it out"
        )));
    }
    match user.trim() {
        "" => Err(Refusal::Header(format!("{name} names no user"))),
        user => Ok(Some(user)),
    }
}

fn sent_token(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let bearer = match only(headers, &AUTHORIZATION)? {
        None => None,
        Some(value) => {
            // It may be a token: nothing of it is repeated.
            let (scheme, token) = value.split_once(' ').ok_or(Refusal::NoScheme)?;
            if !scheme.eq_ignore_ascii_case("bearer") {
                let scheme = scheme.chars().take(20).filter(char::is_ascii_alphanumeric).collect();
                return Err(Refusal::Scheme(scheme));
            }
            Some(token.trim())
        }
    };
    match (bearer, only(headers, &API_KEY)?) {
        (Some(bearer), Some(key)) if bearer != key => {
            Err(Refusal::Header("Authorization and X-API-Key have different tokens; send one".to_owned()))
        }
        (bearer, key) => Ok(bearer.or(key)),
    }
}

/// A header that must not be there twice: a proxy and this server could read different ones.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Header(format!("{name} is there twice")));
    }
    let text =
        value.to_str().map_err(|_not_ascii| Refusal::Header(format!("{name} has other characters than ASCII")))?;
    Ok(Some(text))
}

impl AccessControl {
    /// What the request may do, or the answer instead of the routes'. Preflights pass: browsers send them without tokens, and routes answer
    /// them with nothing but headers.
    pub(crate) fn guard(&self, request: &Request, peer: Option<IpAddr>) -> Result<Option<Access>, Box<Response>> {
        let path = request.uri().path();
        if request.method() == Method::OPTIONS || OPEN_PATHS.contains(&path) {
            return Ok(None);
        }
        let access = self.access(request, peer).map_err(|refusal| Box::new(refusal.response(path)))?;
        if path == "/metrics" && access.role < Role::Read {
            return Err(Box::new(Refusal::Role(Role::Read).response(path)));
        }
        Ok(Some(access))
    }
}
