//! Who is logged in. Sessions are in this server's memory: a restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{COOKIE, HOST};
use http::{Extensions, HeaderMap, HeaderValue, Uri};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::access::Access;

const NAME: &str = "flipper_session";
/// Without a request. A page that is open and visible sends one at least every six minutes.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const MOST: usize = 10_000;
/// Of one token, so that none ends the sessions of all others.
const MOST_OF_ONE: usize = 100;
/// Of the hash in a cookie's name, in bytes.
const HASH: usize = 4;

/// The connection of a request is encrypted by this server; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted;

/// By the SHA-256 of the cookie: comparing hashes takes no time that helps to find a cookie.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
    who: String,
    access: Access,
    began: Instant,
    used: Instant,
}

impl Session {
    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) > IDLE
            || now.saturating_duration_since(self.began) > LONGEST
            || !self.access.is_current()
    }
}

impl Sessions {
    /// The cookie's text of a new session.
    pub(super) fn begin(&self, access: Access) -> Option<String> {
        self.begin_of(access.to_string(), access)
    }

    fn begin_of(&self, who: String, access: Access) -> Option<String> {
        let mut id = [0; 32];
        SystemRandom::new().fill(&mut id).ok()?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let now = Instant::now();
        let mut sessions = self.lock();
        if sessions.values().filter(|session| session.who == who).count() >= MOST_OF_ONE {
            end_idlest(&mut sessions, |session| session.who == who);
        }
        if sessions.len() >= MOST {
            sessions.retain(|_, session| !session.is_over(now));
        }
        if sessions.len() >= MOST {
            end_idlest(&mut sessions, |_| true);
        }
        sessions.insert(key(&id), Session { who, access, began: now, used: now });
        Some(id)
    }

    /// What the session of this cookie may do, if its token still allows it.
    pub(super) fn find(&self, id: &str) -> Option<Access> {
        self.find_at(id, Instant::now())
    }

    fn find_at(&self, id: &str, now: Instant) -> Option<Access> {
        let key = key(id);
        let mut sessions = self.lock();
        let session = sessions.get_mut(&key)?;
        if session.is_over(now) {
            sessions.remove(&key);
            return None;
        }
        session.used = now;
        Some(session.access.clone())
    }

    pub(super) fn end(&self, id: &str) {
        self.lock().remove(&key(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        // No code that can panic leaves it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the one of these that was idle for longest.
fn end_idlest(sessions: &mut HashMap<[u8; 32], Session>, is_of_these: impl Fn(&Session) -> bool) {
    let these = sessions.iter().filter(|(_, session)| is_of_these(session));
    if let Some(idlest) = these.min_by_key(|(_, session)| session.used).map(|(key, _)| *key) {
        sessions.remove(&idlest);
    }
}

fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// A browser sends the cookies of a host to all its ports, and there may be a server at several.
fn name(headers: &HeaderMap, uri: &Uri) -> String {
    let host = uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = host.or_else(|| headers.get(HOST).map(HeaderValue::as_bytes)).unwrap_or_default();
    let hash = Sha256::digest(host.to_ascii_lowercase());
    format!("{NAME}_{}", hash.iter().take(HASH).map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The session's cookie in a request.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, uri: &Uri) -> Option<&'a str> {
    let name = name(headers, uri);
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(&*name)?.strip_prefix('='))
}

/// Sets the cookie, or removes it, for the host of this request. It lasts until the browser ends, or the session.
pub(super) fn set_cookie(headers: &HeaderMap, uri: &Uri, id: Option<&str>, is_encrypted: bool) -> Option<HeaderValue> {
    let name = name(headers, uri);
    let (id, age) = id.map_or(("", "; Max-Age=0"), |id| (id, ""));
    let secure = if is_encrypted { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{name}={id}; Path=/flags{age}; HttpOnly; SameSite=Strict{secure}")).ok()
}

/// By this server, or by a proxy before it. A client that lies about the latter only limits its own cookie.
pub(super) fn is_encrypted(headers: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Encrypted>().is_some()
        || headers.get("x-forwarded-proto").is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_until_it_ends() {
        let sessions = Sessions::default();
        let access = Access::everything(&Extensions::new());
        let id = sessions.begin(access.clone()).unwrap();
        assert!(sessions.find(&id).is_some());
        assert!(sessions.find(&id[1..]).is_none());
        sessions.end(&id);
        assert!(sessions.find(&id).is_none());
        let idle = sessions.begin(access).unwrap();
        assert!(sessions.find_at(&idle, Instant::now() + IDLE + Duration::from_secs(1)).is_none());
        assert!(sessions.lock().is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let sessions = Sessions::default();
        let access = Access::everything(&Extensions::new());
        let first = sessions.begin_of("0".to_owned(), access.clone()).unwrap();
        for _ in 0..MOST_OF_ONE + 10 {
            sessions.begin_of("one".to_owned(), access.clone()).unwrap();
        }
        assert_eq!(sessions.lock().len(), MOST_OF_ONE + 1);
        assert!(sessions.find(&first).is_some(), "of another token");
        let now = Instant::now();
        let more = MOST - sessions.lock().len();
        for number in 0..more {
            let session = Session { who: "many".to_owned(), access: access.clone(), began: now, used: now };
            sessions.lock().insert(key(&number.to_string()), session);
        }
        sessions.begin_of("last".to_owned(), access).unwrap();
        assert_eq!(sessions.lock().len(), MOST);
    }

    #[test]
    fn cookies() {
        let uri = Uri::from_static("/flags");
        let request = |host, cookies: &str| {
            HeaderMap::from_iter([
                (HOST, HeaderValue::from_static(host)),
                (COOKIE, HeaderValue::try_from(cookies).unwrap()),
            ])
        };
        let set = set_cookie(&request("a:1", ""), &uri, Some("xyz"), true).unwrap();
        let (pair, rest) = set.to_str().unwrap().split_once("; ").unwrap();
        assert_eq!(rest, "Path=/flags; HttpOnly; SameSite=Strict; Secure");
        assert_eq!(cookie(&request("A:1", &format!("a=1; {pair}; b=2")), &uri), Some("xyz"));
        assert_eq!(cookie(&request("a:2", pair), &uri), None, "of another port");
        assert_eq!(cookie(&request("a:1", &format!("x{pair}")), &uri), None);
        assert!(!set_cookie(&request("a", ""), &uri, None, false).unwrap().to_str().unwrap().contains("Secure"));
    }
}
