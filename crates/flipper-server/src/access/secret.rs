//! The text of a token: `flp_`, 32 random bytes in hexadecimal, and 4 bytes that detect a typo.

use std::fmt;

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

const BEGINNING: &str = "flp_";
const SECRET: usize = 32;
const CHECK: usize = 4;

/// SHA-256 of a token's text: all that is stored. A fast hash is enough, since 256 random bits cannot be guessed.
pub(super) type Digest = [u8; 32];

/// A new token. It is shown once and kept nowhere.
pub struct Secret(String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    Foreign,
    Typo,
}

impl Secret {
    /// From the system's generator.
    pub(super) fn generate() -> Result<Self, ring::error::Unspecified> {
        let random: [u8; SECRET] = random()?;
        let secret = format!("{BEGINNING}{}", hex(&random));
        let check = hex(&sha256(&secret)[..CHECK]);
        Ok(Self(secret + &check))
    }

    /// The text to send as `Authorization: Bearer TEXT`.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> Digest {
        sha256(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// The digest of what a caller sent, unless it cannot be a token.
pub(super) fn digest_of(text: &str) -> Result<Digest, NoToken> {
    let digits = text.strip_prefix(BEGINNING).ok_or(NoToken::Foreign)?;
    let is_digit = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
    if digits.len() != 2 * (SECRET + CHECK) || !digits.bytes().all(is_digit) {
        return Err(NoToken::Typo);
    }
    let (secret, check) = text.split_at(text.len() - 2 * CHECK);
    // Not secret: the second part follows from the first.
    if hex(&sha256(secret)[..CHECK]) != check {
        return Err(NoToken::Typo);
    }
    Ok(sha256(text))
}

pub(super) fn random<const N: usize>() -> Result<[u8; N], ring::error::Unspecified> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes)?;
    Ok(bytes)
}

fn sha256(text: &str) -> Digest {
    let mut bytes = Digest::default();
    bytes.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    bytes
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_changed_letter_is_a_typo() {
        let secret = Secret::generate().unwrap();
        let text = secret.text();
        assert_eq!(text.len(), 76);
        assert_eq!(digest_of(text), Ok(secret.digest()));
        for place in 0..text.len() {
            let mut wrong = text.to_owned();
            let other = if &text[place..=place] == "0" { "1" } else { "0" };
            wrong.replace_range(place..=place, other);
            assert!(digest_of(&wrong).is_err(), "{place}");
        }
        for wrong in ["", "flp_", "secret", &text[..75], &format!("{text}0"), &text.to_uppercase()] {
            assert!(digest_of(wrong).is_err(), "{wrong}");
        }
        assert_eq!(digest_of("eyJhbGciOi"), Err(NoToken::Foreign));
        assert_eq!(digest_of(&text[..70]), Err(NoToken::Typo));
    }

    #[test]
    fn it_is_not_in_debug_output() {
        let secret = Secret::generate().unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(unhex(&hex(&[0, 127, 255])), Some([0, 127, 255]));
        assert_eq!(unhex::<2>("00zz"), None);
        assert_eq!(unhex::<2>("0é0"), None);
        assert_eq!(unhex::<2>("000"), None);
    }
}
