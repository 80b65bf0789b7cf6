//! Checks beside the least work that answers them: a lookup in a map of the same names, then a comparison or a hash.

use std::collections::{HashMap, HashSet};
use std::hint::black_box;
use std::sync::Arc;

use flipper::bucketing::{ConsistentHashPercentageBucketer, SaltedPercentageBucketer};
use flipper::context::{Attributes, Value};
use flipper::targeting::{Rule, Serve, When};
use flipper::{Condition, Context, FeatureFlagClient, MemoryFeatureFlagStore, context};
use foldhash::fast::RandomState;
use futures_executor::block_on;
use sha1::{Digest, Sha1};
use xxhash_rust::xxh3::xxh3_64;

use crate::{Case, Limit, Result};

const USERS: usize = 101;
const RULES: usize = 20;
const COUNTRIES: [&str; 20] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT",
];

pub(crate) fn cases() -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for (count, titles, most) in [
        (100, ["map, one of 100", "by name, one of 100"], 1.15),
        (1_000, ["map, one of 1,000", "by name, one of 1,000"], 1.2),
        (10_000, ["map, one of 10,000", "by name, one of 10,000"], 1.25),
    ] {
        let asked = names(count, 1);
        cases.extend(lookups(titles, &names(count, 1), asked, most)?);
    }
    cases.extend(lookups(["map, missing", "missing, of 1,000"], &names(1_000, 1), names(1_000, 2), 1.1)?);
    cases.extend(rules()?);
    cases.extend(shares()?);
    Ok(cases)
}

/// 10 to 40 bytes, in random order.
fn names(count: usize, seed: u64) -> Vec<String> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut names: Vec<String> = (0..count)
        .map(|number| {
            let length = random.usize(3..=33);
            (0..length).map(|_| random.lowercase()).chain(format!("{number:07}").chars()).collect()
        })
        .collect();
    random.shuffle(&mut names);
    // In memory in this order too, as the names of a program's checks are in the cache.
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

fn map(names: &[String]) -> HashMap<String, bool, RandomState> {
    names.iter().map(|name| (name.clone(), true)).collect()
}

fn lookups(titles: [&'static str; 2], names: &[String], asked: Vec<String>, most: f64) -> Result<[Case; 2]> {
    let [bare, title] = titles;
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    let flags = map(names);
    for name in names {
        block_on(features.create(name).enabled(true).into_future())?;
    }
    let asked = Arc::new(asked);
    Ok([
        Case::turns(bare, asked.clone(), move |name| flags.get(name).copied().unwrap_or(false)),
        Case::turns(title, asked, move |name| features.is_enabled(name)).beside([bare], Limit::Times(most)),
    ])
}

/// Some flags as in `names`, and what all of them have.
struct Flags {
    features: FeatureFlagClient,
    names: Vec<String>,
}

impl Flags {
    fn new() -> Result<Self> {
        let (features, names) = (FeatureFlagClient::new(MemoryFeatureFlagStore::new()), names(10, 3));
        for name in &names {
            block_on(features.create(name).enabled(true).into_future())?;
        }
        Ok(Self { features, names })
    }

    fn with_conditions(conditions: &[Condition]) -> Result<Self> {
        let flags = Self::new()?;
        for name in &flags.names {
            block_on(flags.features.set_conditions(name, conditions.iter().cloned()))?;
        }
        Ok(flags)
    }

    /// Each user checks one flag.
    fn case<C: 'static>(
        self,
        title: &'static str,
        users: Vec<C>,
        check: impl Fn(&FeatureFlagClient, &str, &C) -> bool + 'static,
    ) -> Case {
        Case::turns(title, pairs(&self.names, users), move |(name, user)| check(&self.features, name, user))
    }
}

fn bare<C: 'static>(title: &'static str, users: Vec<C>, check: impl Fn(&C) -> bool + 'static) -> Case {
    let names = names(10, 3);
    let flags = map(&names);
    Case::turns(title, pairs(&names, users), move |(name, user)| {
        flags.get(name).copied().unwrap_or(false) && check(user)
    })
}

fn pairs<C>(names: &[String], users: Vec<C>) -> Arc<Vec<(String, C)>> {
    Arc::new(names.iter().cloned().cycle().zip(users).collect())
}

/// Half of them have this plan, at random.
fn plans() -> Vec<&'static str> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..USERS).map(|_| if random.bool() { "pro" } else { "free" }).collect()
}

fn rules() -> Result<Vec<Case>> {
    let users: Vec<_> = ids().into_iter().zip(plans()).collect();
    let is_pro = Condition::new().eq("plan", "pro");
    let one = || Flags::with_conditions(std::slice::from_ref(&is_pro));
    let by_rule = Flags::new()?;
    let rules = [Rule::new(Serve::On).when("plan = pro".parse::<When>()?), Rule::new(Serve::Off)];
    for name in &by_rule.names {
        block_on(by_rule.features.set_rules(name, rules.clone()))?;
    }
    let check = |features: &FeatureFlagClient, name: &str, (id, plan): &(String, &str)| {
        features.is_enabled_with(name, &context! { user_id: id, plan: *plan })
    };
    let owned = |users: &[(String, &str)]| {
        users.iter().map(|(id, plan)| Context::new().with("user_id", id).with("plan", *plan)).collect::<Vec<_>>()
    };
    let mut cases = vec![
        bare("map, one ==", plans(), |plan| *black_box(plan) == "pro"),
        one()?.case("one condition of a user", users.clone(), check).beside(["map, one =="], Limit::Times(2.0)),
        by_rule.case("one rule of a user", users.clone(), check).beside(["map, one =="], Limit::Times(2.0)),
        one()?
            .case("one condition, owned context", owned(&users), |features, name, context| {
                features.is_enabled_with(name, context)
            })
            .beside(["one condition of a user"], Limit::Times(1.15)),
    ];
    cases.extend(twenty()?);
    Ok(cases)
}

/// Twenty conditions, all of which hold.
fn twenty() -> Result<Vec<Case>> {
    let pairs: Vec<(String, String)> = (0..RULES).map(|at| (format!("attribute{at}"), format!("value{at}"))).collect();
    let conditions: Vec<_> = pairs.iter().map(|(name, value)| Condition::new().eq(name, value)).collect();
    let with_last = |last: Condition| [&conditions[..RULES - 1], &[last]].concat();
    let last = &pairs[RULES - 1].0;
    let all: &'static [(String, String)] = pairs.clone().leak();
    let borrowed = || {
        let attributes = all.iter().map(|(name, value)| (name.as_str(), Value::from(value)));
        vec![attributes.collect::<Vec<_>>()]
    };
    let check = |features: &FeatureFlagClient, name: &str, context: &Vec<(&str, Value<'_>)>| {
        features.is_enabled_with(name, context.as_slice())
    };
    let wanted = pairs.clone();
    let equal = move |context: &Vec<String>| wanted.iter().zip(context).all(|((_, wanted), value)| wanted == value);
    let values = || vec![pairs.iter().map(|(_, value)| value.clone()).collect::<Vec<_>>()];
    let (wanted, countries) =
        (pairs.clone(), COUNTRIES.map(str::to_owned).into_iter().collect::<HashSet<_, RandomState>>());
    let not_in = move |context: &Vec<String>| {
        let first = wanted[..RULES - 1].iter().zip(context).all(|((_, wanted), value)| wanted == value);
        first && !countries.contains(&context[RULES - 1])
    };
    Ok(vec![
        bare("map, 20 ==", values(), equal),
        Flags::with_conditions(&conditions)?
            .case("20 conditions", borrowed(), check)
            .beside(["map, 20 =="], Limit::Times(1.05)),
        Flags::with_conditions(&with_last(Condition::new().not_one_of(last, ["a", "b"])))?
            .case("20 conditions, a not_in of 2", borrowed(), check)
            .beside(["map, 20 =="], Limit::Times(1.3)),
        bare("map, 19 ==, one set of 20", values(), not_in),
        Flags::with_conditions(&with_last(Condition::new().not_one_of(last, COUNTRIES)))?
            .case("20 conditions, a not_in of 20", borrowed(), check)
            .beside(["map, 19 ==, one set of 20"], Limit::Times(1.3)),
        Flags::with_conditions(&conditions)?
            .case("20 conditions, owned context", vec![Context::from(&*borrowed()[0])], |features, name, context| {
                features.is_enabled_with(name, context)
            })
            .beside(["20 conditions"], Limit::Times(1.15)),
    ])
}

fn ids() -> Vec<String> {
    (0..USERS).map(|number| format!("user-{:08}", number * 7919)).collect()
}

fn by_id(features: &FeatureFlagClient, name: &str, id: &String) -> bool {
    let context = context! { user_id: id };
    debug_assert_eq!(context.len(), 1);
    features.is_enabled_with(name, &context)
}

fn shares() -> Result<Vec<Case>> {
    let (hash, salted) = (Flags::new()?, Flags::new()?);
    block_on(async {
        for name in &hash.names {
            let by_user = ConsistentHashPercentageBucketer::new(0.24).key_whitelist(["user_id"]);
            hash.features.set_bucketer(name, by_user).await?;
            salted.features.set_bucketer(name, SaltedPercentageBucketer::new("user_id", 0.25)).await?;
        }
        Ok::<_, flipper::Error>(())
    })?;
    Ok(vec![
        bare("map, SHA-1", ids(), |id| {
            let digest = Sha1::digest(id.as_bytes());
            u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) % 100 < 25
        }),
        hash.case("percentage by user, compatible", ids(), by_id).beside(["map, SHA-1"], Limit::Times(1.4)),
        bare("map, XXH3", ids(), |id| xxh3_64(id.as_bytes()) as u32 % 100 < 25),
        salted.case("percentage by user, salted", ids(), by_id).beside(["map, XXH3"], Limit::Times(3.0)),
    ])
}
