use std::fmt;

use crate::bucketing::AnyPercentage;
use crate::json::Json;

/// All callers, in steps of 0.001 %.
pub(crate) const WHOLE: u32 = 100_000;

/// The values of a flag, of which each caller gets one and keeps it.
///
/// ```
/// use flipper::targeting::{Variant, Variants};
///
/// let variants = Variants::new("user_id")
///     .with(Variant::new("red", 50.0).value("#f00"))
///     .with(Variant::new("blue", 50.0).value("#00f"));
/// assert_eq!(variants.to_string(), "red 50%, blue 50% by user_id");
/// ```
///
/// # Which one
///
/// The caller's bucket is that of a [`SaltedPercentageBucketer`](crate::bucketing::SaltedPercentageBucketer), but with the seed 1 for the
/// flag's name: so who gets a variant does not depend on who is in a share. Each variant has buckets, as many as its weight. Without
/// [`Variant::buckets`] they follow each other, in the order of the variants.
///
/// A caller without the attribute gets a variant only if that has all the weight.
///
/// # Changes
///
/// [`FlagRecord::set_variants`](crate::FlagRecord::set_variants) moves as few callers as can be: a variant that grows takes buckets only from
/// those that shrink.
#[derive(Clone, Debug, PartialEq)]
pub struct Variants {
    /// The attribute that distinguishes callers.
    pub by: String,
    /// The variant of a flag that is off; without one a check gets its default.
    pub off: Option<String>,
    /// In order.
    pub values: Vec<Variant>,
}

/// One value of a flag.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Its name.
    pub name: String,
    /// Its share of callers, in 0.001 %; of all variants together 100,000.
    pub weight: u32,
    /// Its value. All variants of a flag have values of one type.
    pub value: Json,
    /// Its buckets from the first up to the second number, not included, in order. Empty: those that follow the variant before.
    pub buckets: Vec<(u32, u32)>,
}

impl Variant {
    /// With this percentage of callers, rounded to 0.001 %, and its name as its value.
    #[must_use]
    pub fn new(name: impl Into<String>, percent: f64) -> Self {
        let name = name.into();
        // A NaN and what is negative become 0.
        let weight = (percent * 1000.0).round() as u32;
        Self { value: Json::from(name.as_str()), name, weight, buckets: Vec::new() }
    }

    /// Sets its value.
    #[must_use]
    pub fn value(mut self, value: impl Into<Json>) -> Self {
        self.value = value.into();
        self
    }
}

impl Variants {
    /// None yet, for callers distinguished by this attribute.
    #[must_use]
    pub fn new(by: impl Into<String>) -> Self {
        Self { by: by.into(), off: None, values: Vec::new() }
    }

    /// Adds a variant.
    #[must_use]
    pub fn with(mut self, variant: Variant) -> Self {
        self.values.push(variant);
        self
    }

    /// Sets the variant of a flag that is off.
    #[must_use]
    pub fn off(mut self, name: impl Into<String>) -> Self {
        self.off = Some(name.into());
        self
    }

    /// The variant of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Variant> {
        self.values.iter().find(|variant| variant.name == name)
    }

    /// Splits all callers evenly; what three cannot share goes to the first.
    #[must_use]
    pub fn even(mut self) -> Self {
        let count = u32::try_from(self.values.len()).unwrap_or(u32::MAX).max(1);
        for (variant, place) in self.values.iter_mut().zip(0..) {
            variant.weight = WHOLE / count + u32::from(place < WHOLE % count);
        }
        self
    }

    /// The end of each range of buckets and the place of its variant, in the order of the buckets.
    pub(crate) fn ranges(&self) -> Vec<(u32, usize)> {
        let mut ranges = Vec::with_capacity(self.values.len());
        for ((_, end), place) in owned(&self.values) {
            match ranges.last_mut() {
                Some((last, of)) if *of == place => *last = end,
                _ => ranges.push((end, place)),
            }
        }
        ranges
    }

    /// Takes over the callers of the same variants before, as far as the weights allow.
    pub(crate) fn keep_callers(&mut self, before: &Self) {
        let total: u64 = self.values.iter().map(|variant| u64::from(variant.weight)).sum();
        // Who gives buckets says who gets what.
        let has_buckets = self.values.iter().any(|variant| !variant.buckets.is_empty());
        if has_buckets || self.by != before.by || total != u64::from(WHOLE) {
            return;
        }
        let mut kept: Vec<Vec<(u32, u32)>> = vec![Vec::new(); self.values.len()];
        let mut free = Vec::new();
        let mut missing: Vec<u32> = self.values.iter().map(|variant| variant.weight).collect();
        let mut reached = 0;
        for ((start, end), old) in owned(&before.values) {
            // Before a range there may be buckets of no variant, if another program wrote it.
            free.extend(Some((reached, start)).filter(|_| reached < start));
            reached = end;
            let place = before.values.get(old).and_then(|old| self.values.iter().position(|new| new.name == old.name));
            let Some(place) = place else {
                free.push((start, end));
                continue;
            };
            let stays = start.saturating_add(end.saturating_sub(start).min(missing[place]));
            missing[place] -= stays - start;
            kept[place].extend(Some((start, stays)).filter(|_| start < stays));
            free.extend(Some((stays, end)).filter(|_| stays < end));
        }
        free.extend(Some((reached, WHOLE)).filter(|_| reached < WHOLE));
        for (place, missing) in missing.iter_mut().enumerate() {
            while *missing > 0
                && let Some((start, end)) = free.pop()
            {
                let taken = end.saturating_sub(start).min(*missing);
                *missing -= taken;
                kept[place].push((start, start + taken));
                free.extend(Some((start + taken, end)).filter(|_| start + taken < end));
            }
        }
        for (variant, buckets) in self.values.iter_mut().zip(kept) {
            variant.buckets = joined(buckets);
        }
        self.forget_plain_buckets();
    }

    /// Leaves the buckets out where they only follow each other.
    fn forget_plain_buckets(&mut self) {
        let mut start = 0;
        let is_plain = self.values.iter().all(|variant| {
            let plain = (start, start + variant.weight);
            start += variant.weight;
            variant.weight == 0 || variant.buckets == [plain]
        });
        if is_plain {
            self.values.iter_mut().for_each(|variant| variant.buckets.clear());
        }
    }
}

/// All ranges with the places of their variants, by their first bucket.
fn owned(values: &[Variant]) -> Vec<((u32, u32), usize)> {
    let mut all = Vec::new();
    if values.iter().all(|variant| variant.buckets.is_empty()) {
        let mut start = 0_u32;
        for (place, variant) in values.iter().enumerate() {
            let end = start.saturating_add(variant.weight).min(WHOLE);
            all.extend(Some(((start, end), place)).filter(|_| start < end));
            start = end;
        }
        return all;
    }
    for (place, variant) in values.iter().enumerate() {
        all.extend(variant.buckets.iter().map(|range| (*range, place)));
    }
    all.sort_unstable();
    all
}

/// In order, with neighbours as one.
fn joined(mut ranges: Vec<(u32, u32)>) -> Vec<(u32, u32)> {
    ranges.sort_unstable();
    let mut joined: Vec<(u32, u32)> = Vec::with_capacity(ranges.len());
    for (start, end) in ranges {
        match joined.last_mut() {
            Some((_, last)) if *last == start => *last = end,
            _ => joined.push((start, end)),
        }
    }
    joined
}

impl fmt::Display for Variants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, variant) in self.values.iter().enumerate() {
            let share = AnyPercentage::from(f64::from(variant.weight) / f64::from(WHOLE));
            write!(f, "{}{} {share}", if index == 0 { "" } else { ", " }, variant.name)?;
        }
        write!(f, " by {}", self.by)?;
        self.off.iter().try_for_each(|off| write!(f, ", {off} when off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variants(weights: &[(&str, u32)]) -> Variants {
        let values = weights.iter().map(|(name, weight)| Variant { weight: *weight, ..Variant::new(*name, 0.0) });
        Variants { by: "id".into(), off: None, values: values.collect() }
    }

    /// Which variant each bucket has.
    fn callers(variants: &Variants) -> Vec<String> {
        let mut names = Vec::new();
        for (end, place) in variants.ranges() {
            names.resize(end as usize, variants.values[place].name.clone());
        }
        names
    }

    #[test]
    fn weights_without_buckets_follow_each_other() {
        let three = variants(&[("a", 20_000), ("b", 0), ("c", 80_000)]);
        assert_eq!(three.ranges(), [(20_000, 0), (100_000, 2)]);
        let even = variants(&[("a", 0), ("b", 0), ("c", 0)]).even();
        assert_eq!(even.values.iter().map(|variant| variant.weight).collect::<Vec<_>>(), [33_334, 33_333, 33_333]);
    }

    #[test]
    fn a_variant_that_grows_takes_callers_only_from_those_that_shrink() {
        let mut random = fastrand::Rng::with_seed(19);
        let names = ["a", "b", "c", "d", "e"];
        let mut before = variants(&[("a", 50_000), ("b", 50_000)]);
        for round in 0..300 {
            let count = random.usize(1..=names.len());
            let mut weights: Vec<u32> = (0..count).map(|_| random.u32(0..=1000) * 10).collect();
            let total: u32 = weights.iter().sum();
            if total == 0 {
                continue;
            }
            weights
                .iter_mut()
                .for_each(|weight| *weight = (u64::from(*weight) * u64::from(WHOLE) / u64::from(total)) as u32);
            weights[0] += WHOLE - weights.iter().sum::<u32>();
            let pairs: Vec<_> = names.iter().copied().zip(weights).collect();
            let mut after = variants(&pairs);
            after.keep_callers(&before);

            let (old, new) = (callers(&before), callers(&after));
            assert_eq!((old.len(), new.len()), (WHOLE as usize, WHOLE as usize), "{round}");
            let weight = |variants: &Variants, name: &str| variants.get(name).map_or(0, |variant| variant.weight);
            for name in names {
                assert_eq!(new.iter().filter(|other| *other == name).count(), weight(&after, name) as usize, "{round}");
                let lost = old.iter().zip(&new).filter(|(old, new)| *old == name && *new != name).count();
                let shrunk = weight(&before, name).saturating_sub(weight(&after, name));
                assert_eq!(lost, shrunk as usize, "{round}: {name} lost others than it had to");
            }
            before = after;
        }
    }

    #[test]
    fn what_changes_nothing_stays_plain() {
        let before = variants(&[("a", 50_000), ("b", 50_000)]);
        let mut after = before.clone();
        after.keep_callers(&before);
        assert_eq!(after, before);
        let mut other = Variants { by: "session".into(), ..variants(&[("b", 60_000), ("a", 40_000)]) };
        other.keep_callers(&before);
        assert!(other.values.iter().all(|variant| variant.buckets.is_empty()), "other callers");
    }
}
