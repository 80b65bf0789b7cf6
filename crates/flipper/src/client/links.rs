//! Flags that depend on others: refused where they would turn in a circle, and answered through a store.

use std::collections::HashMap;
use std::sync::Arc;

use super::FeatureFlagClient;
use crate::error::{Error, Result};
use crate::evaluation::{DEEPEST, MOST};
use crate::record::FlagRecord;
use crate::state::Stored;
use crate::table::FlagTable;
use crate::targeting::segment_of;

/// A flag whose links are being followed.
struct Open {
    name: String,
    links: std::vec::IntoIter<String>,
    /// Of what was followed from it.
    cost: Cost,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    /// How many flags a check enters, this one not among them.
    entered: u32,
    /// How deep.
    depth: usize,
}

impl<M: Clone + Send + Sync + 'static> FeatureFlagClient<M> {
    /// Refuses a change after which the flag would need one that is missing, or itself, or too many.
    #[doc(hidden)]
    pub async fn check_links(&self, record: &FlagRecord, before: Option<&FlagRecord>) -> Result<()> {
        let Some(targeting) = record.targeting().filter(|targeting| targeting.has_links()) else { return Ok(()) };
        if before.is_some_and(|before| before.targeting() == record.targeting()) {
            return Ok(());
        }
        let known = before.and_then(FlagRecord::targeting).map(|before| before.links()).unwrap_or_default();
        let needed = before.map(FlagRecord::prerequisites).unwrap_or_default();
        for link in targeting.links() {
            let wanted = record.prerequisites().iter().find(|prerequisite| prerequisite.flag == link);
            let is_known = known.contains(&link) && wanted.is_none_or(|wanted| needed.contains(wanted));
            if !is_known && link != record.name() {
                self.must_exist(&link, wanted.and_then(|wanted| wanted.variant.as_deref())).await?;
            }
        }
        self.must_end(record).await
    }

    async fn must_exist(&self, link: &str, variant: Option<&str>) -> Result<()> {
        let has = |found: &FlagRecord, name: &str| found.variants().is_some_and(|all| all.get(name).is_some());
        if self.linked(link).await?.is_some_and(|found| variant.is_none_or(|name| has(&found, name))) {
            return Ok(());
        }
        // Memory may be behind another process.
        let Some(found) = self.core.store.get(link).await? else {
            return Err(invalid(match segment_of(link) {
                Some(segment) => format!("there is no segment {segment:?}"),
                None => format!("the prerequisite {link:?} is no flag that exists"),
            }));
        };
        match (found.record, variant) {
            (Err(corrupt), _) => Err(invalid(format!("{link:?} is needed, and cannot be read: {}", corrupt.reason()))),
            (Ok(found), Some(name)) if !has(&found, name) => {
                Err(invalid(format!("the prerequisite {link:?} has no variant {name:?}")))
            }
            (Ok(_), _) => Ok(()),
        }
    }

    /// Logs that a record which was written as it is turns in a circle, or needs too many.
    pub(super) async fn warn_of_links(&self, record: &FlagRecord) {
        let has_links = record.targeting().is_some_and(|targeting| targeting.has_links());
        if has_links
            && self.core.table.is_some()
            && let Err(error) = self.must_end(record).await
        {
            match segment_of(record.name()) {
                Some(segment) => {
                    tracing::warn!(segment, %error, "the segment was written as it is, and holds for no caller");
                }
                None => tracing::warn!(flag = record.name(), %error, "the flag was written as it is, and is off"),
            }
        }
    }

    /// Follows all links, each flag once.
    pub(super) async fn must_end(&self, record: &FlagRecord) -> Result<()> {
        let mut costs: HashMap<String, Cost> = HashMap::new();
        let open = |name: &str, record: &FlagRecord| Open {
            name: name.to_owned(),
            links: record.targeting().map(|targeting| targeting.links()).unwrap_or_default().into_iter(),
            cost: Cost::default(),
        };
        let mut path = vec![open(record.name(), record)];
        while let Some(last) = path.last_mut() {
            let Some(link) = last.links.next() else {
                // Its cost counts for the flag that needs it.
                let done = path.pop().unwrap_or_else(|| open("", record));
                costs.insert(done.name, done.cost);
                if let Some(outer) = path.last_mut() {
                    outer.cost.add(done.cost);
                    check(outer.cost)?;
                }
                continue;
            };
            if let Some(cost) = costs.get(&link) {
                last.cost.add(*cost);
                check(last.cost)?;
                continue;
            }
            if let Some(start) = path.iter().position(|open| open.name == link) {
                let mut circle: Vec<_> = path[start..].iter().map(|open| open.name.as_str()).collect();
                circle.push(&link);
                return Err(invalid(format!("the flags would need each other in a circle: {}", circle.join(" → "))));
            }
            if path.len() > DEEPEST {
                return Err(too_many());
            }
            match self.linked(&link).await? {
                Some(record) => path.push(open(&link, &record)),
                None => {
                    costs.insert(link, Cost::default());
                }
            }
        }
        Ok(())
    }

    async fn linked(&self, name: &str) -> Result<Option<Arc<FlagRecord>>> {
        let stored = match &self.core.table {
            Some(table) => table.get(name),
            None => self.core.store.get_cached(name).await?,
        };
        Ok(stored.and_then(|stored| stored.record.ok()))
    }
}

impl<M> FeatureFlagClient<M> {
    /// A table with this flag and all that its answer depends on, read from the store.
    pub(super) async fn with_links(&self, flag: Stored) -> Result<FlagTable> {
        let table = FlagTable::new();
        if self.core.strict {
            table.read_strictly();
        }
        let links = |flag: &Stored| match &flag.record {
            Ok(record) => record.targeting().map(|targeting| targeting.links()).unwrap_or_default(),
            Err(_) => Vec::new(),
        };
        let mut wanted = links(&flag);
        let mut left = MOST;
        table.apply(flag);
        while let Some(name) = wanted.pop() {
            if table.get(&name).is_some() || left == 0 {
                continue;
            }
            left -= 1;
            if let Some(flag) = self.core.store.get_cached(&name).await? {
                wanted.extend(links(&flag));
                table.apply(flag);
            }
        }
        Ok(table)
    }
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.entered = self.entered.saturating_add(other.entered).saturating_add(1);
        self.depth = self.depth.max(other.depth + 1);
    }
}

fn check(cost: Cost) -> Result<()> {
    if cost.entered > MOST || cost.depth > DEEPEST { Err(too_many()) } else { Ok(()) }
}

fn too_many() -> Error {
    invalid(format!("the flags would need each other more than {DEEPEST} deep, or a check more than {MOST} of them"))
}

fn invalid(message: String) -> Error {
    Error::invalid_input(message)
}
