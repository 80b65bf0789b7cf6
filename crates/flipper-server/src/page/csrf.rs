use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac::{self, HMAC_SHA256, Key};
use ring::rand::{SecureRandom, SystemRandom};

const NONCE: usize = 16;

/// The hidden text of each form, which no page of another origin can read. It differs in each answer, so that the size of a compressed one
/// shows nothing of it.
pub(super) struct Csrf(Option<Key>);

impl Csrf {
    /// Without randomness of the system there is no text, and no form is taken.
    pub(super) fn new() -> Self {
        Self(Key::generate(HMAC_SHA256, &SystemRandom::new()).ok())
    }

    /// `bound`: whose forms these are.
    pub(super) fn token(&self, bound: &str) -> String {
        let mut nonce = [0; NONCE];
        let Some(key) = self.0.as_ref().filter(|_| SystemRandom::new().fill(&mut nonce).is_ok()) else {
            return String::new();
        };
        let tag = hmac::sign(key, &message(&nonce, bound));
        URL_SAFE_NO_PAD.encode([&nonce[..], tag.as_ref()].concat())
    }

    pub(super) fn is_valid(&self, token: &str, bound: &str) -> bool {
        let (Some(key), Ok(token)) = (&self.0, URL_SAFE_NO_PAD.decode(token)) else { return false };
        token.split_at_checked(NONCE).is_some_and(|(nonce, tag)| hmac::verify(key, &message(nonce, bound), tag).is_ok())
    }
}

fn message(nonce: &[u8], bound: &str) -> Vec<u8> {
    [nonce, bound.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_for_whom_it_was_made() {
        let csrf = Csrf::new();
        let token = csrf.token("alice");
        assert!(csrf.is_valid(&token, "alice"));
        assert_ne!(token, csrf.token("alice"));
        for (token, bound) in [(&*token, "bob"), ("", "alice"), ("AAAA", "alice"), (&token[1..], "alice")] {
            assert!(!csrf.is_valid(token, bound), "{token}");
        }
        assert!(!Csrf::new().is_valid(&token, "alice"));
    }
}
