//! What is checked: flags, their rule, and users.

/// The rule of all flags of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// On or off for everyone.
    None,
    /// On if `plan` is `pro`.
    One,
    /// On if all of [`TWENTY`] hold.
    Twenty,
    /// On for [`PERCENT`] of the users, by their id.
    Percentage,
    /// One of [`VARIANTS`], by the user's id.
    Variants,
}

pub const PERCENT: u32 = 25;
pub const PLAN: &str = "plan";
pub const PRO: &str = "pro";
/// Of different lengths, by which the answers differ.
pub const VARIANTS: [&str; 3] = ["red", "green", "violet"];
pub const TWENTY: [(&str, &str); 20] = [
    ("country", "NL"),
    ("region", "utrecht"),
    ("city", "amersfoort"),
    ("language", "nl"),
    ("timezone", "Europe/Amsterdam"),
    ("device", "phone"),
    ("system", "android"),
    ("browser", "firefox"),
    ("app", "shop"),
    ("channel", "beta"),
    ("plan", "pro"),
    ("role", "admin"),
    ("team", "checkout"),
    ("tenant", "acme"),
    ("segment", "returning"),
    ("cohort", "2026-11"),
    ("campaign", "autumn"),
    ("referrer", "newsletter"),
    ("theme", "dark"),
    ("currency", "EUR"),
];

/// Flags of a scenario with a rule.
const FEW: usize = 10;
/// So few that the cache holds their contexts, as it holds that of a request. Each user checks each flag, as this is a prime.
const USERS: usize = 101;
/// Their contexts are larger, and their answers the same.
const USERS_WITH_TWENTY: usize = 11;

pub struct Flag {
    pub name: String,
    pub on: bool,
}

pub struct User {
    /// Never freed, so that contexts which borrow it can outlive a function.
    pub id: &'static str,
    pub attributes: Vec<(&'static str, &'static str)>,
}

pub struct Scenario {
    pub rule: Rule,
    pub flags: Vec<Flag>,
    /// The names to check, in this order, and in memory in this order: callers have their names in the processor's cache.
    pub names: Vec<String>,
    /// Who checks, in turn. One user without attributes if the rule needs none.
    pub users: Vec<User>,
}

impl Scenario {
    /// Flags without a rule, half of them on at random, checked in random order.
    #[must_use]
    pub fn plain(size: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(size as u64);
        let flags: Vec<_> =
            (0..size).map(|number| Flag { name: name(&mut random, number), on: random.bool() }).collect();
        let mut order: Vec<_> = (0..size).collect();
        random.shuffle(&mut order);
        let names = order.iter().map(|number| flags[*number].name.clone()).collect();
        let users = vec![User { id: "user-0", attributes: Vec::new() }];
        Self { rule: Rule::None, flags, names, users }
    }

    /// Checks of names that no flag has.
    #[must_use]
    pub fn missing(size: usize) -> Self {
        let mut random = fastrand::Rng::with_seed(0);
        let names = (size..size * 2).map(|number| name(&mut random, number)).collect();
        Self { names, ..Self::plain(size) }
    }

    /// A few flags that are on and have this rule, checked by many users.
    #[must_use]
    pub fn with(rule: Rule) -> Self {
        let mut random = fastrand::Rng::with_seed(7);
        let mut scenario = Self::plain(FEW);
        scenario.rule = rule;
        scenario.flags.iter_mut().for_each(|flag| flag.on = true);
        let users = if rule == Rule::Twenty { USERS_WITH_TWENTY } else { USERS };
        scenario.users = (0..users)
            .map(|number| {
                let plan = if random.bool() { PRO } else { "free" };
                let attributes = match rule {
                    Rule::One => vec![(PLAN, plan)],
                    Rule::Twenty => TWENTY.to_vec(),
                    Rule::None | Rule::Percentage | Rule::Variants => Vec::new(),
                };
                User { id: format!("user-{:08}", number * 7919).leak(), attributes }
            })
            .collect();
        scenario
    }

    /// The conditions of each flag, all of which have to hold.
    #[must_use]
    pub fn conditions(&self) -> &'static [(&'static str, &'static str)] {
        match self.rule {
            Rule::One => &[(PLAN, PRO)],
            Rule::Twenty => &TWENTY,
            Rule::None | Rule::Percentage | Rule::Variants => &[],
        }
    }

    /// The number of different checks, from which on they repeat.
    #[must_use]
    pub fn period(&self) -> usize {
        self.names.len() * self.users.len()
    }
}

/// 10 to 40 bytes, each unique.
fn name(random: &mut fastrand::Rng, number: usize) -> String {
    let length = random.usize(3..=33);
    (0..length).map(|_| random.lowercase()).chain(format!("{number:07}").chars()).collect()
}
