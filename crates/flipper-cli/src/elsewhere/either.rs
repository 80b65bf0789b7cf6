//! Flags that are on where any of several ways says so: strategies, gates.

use flipper::FlagRecord;
use flipper::bucketing::{Percentage, PercentageBucketer};
use flipper::targeting::{Rule, Serve, Variant, Variants};

use super::cond::Cond;
use super::first::weights;
use super::{Said, unsaid};

/// One way.
pub(super) struct Way {
    pub(super) cond: Cond,
    pub(super) share: Share,
    pub(super) variants: Option<Choice>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Share {
    All,
    /// By the first of these attributes that is given. Ways of one group choose the same callers.
    Part {
        share: f64,
        group: String,
        by: Vec<String>,
    },
    /// Of checks, not of callers.
    Random(f64),
}

impl Share {
    /// No caller and all callers are no shares.
    pub(super) fn of(share: f64, group: &str, by: &[&str]) -> Option<Self> {
        let by = by.iter().map(|each| (*each).to_owned()).collect();
        match share {
            share if share <= 0.0 => None,
            share if share >= 1.0 => Some(Self::All),
            share => Some(Self::Part { share, group: group.to_owned(), by }),
        }
    }
}

/// The variants of those for whom this way is on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) by: String,
    /// With their weights, of whatever sum.
    pub(super) variants: Vec<(Variant, f64)>,
    /// Who gets a variant whatever the weights say.
    pub(super) overrides: Vec<(Cond, String)>,
}

impl Choice {
    fn only(&self) -> Option<&Variant> {
        let mut weighed = self.variants.iter().filter(|(_, weight)| *weight > 0.0);
        weighed.next().filter(|_| weighed.next().is_none()).map(|(variant, _)| variant)
    }
}

/// Sets rules, variants and the bucketer.
pub(super) fn build(record: &mut FlagRecord, mut ways: Vec<Way>) -> Said<()> {
    ways.retain(|way| way.cond != Cond::Never && way.share != Share::Random(0.0));
    let first = ways.first().map(|way| way.variants.clone());
    let is_same = ways.iter().all(|way| Some(&way.variants) == first.as_ref());
    record.set_variants(match (is_same, first.flatten()) {
        (true, choice) => choice.map(|choice| variants(&choice, &[])),
        (false, _) => Some(of_several(&ways)?),
    });
    // Who is not in a share asks the next way there; here the first rule that holds decides.
    if is_same {
        put_in_order(&mut ways);
    }
    let shares = ways.iter().filter(|way| way.share != Share::All).count();
    let last = ways.len().saturating_sub(1);
    let only_last = ways[..last].iter().all(|way| way.share == Share::All);
    if !(shares <= 1 && only_last || is_same && shares > 1 && one_group(&ways)) {
        return unsaid("its gradual rollouts", "there are several, which choose callers independently of each other");
    }
    let mut rules = Vec::new();
    let mut random = None;
    for way in ways {
        rules_of(way, is_same, &mut rules, &mut random)?;
    }
    let is_plain = rules.len() == 1 && rules[0] == Rule::new(Serve::On);
    match random {
        Some(share) => record.set_bucketer(PercentageBucketer::new(Percentage::new(share)).into()),
        None if is_plain => rules.clear(),
        None if rules.last().is_some_and(|rule| rule.when.is_none()) => {}
        None => rules.push(Rule::new(Serve::Off)),
    }
    record.set_rules(rules);
    Ok(())
}

/// Those for all callers first, then larger shares before smaller ones, then chance.
fn put_in_order(ways: &mut Vec<Way>) {
    if let Some(place) = ways.iter().position(|way| way.share == Share::All && way.cond == Cond::Always) {
        ways.swap(0, place);
        ways.truncate(1);
    }
    let rank = |way: &Way| match way.share {
        Share::All => -2.0,
        Share::Part { share, .. } => -share,
        Share::Random(_) => 1.0,
    };
    ways.sort_by(|a, b| rank(a).total_cmp(&rank(b)));
}

/// Whether all shares choose the same callers.
fn one_group(ways: &[Way]) -> bool {
    let mut groups = ways.iter().filter_map(|way| match &way.share {
        Share::All => None,
        Share::Part { group, by, .. } => Some(Some((group, by))),
        Share::Random(_) => Some(None),
    });
    let first = groups.next().flatten();
    first.is_some() && groups.all(|group| group == first)
}

fn rules_of(way: Way, is_same: bool, rules: &mut Vec<Rule>, random: &mut Option<f64>) -> Said<()> {
    let Way { cond, share, variants } = way;
    if let Some(choice) = &variants {
        if !choice.overrides.is_empty() && share != Share::All {
            return unsaid("overrides of its variants", "a rule serves a variant or a share, not both");
        }
        for (who, variant) in &choice.overrides {
            rules.extend(cond.clone().and(who.clone()).rule(Serve::Variant(variant.clone())));
        }
    }
    match share {
        Share::All => {
            let own = variants.as_ref().and_then(Choice::only).filter(|_| !is_same);
            let serve = own.map_or(Serve::On, |variant| Serve::Variant(variant.name.clone()));
            rules.extend(cond.rule(serve));
        }
        Share::Part { share, by, .. } => {
            let last = by.len().saturating_sub(1);
            for (index, by) in by.iter().enumerate() {
                let given = if index < last { Cond::exists(by) } else { Cond::Always };
                rules.extend(cond.clone().and(given).rule(Serve::share(share, by)));
            }
        }
        Share::Random(share) => {
            rules.extend(cond.not().rule(Serve::Off));
            *random = Some(share);
        }
    }
    Ok(())
}

/// One set of weights for the ways that have several variants; all others serve one by their rule.
fn of_several(ways: &[Way]) -> Said<Variants> {
    let mut main: Option<&Choice> = None;
    let mut more: Vec<Variant> = Vec::new();
    for way in ways {
        let Some(choice) = &way.variants else {
            return unsaid("variants of its strategies", "some have variants and some have none");
        };
        match choice.only().filter(|_| way.share == Share::All) {
            Some(only) => more.push(only.clone()),
            None if main.is_some_and(|main| main != choice) => {
                return unsaid("variants of its strategies", "a flag has one set of weights, and these have several");
            }
            None => main = Some(choice),
        }
    }
    let first = ways.iter().find_map(|way| way.variants.as_ref());
    let Some(main) = main.or(first) else { return unsaid("variants of its strategies", "there are no variants") };
    let all = variants(main, &more);
    match more.iter().find(|each| all.get(&each.name).is_some_and(|same| same.value != each.value)) {
        Some(twice) => unsaid("variants of its strategies", format!("{:?} has several values", twice.name)),
        None => Ok(all),
    }
}

/// With more variants, without weight.
fn variants(choice: &Choice, more: &[Variant]) -> Variants {
    let weights = weights(&choice.variants.iter().map(|(_, weight)| *weight).collect::<Vec<_>>());
    let mut values: Vec<Variant> = choice
        .variants
        .iter()
        .zip(weights)
        .map(|((variant, _), weight)| Variant { weight, ..variant.clone() })
        .collect();
    for each in more {
        if !values.iter().any(|known| known.name == each.name) {
            values.push(Variant { weight: 0, ..each.clone() });
        }
    }
    Variants { by: choice.by.clone(), off: None, values }
}
