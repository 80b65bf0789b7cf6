//! The order of a transfer. A flag must not be on for others because what it needs is missing or older: segments and prerequisites are
//! written before what names them, and segments are deleted after it.

use std::collections::HashMap;

use flipper::__words::needs_of;
use flipper::FlagRecord;
use flipper::targeting::{When, segment_of, stored_name};

use crate::failure::Done;
use crate::plan::{ASKED_AT_ONCE, Plan, get};
use crate::records::Records;
use crate::store::Store;

/// A check follows fewer: what is deeper does not hold in any order.
const DEEPEST: usize = 40;

/// Flags of the source that may be written together.
pub(crate) struct Phase {
    pub(crate) indexes: Vec<usize>,
    pub(crate) is_new: bool,
}

/// The stored names of the segments that it names.
pub(crate) fn segments_of(record: &FlagRecord) -> Vec<String> {
    let mut names = Vec::new();
    let whens = record.rules().iter().filter_map(|rule| rule.when.as_ref()).chain(record.segment());
    whens.for_each(|when: &When| when.each_segment(&mut |segment| names.push(stored_name(segment))));
    names
}

/// Segments first, then the flags, each after those that it needs.
pub(crate) fn writes(source: &Records, plan: &Plan) -> Done<Vec<Phase>> {
    let mut phases = Vec::new();
    let (mut segments, mut flags, mut others) = (HashMap::new(), HashMap::new(), Vec::new());
    for index in plan.create.iter().chain(&plan.change) {
        let name = source.name(*index).to_owned();
        if segment_of(&name).is_some() {
            segments.insert(name, segments_of(&source.record(*index)?));
        } else if source.may_need_flags(*index) {
            flags.insert(name, needs_of(&source.record(*index)?));
        } else {
            others.push(*index);
        }
    }
    let mut add = |indexes: Vec<usize>| {
        let (create, change): (Vec<_>, Vec<_>) =
            indexes.into_iter().partition(|index| plan.create.binary_search(index).is_ok());
        for (indexes, is_new) in [(create, true), (change, false)] {
            phases.extend(Some(Phase { indexes, is_new }).filter(|phase| !phase.indexes.is_empty()));
        }
    };
    let indexes = |names: Vec<String>| names.iter().filter_map(|name| source.find(name)).collect();
    inside_out(segments).into_iter().for_each(|names| add(indexes(names)));
    add(others);
    inside_out(flags).into_iter().for_each(|names| add(indexes(names)));
    Ok(phases)
}

/// The flags to delete, and after them the segments, outer ones before those that they name.
pub(crate) async fn deletions<'a, T>(
    target: &Store,
    doomed: &'a [T],
    name: impl Fn(&T) -> &str,
) -> Done<impl Iterator<Item = &'a T>> {
    let (mut segments, flags): (Vec<_>, Vec<_>) = doomed.iter().partition(|item| segment_of(name(item)).is_some());
    let mut inner = HashMap::new();
    for batch in segments.chunks(ASKED_AT_ONCE) {
        let names: Vec<&str> = batch.iter().map(|item| name(item)).collect();
        for (name, stored) in names.iter().zip(get(target, &names).await?) {
            let record = stored.and_then(|stored| stored.record.ok());
            inner.insert((*name).to_owned(), record.map(|record| segments_of(&record)).unwrap_or_default());
        }
    }
    let places: HashMap<String, usize> =
        inside_out(inner).into_iter().flatten().enumerate().map(|(place, name)| (name, place)).collect();
    segments.sort_by_key(|item| std::cmp::Reverse(places.get(name(item)).copied()));
    Ok(flags.into_iter().chain(segments))
}

/// Each level names only those before it. The rest, a circle, comes last.
fn inside_out(mut inner: HashMap<String, Vec<String>>) -> Vec<Vec<String>> {
    let mut levels: Vec<Vec<String>> = Vec::new();
    while !inner.is_empty() {
        let is_free = |name: &String| inner[name].iter().all(|other| other == name || !inner.contains_key(other));
        let mut level: Vec<String> = inner.keys().filter(|name| is_free(name)).cloned().collect();
        if level.is_empty() || levels.len() == DEEPEST {
            level = inner.keys().cloned().collect();
        }
        level.sort_unstable();
        level.iter().for_each(|name| drop(inner.remove(name)));
        levels.push(level);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inner_segments_come_first_and_a_circle_ends() {
        let needs =
            [("a", vec!["b", "c"]), ("b", vec!["c", "elsewhere"]), ("c", vec![]), ("x", vec!["y"]), ("y", vec!["x"])];
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<Vec<_>>();
        let inner = needs.into_iter().map(|(name, names)| (name.to_owned(), owned(names))).collect();
        assert_eq!(inside_out(inner), [vec!["c"], vec!["b"], vec!["a"], vec!["x", "y"]]);
    }
}
