use super::describe::fields;
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

/// What differs, in the order of the first state. `None`: the flag does not exist. Empty for states that differ only in their spelling.
pub fn difference(before: Option<&FlagRecord>, after: Option<&FlagRecord>) -> Vec<Changed> {
    let of = |record: Option<&FlagRecord>| record.map(fields).unwrap_or_default();
    let (old, new) = (of(before), of(after));
    let mut added: Vec<_> = new.iter().filter(|field| !old.contains(field)).cloned().collect();
    let mut changed = Vec::new();
    for (what, how) in old.iter().filter(|field| !new.contains(field)) {
        let place = added.iter().position(|field| field.0 == *what);
        let after = place.map(|place| added.remove(place).1);
        changed.push(Changed { what: what.clone(), before: Some(how.clone()), after });
    }
    let added = added.into_iter().map(|(what, how)| Changed { what, before: None, after: Some(how) });
    changed.extend(added);
    changed
}
