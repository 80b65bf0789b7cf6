//! Flags that need others of the file.

use std::collections::{HashMap, HashSet};

use flipper::FlagRecord;
use flipper::targeting::{When, segment_of, stored_name};

use super::{Said, Unsaid};
use crate::text::quoted;

/// Less than what a check follows: beyond that a segment does not hold, and one in a `not` would.
const DEEPEST: usize = 32;
const MOST: usize = 500;

#[derive(Clone, Copy, Default)]
struct Cost {
    depth: usize,
    entered: usize,
}

/// Whatever needs a flag or a segment that cannot be imported cannot be imported either: a `not` of it would hold.
pub(super) fn resolve(mut all: Vec<(String, Said<FlagRecord>)>) -> Vec<(String, Said<FlagRecord>)> {
    let mut known: HashMap<String, Cost> = HashMap::new();
    loop {
        let before = known.len();
        for (name, record) in &mut all {
            if known.contains_key(name) {
                continue;
            }
            let Ok(found) = &*record else { continue };
            let mut cost = Cost::default();
            let is_known = needs(found).iter().all(|need| {
                known.get(need).is_some_and(|of| {
                    cost.depth = cost.depth.max(of.depth + 1);
                    cost.entered += of.entered + 1;
                    true
                })
            });
            if is_known && cost.depth <= DEEPEST && cost.entered <= MOST {
                known.insert(name.clone(), cost);
            } else if is_known {
                let why = format!("a check would follow more than {MOST} of them, or more than {DEEPEST} deep");
                *record = Err(Unsaid { what: "the flags and segments that it needs".to_owned(), why });
            }
        }
        if known.len() == before {
            break;
        }
    }
    let names: HashSet<String> = all.iter().map(|(name, _)| name.clone()).collect();
    for (name, record) in &mut all {
        let missing = match record {
            Ok(found) => needs(found).into_iter().find(|need| !known.contains_key(need)),
            Err(_) => None,
        };
        if let Some(need) = missing.filter(|_| !known.contains_key(name)) {
            let shown = match segment_of(&need) {
                Some(segment) => format!("segment {}", quoted(segment)),
                None => format!("flag {}", quoted(&need)),
            };
            let why = match names.contains(&need) {
                true => "it cannot be imported, or they need each other in a circle",
                false => "the file does not have it",
            };
            *record = Err(Unsaid { what: format!("it needs {shown}"), why: why.to_owned() });
        }
    }
    all
}

fn needs(record: &FlagRecord) -> Vec<String> {
    let mut needs: Vec<String> = record.prerequisites().iter().map(|each| each.flag.clone()).collect();
    let whens = record.rules().iter().filter_map(|rule| rule.when.as_ref()).chain(record.segment());
    whens.for_each(|when: &When| when.each_segment(&mut |segment| needs.push(stored_name(segment))));
    needs
}
