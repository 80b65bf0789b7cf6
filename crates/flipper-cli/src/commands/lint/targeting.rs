//! What is wrong with rules, prerequisites and schedules. A store refuses most of it; another program, an import or a deletion can bring it
//! about.

use std::collections::HashMap;

use flipper::__words::{last_rule, links, needs_of};
use flipper::FlagRecord;
use flipper::store::Stored;
use flipper::targeting::stored_name;

use crate::args::Rule;
use crate::text::{count, date, now, plain};

/// Circles that are longer are no flags that people made.
const LONGEST_CIRCLE: usize = 64;

/// All flags and segments, by their stored names.
pub(super) struct Known<'a>(HashMap<&'a str, &'a FlagRecord>);

impl<'a> Known<'a> {
    pub(super) fn of(all: &'a [Stored]) -> Self {
        Self(all.iter().filter_map(|flag| Some((flag.name.as_str(), flag.record.as_deref().ok()?))).collect())
    }

    pub(super) fn look(&self, rule: Rule, name: &str, record: &FlagRecord) -> Vec<String> {
        match rule {
            Rule::Missing => self.missing(record),
            Rule::Circle => self.circle(name).into_iter().collect(),
            Rule::Variant => self.variants(record),
            Rule::Unreachable => unreachable(record).into_iter().collect(),
            Rule::Schedule => over(record).into_iter().collect(),
            Rule::Owner | Rule::Expiry | Rule::LongOn | Rule::Name | Rule::Ofrep => Vec::new(),
        }
    }

    fn missing(&self, record: &FlagRecord) -> Vec<String> {
        let (flags, segments) = links(record);
        let flags = flags.into_iter().filter(|each| !self.0.contains_key(each.flag.as_str()));
        let flags = flags.map(|each| format!("it needs {}, which is no flag that can be read", plain(&each.flag)));
        let segments = segments.iter().filter(|segment| !self.0.contains_key(stored_name(segment).as_str()));
        let segments = segments.map(|segment| format!("it names the segment {}, which is missing", plain(segment)));
        flags.chain(segments).collect()
    }

    fn variants(&self, record: &FlagRecord) -> Vec<String> {
        let wrong = |each: &&flipper::targeting::Prerequisite| {
            let (Some(variant), Some(other)) = (&each.variant, self.0.get(each.flag.as_str())) else { return false };
            other.variants().is_none_or(|variants| variants.get(variant).is_none())
        };
        let all = record.prerequisites().iter().filter(wrong);
        all.map(|each| format!("it needs {}, which has no such variant", plain(&each.to_string()))).collect()
    }

    /// A way from the flag back to it.
    fn circle(&self, name: &str) -> Option<String> {
        let next = |name: &str| self.0.get(name).map(|record| needs_of(record)).unwrap_or_default();
        let mut came_from: HashMap<String, String> = HashMap::new();
        let mut wanted = vec![name.to_owned()];
        while let Some(from) = wanted.pop() {
            for to in next(&from) {
                if to == name {
                    let mut way = vec![name.to_owned(), from.clone()];
                    while let Some(before) = came_from.get(&way[way.len() - 1]) {
                        way.push(before.clone());
                    }
                    way.dedup();
                    way.reverse();
                    way.truncate(LONGEST_CIRCLE);
                    if way.len() == 1 {
                        way.push(name.to_owned());
                    }
                    let way: Vec<_> = way.iter().map(|name| plain(name)).collect();
                    return Some(format!("flags need each other in a circle: {}", way.join(" → ")));
                }
                if !came_from.contains_key(&to) {
                    came_from.insert(to.clone(), from.clone());
                    wanted.push(to);
                }
            }
        }
        None
    }
}

fn unreachable(record: &FlagRecord) -> Option<String> {
    let last = last_rule(record)?;
    let after = record.rules().len() - last - 1;
    let are = if after == 1 { "is" } else { "are" };
    (after > 0).then(|| format!("rule {last} is for everybody, so {} after it {are} never asked", count(after, "rule")))
}

/// A schedule that does nothing any more.
fn over(record: &FlagRecord) -> Option<String> {
    let schedule = record.schedule().filter(|schedule| schedule.next_turn(now()).is_none())?;
    let last =
        schedule.enable_at.into_iter().chain(schedule.disable_at).chain(schedule.steps.iter().map(|step| step.at));
    Some(format!("its schedule is over since {}", date(last.max()?)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flipper::store::Version;
    use flipper::targeting::{Prerequisite, Schedule, Serve, Variant, Variants};

    use super::*;

    fn stored(name: &str, change: impl FnOnce(&mut FlagRecord)) -> Stored {
        let mut record = FlagRecord::new(name, 1);
        change(&mut record);
        Stored { name: name.into(), version: Version::ordered(1), record: Ok(Arc::new(record)) }
    }

    fn needs(names: &[&str]) -> impl FnOnce(&mut FlagRecord) {
        let all = names.iter().map(|name| match name.split_once('=') {
            Some((name, variant)) => Prerequisite::new(name).with_variant(variant),
            None => Prerequisite::new(*name),
        });
        let all = all.collect();
        |record| record.set_prerequisites(all)
    }

    fn found(all: &[Stored], rule: Rule, name: &str) -> Vec<String> {
        let known = Known::of(all);
        let flag = all.iter().find(|flag| flag.name == name).unwrap();
        known.look(rule, name, flag.record.as_ref().unwrap())
    }

    #[test]
    fn links_lead_somewhere() {
        let rule = flipper::targeting::Rule::new(Serve::On)
            .when("in segment beta or in segment none".parse::<flipper::targeting::When>().unwrap());
        let all = [
            stored("A", needs(&["B", "C", "V=red", "V=grey"])),
            stored("B", |record| record.set_rules(vec![rule])),
            stored("V", |record| record.set_variants(Some(Variants::new("id").with(Variant::new("red", 100.0))))),
            stored("segments/beta", |record| record.set_segment(Some("a = 1".parse().unwrap()))),
        ];
        assert_eq!(found(&all, Rule::Missing, "A"), ["it needs C, which is no flag that can be read"]);
        assert_eq!(found(&all, Rule::Missing, "B"), ["it names the segment none, which is missing"]);
        assert_eq!(found(&all, Rule::Variant, "A"), ["it needs V = grey, which has no such variant"]);
        assert_eq!(found(&all, Rule::Circle, "A"), [] as [&str; 0]);
    }

    #[test]
    fn circles() {
        let all = [
            stored("A", needs(&["B"])),
            stored("B", needs(&["C"])),
            stored("C", needs(&["A"])),
            stored("D", needs(&["D", "A"])),
        ];
        let circle = |name: &str| found(&all, Rule::Circle, name);
        assert_eq!(circle("A"), ["flags need each other in a circle: A → B → C → A"]);
        assert_eq!(circle("C"), ["flags need each other in a circle: C → A → B → C"]);
        assert_eq!(circle("D"), ["flags need each other in a circle: D → D"]);
    }

    #[test]
    fn rules_and_schedules_without_effect() {
        let rules = |last: usize| {
            let mut all = vec![
                flipper::targeting::Rule::new(Serve::On)
                    .when("a = 1".parse::<flipper::targeting::When>().unwrap());
                3
            ];
            all[last].when = None;
            all
        };
        let schedule =
            |disable_at| Schedule { enable_at: Some(5), disable_at: Some(disable_at), ..Schedule::default() };
        let all = [
            stored("A", |record| record.set_rules(rules(0))),
            stored("B", |record| record.set_rules(rules(2))),
            stored("C", |record| record.set_schedule(Some(schedule(10)))),
            stored("D", |record| record.set_schedule(Some(schedule(now() + 1000)))),
        ];
        assert_eq!(
            found(&all, Rule::Unreachable, "A"),
            ["rule 0 is for everybody, so 2 rules after it are never asked"]
        );
        assert_eq!(found(&all, Rule::Unreachable, "B"), [] as [&str; 0]);
        assert_eq!(found(&all, Rule::Schedule, "C"), ["its schedule is over since 1970-01-01T00:00:10Z"]);
        assert_eq!(found(&all, Rule::Schedule, "D"), [] as [&str; 0]);
    }
}
