use std::collections::{HashMap, VecDeque};

use super::describe::whole_fields;
use super::parts::{brief, brief_pair, rule_fields};
use crate::FlagRecord;

/// What differs between two states of a flag.
pub struct Changed {
    /// `enabled`, `condition`, `data owner`.
    pub what: String,
    /// `None` if only the second state has it.
    pub before: Option<String>,
    /// `None` if only the first state has it.
    pub after: Option<String>,
}

type Field = (String, String);

/// What differs, in the order of the first state. `None`: the flag does not exist. Empty for states that differ only in their spelling.
pub fn difference(before: Option<&FlagRecord>, after: Option<&FlagRecord>) -> Vec<Changed> {
    let of = |record: Option<&FlagRecord>| record.map(whole_fields).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    let mut added: Vec<_> = without(&new, &old).into_iter().map(Some).collect();
    let mut places: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (place, (what, _)) in added.iter().enumerate().filter_map(|(place, field)| Some((place, (*field)?))) {
        places.entry(what).or_default().push_back(place);
    }
    let mut changed = Vec::new();
    for (what, how) in without(&old, &new) {
        let place = places.get_mut(&**what).and_then(VecDeque::pop_front);
        let after = place.and_then(|place| added[place].take()).map(|(_, after)| brief_pair(how, after));
        let (before, after) = match after {
            Some((before, after)) => (before, Some(after)),
            None => (brief(how), None),
        };
        changed.push(Changed { what: what.clone(), before: Some(before), after });
    }
    let added = added.into_iter().flatten();
    changed.extend(added.map(|(what, how)| Changed { what: what.clone(), before: None, after: Some(brief(how)) }));
    changed.extend(changed_rules(before, after));
    changed
}

/// Rules that were added, removed or moved, each with its place. The others may have other places since.
fn changed_rules(before: Option<&FlagRecord>, after: Option<&FlagRecord>) -> Vec<Changed> {
    let of = |record: Option<&FlagRecord>| record.map(rule_fields).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    let mut changed = Vec::new();
    let (mut left, mut right) = (0, 0);
    let longest = longest_common(&old, &new);
    while left < old.len() || right < new.len() {
        let (removed, added) = (old.get(left), new.get(right));
        let is_kept = removed.zip(added).is_some_and(|(removed, added)| removed.1 == added.1);
        if is_kept {
            (left, right) = (left + 1, right + 1);
            continue;
        }
        let is_removed = right >= new.len() || left < old.len() && longest[left + 1][right] >= longest[left][right + 1];
        let part = |field: Option<&Field>| field.map(|(_, how)| brief(how));
        let what = |field: Option<&Field>| field.map(|(what, _)| what.clone()).unwrap_or_default();
        if is_removed {
            changed.push(Changed { what: what(removed), before: part(removed), after: None });
            left += 1;
        } else {
            changed.push(Changed { what: what(added), before: None, after: part(added) });
            right += 1;
        }
    }
    join_neighbours(changed)
}

/// A rule that was removed and one that was added at the same place are one change.
fn join_neighbours(changed: Vec<Changed>) -> Vec<Changed> {
    let mut joined: Vec<Changed> = Vec::with_capacity(changed.len());
    for change in changed {
        match joined.last_mut() {
            Some(last) if last.what == change.what && last.after.is_none() && change.before.is_none() => {
                last.after = change.after;
            }
            _ => joined.push(change),
        }
    }
    joined
}

/// From each pair of places on, how many rules are in both, in the same order.
fn longest_common(old: &[Field], new: &[Field]) -> Vec<Vec<u16>> {
    let mut longest = vec![vec![0; new.len() + 1]; old.len() + 1];
    for (left, (_, removed)) in old.iter().enumerate().rev() {
        for (right, (_, added)) in new.iter().enumerate().rev() {
            longest[left][right] = if removed == added {
                longest[left + 1][right + 1] + 1
            } else {
                longest[left + 1][right].max(longest[left][right + 1])
            };
        }
    }
    longest
}

/// The fields that are here more often than there.
fn without<'a>(fields: &'a [Field], there: &[Field]) -> Vec<&'a Field> {
    let mut left: HashMap<&Field, usize> = HashMap::new();
    for field in there {
        *left.entry(field).or_default() += 1;
    }
    let mut is_there = |field: &Field| match left.get_mut(field) {
        Some(count @ 1..) => {
            *count -= 1;
            true
        }
        _ => false,
    };
    fields.iter().filter(|field| !is_there(field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Condition;
    use crate::targeting::{Rule, Serve, When};

    #[test]
    fn rules_have_an_order() {
        let record = |whens: &str| {
            let rule = |name: char| Rule::new(Serve::On).when(format!("a = {name}").parse::<When>().unwrap());
            let mut record = FlagRecord::new("F", 1);
            record.set_rules(whens.chars().map(rule).collect());
            record
        };
        let changes = |before: &str, after: &str| -> Vec<String> {
            let short = |text: Option<String>| text.map(|text| text.replace("if a = ", "").replace(": on", ""));
            let changes = difference(Some(&record(before)), Some(&record(after))).into_iter();
            changes
                .map(|changed| {
                    let (before, after) = (short(changed.before), short(changed.after));
                    format!("{} {} {}", changed.what, before.as_deref().unwrap_or("-"), after.as_deref().unwrap_or("-"))
                })
                .collect()
        };
        assert_eq!(changes("123", "123"), [] as [&str; 0]);
        assert_eq!(changes("123", "9123"), ["rule 0 - 9"]);
        assert_eq!(changes("123", "13"), ["rule 1 2 -"]);
        assert_eq!(changes("123", "193"), ["rule 1 2 9"]);
        assert_eq!(changes("123", "231"), ["rule 0 1 -", "rule 2 - 1"]);
        assert_eq!(changes("", "12"), ["rule 0 - 1", "rule 1 - 2"]);
        assert_eq!(changes("11", "1"), ["rule 1 1 -"]);
    }

    #[test]
    fn each_field_counts_as_often_as_it_is_there() {
        let record = |conditions: &[i64]| {
            let mut record = FlagRecord::new("F", 1);
            record.set_conditions(conditions.iter().map(|value| Condition::new().eq("a", *value)).collect());
            record
        };
        let changes = |before: &[i64], after: &[i64]| -> Vec<(Option<String>, Option<String>)> {
            let changes = difference(Some(&record(before)), Some(&record(after)));
            changes.into_iter().map(|changed| (changed.before, changed.after)).collect()
        };
        let text = |value: i64| Some(format!("a = {value}"));
        assert_eq!(changes(&[1, 2], &[2, 1]), []);
        assert_eq!(changes(&[1, 1, 2], &[1, 2]), [(text(1), None)]);
        assert_eq!(changes(&[1, 2], &[3, 2, 4]), [(text(1), text(3)), (None, text(4))]);
    }
}
