use std::collections::{HashMap, VecDeque};

use super::describe::whole_fields;
use super::parts::{brief, brief_pair};
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
    changed
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
