//! Who is logged in. Sessions are in this server's memory: a restart ends them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::COOKIE;
use http::{Extensions, HeaderMap, HeaderValue};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::{Digest, Sha256};

use crate::access::Access;

const NAME: &str = "flipper_session";
/// Without a request. A page that is open and visible sends one at least every six minutes.
const IDLE: Duration = Duration::from_secs(30 * 60);
const LONGEST: Duration = Duration::from_secs(12 * 3600);
const MOST: usize = 10_000;

/// The connection of a request is encrypted by this server; an extension of the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encrypted;

/// By the SHA-256 of the cookie: comparing hashes takes no time that helps to find a cookie.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

struct Session {
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
        let mut id = [0; 32];
        SystemRandom::new().fill(&mut id).ok()?;
        let id = URL_SAFE_NO_PAD.encode(id);
        let now = Instant::now();
        let mut sessions = self.lock();
        if sessions.len() >= MOST {
            sessions.retain(|_, session| !session.is_over(now));
            // The one that was idle for longest.
            if let Some(oldest) = sessions.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
                && sessions.len() >= MOST
            {
                sessions.remove(&oldest);
            }
        }
        sessions.insert(key(&id), Session { access, began: now, used: now });
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

fn key(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

/// The session's cookie in a request.
pub(super) fn cookie(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='))
}

/// Sets the cookie, or removes it. It lasts until the browser ends, or the session.
pub(super) fn set_cookie(id: Option<&str>, is_encrypted: bool) -> Option<HeaderValue> {
    let (id, age) = id.map_or(("", "; Max-Age=0"), |id| (id, ""));
    let secure = if is_encrypted { "; Secure" } else { "" };
    HeaderValue::try_from(format!("{NAME}={id}; Path=/flags{age}; HttpOnly; SameSite=Strict{secure}")).ok()
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
        for _ in 0..MOST + 10 {
            sessions.begin(access.clone()).unwrap();
        }
        assert_eq!(sessions.lock().len(), MOST);
    }

    #[test]
    fn cookies() {
        let headers = |text| HeaderMap::from_iter([(COOKIE, HeaderValue::from_static(text))]);
        assert_eq!(cookie(&headers("a=1; flipper_session=xyz; b=2")), Some("xyz"));
        assert_eq!(cookie(&headers("xflipper_session=xyz; flipper_session2=a")), None);
        let cookie = set_cookie(Some("xyz"), true).unwrap();
        assert_eq!(cookie, "flipper_session=xyz; Path=/flags; HttpOnly; SameSite=Strict; Secure");
        assert!(!set_cookie(None, false).unwrap().to_str().unwrap().contains("Secure"));
    }
}
