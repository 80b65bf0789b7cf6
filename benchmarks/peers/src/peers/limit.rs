//! The least work that answers a check: a lookup in a map, then comparing a string, or one hash of the user's id.

use std::collections::HashMap;
use std::io::Cursor;
use std::sync::Arc;

use foldhash::fast::RandomState;
use sha1::{Digest, Sha1};
use xxhash_rust::xxh3::xxh3_64;

use crate::Result;
use crate::peer::{Batch, Kind, Peer, batch};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

/// By the hash of the user's id.
#[derive(Clone, Copy)]
pub(super) enum Limit {
    Xxh3,
    Murmur3,
    Sha1,
}

impl Peer for Limit {
    fn name(&self) -> &'static str {
        match self {
            Self::Xxh3 => "limit: a lookup, `==` or XXH3",
            Self::Murmur3 => "limit: a lookup, Murmur3",
            Self::Sha1 => "limit: a lookup, SHA-1",
        }
    }

    fn package(&self) -> &'static str {
        match self {
            Self::Xxh3 => "xxhash-rust",
            Self::Murmur3 => "murmur3",
            Self::Sha1 => "sha1",
        }
    }

    fn kind(&self) -> Kind {
        Kind::Limit
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let hashes = matches!(scenario.rule, Rule::Percentage | Rule::Variants);
        Ok(match self {
            Self::Xxh3 if hashes => Some(hashing(scenario, |id| xxh3_64(id) as u32)),
            Self::Xxh3 => Some(comparing(scenario)),
            // A cursor cannot fail to read.
            Self::Murmur3 if hashes => {
                Some(hashing(scenario, |id| murmur3::murmur3_32(&mut Cursor::new(id), 0).unwrap_or(0)))
            }
            Self::Sha1 if hashes => Some(hashing(scenario, |id| {
                let digest = Sha1::digest(id);
                u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
            })),
            Self::Murmur3 | Self::Sha1 => None,
        })
    }
}

fn map(scenario: &Scenario) -> HashMap<String, bool, RandomState> {
    scenario.flags.iter().map(|flag| (flag.name.clone(), flag.on)).collect()
}

fn comparing(scenario: &Arc<Scenario>) -> Batch {
    let map = map(scenario);
    let conditions = scenario.conditions();
    let contexts = scenario.users.iter().map(|user| user.attributes.clone()).collect();
    batch(scenario, contexts, move |name, context| {
        let on = map.get(name).copied().unwrap_or(false);
        let holds = conditions.iter().zip(context).all(|((_, expected), (_, value))| expected == value);
        usize::from(on && holds)
    })
}

fn hashing(scenario: &Arc<Scenario>, hash: impl Fn(&[u8]) -> u32 + Send + Sync + 'static) -> Batch {
    let map = map(scenario);
    let contexts = scenario.users.iter().map(|user| user.id).collect();
    if scenario.rule == Rule::Percentage {
        batch(scenario, contexts, move |name, id| {
            usize::from(map.get(name).copied().unwrap_or(false) && hash(id.as_bytes()) % 100 < PERCENT)
        })
    } else {
        batch(scenario, contexts, move |name, id| {
            let on = map.get(name).copied().unwrap_or(false);
            if on { VARIANTS[hash(id.as_bytes()) as usize % VARIANTS.len()].len() } else { 0 }
        })
    }
}
