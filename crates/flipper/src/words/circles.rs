//! Flags that need each other in a circle, and segments that name each other in one. No write of this library makes them; whole records may.

use std::collections::{HashMap, HashSet};

use super::parts::links;
use crate::record::FlagRecord;
use crate::targeting::stored_name;

/// The stored names of what the flag's answer depends on.
pub fn needs_of(record: &FlagRecord) -> Vec<String> {
    let (flags, segments) = links(record);
    let flags = flags.into_iter().map(|each| each.flag.clone());
    flags.chain(segments.iter().map(|segment| stored_name(segment))).collect()
}

/// More are not listed: there may be as many as links, each as long as all flags.
const MOST: usize = 100;

/// Circles, each from a name back to it; where several share a flag, at least one of them. At most 100 of them. `records`: by their stored names.
pub fn circles(records: &HashMap<&str, &FlagRecord>) -> Vec<Vec<String>> {
    let needs = |name: &str| records.get(name).map(|record| needs_of(record)).unwrap_or_default();
    let mut names: Vec<_> = records.keys().copied().collect();
    names.sort_unstable();
    let (mut done, mut found) = (HashSet::new(), Vec::new());
    for name in names {
        if done.contains(name) {
            continue;
        }
        // From the name to the one that is looked at, with what each needs still.
        let mut path = vec![(name.to_owned(), needs(name).into_iter())];
        let mut on_path = HashSet::from([name.to_owned()]);
        while let Some((last, left)) = path.last_mut() {
            match left.next() {
                None => {
                    on_path.remove(last);
                    done.insert(std::mem::take(last));
                    path.pop();
                }
                Some(next) if done.contains(&next) => {}
                Some(next) if on_path.contains(&next) => {
                    let start = path.iter().position(|(name, _)| *name == next).unwrap_or_default();
                    let mut circle: Vec<_> = path[start..].iter().map(|(name, _)| name.clone()).collect();
                    circle.push(next);
                    found.push(circle);
                    if found.len() == MOST {
                        return found;
                    }
                }
                Some(next) => {
                    on_path.insert(next.clone());
                    let needs = needs(&next).into_iter();
                    path.push((next, needs));
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targeting::{Prerequisite, Rule, Serve, When};

    fn flag(name: &str, needed: &[&str]) -> FlagRecord {
        let mut record = FlagRecord::new(name, 0);
        record.set_prerequisites(needed.iter().map(|name| Prerequisite::new(*name)).collect());
        record
    }

    #[test]
    fn many_circles_are_not_all_listed() {
        let names: Vec<_> = (0..30).map(|number| format!("F{number}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let all: Vec<_> = names.iter().map(|name| flag(name, &names)).collect();
        assert_eq!(circles(&all.iter().map(|record| (record.name(), record)).collect()).len(), MOST);
    }

    #[test]
    fn circles_are_found_once() {
        let segment = |name: &str, other: &str| {
            let mut record = FlagRecord::new(stored_name(name), 0);
            record.set_segment(Some(When::Segment(other.into())));
            record
        };
        let mut ruled = flag("R", &["NONE"]);
        ruled.set_rules(vec![Rule::new(Serve::On).when(When::Segment("u".into()))]);
        let mut all = vec![
            flag("A", &["B", "C"]),
            flag("B", &["C"]),
            flag("C", &["A"]),
            flag("OWN", &["OWN"]),
            flag("USES", &["A"]),
            ruled,
            segment("u", "v"),
            segment("v", "u"),
        ];
        all.extend((0..50).map(|number| flag(&format!("L{number}"), &[format!("L{}", (number + 1) % 50).as_str()])));
        let all = all.iter().map(|record| (record.name(), record)).collect();
        let found: Vec<_> = circles(&all).iter().map(|circle| circle.join(" ")).collect();
        assert_eq!(found[0], "A B C A");
        assert!(found[1].starts_with("L0 L1 L2 ") && found[1].ends_with(" L49 L0"), "{found:?}");
        assert_eq!(found[2..], ["OWN OWN", "segments/u segments/v segments/u"]);
    }
}
