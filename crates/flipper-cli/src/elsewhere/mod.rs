//! Flags of other tools, as far as our rules can say them. What they cannot is listed, and no flag is on for more callers than there.

mod again;
mod cond;
mod document;
mod either;
mod first;
mod flagd;
mod goff;
mod launchdarkly;
mod launchdarkly_clause;
mod links;
mod logic;
mod pattern;
mod query;
mod ruby;
mod unleash;
mod unleash_constraint;
mod unleash_export;
mod values;

use std::collections::HashSet;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use clap::ValueEnum;
use flipper::FlagRecord;
use flipper::bucketing::Bucketer;
use flipper::json::{Json, Object};
use flipper::targeting::{Serve, When, segment_of, stored_name};

use crate::failure::{Done, Failure};
use crate::follow::State;
use crate::output::object;
use crate::records::Records;
use crate::store::Store;
use crate::text::{count, quoted};

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tool {
    // Unleash: what its client API serves, or its export
    Unleash,
    // LaunchDarkly: flag data of an SDK, or a file for its file data source
    Launchdarkly,
    // flagd: flag definitions in JSON
    Flagd,
    // GO Feature Flag: YAML, JSON or TOML
    Goff,
    // Flipper in Ruby: its export
    FlipperRuby,
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unleash => "Unleash",
            Self::Launchdarkly => "LaunchDarkly",
            Self::Flagd => "flagd",
            Self::Goff => "GO Feature Flag",
            Self::FlipperRuby => "Flipper in Ruby",
        })
    }
}

/// A part of a flag that our rules cannot say.
#[derive(Clone, Debug, PartialEq)]
struct Unsaid {
    what: String,
    why: String,
}

type Said<T> = Result<T, Unsaid>;

fn unsaid<T>(what: impl Into<String>, why: impl Into<String>) -> Said<T> {
    Err(Unsaid { what: what.into(), why: why.into() })
}

/// What a file has.
#[derive(Default)]
struct Found {
    flags: Vec<(String, Said<FlagRecord>)>,
    segments: Vec<(String, Said<When>)>,
    /// A flag, and who of its callers finds it off that there did not.
    notes: Vec<(String, String)>,
}

/// What of the file can be imported.
pub(crate) struct Elsewhere {
    records: Vec<FlagRecord>,
    left_out: Vec<LeftOut>,
    notes: Vec<(String, String)>,
    chooses: bool,
    tool: Tool,
}

struct LeftOut {
    flag: String,
    unsaid: Unsaid,
    is_off: bool,
}

/// Reads a file of this tool. `lossy`: a flag that cannot be said is off, instead of left out.
pub(crate) fn read(path: &Path, tool: Tool, environment: Option<&str>, lossy: bool) -> Done<Elsewhere> {
    let refuse = |what: String| {
        Failure::usage(format!("{}: {what}", document::shown(path)))
            .hint(format!("a file of {tool} was expected; nothing was imported"))
    };
    let text = document::text(path).map_err(refuse)?;
    let found = find(&text, document::Format::of(path, &text, tool), tool, environment, document::time(path));
    let (records, elsewhere) = found.map_err(refuse)?.end(tool, lossy, document::time(path));
    Ok(Elsewhere { records, ..elsewhere })
}

fn find(
    text: &str,
    format: document::Format,
    tool: Tool,
    environment: Option<&str>,
    now: i64,
) -> Result<Found, String> {
    let json = document::parse(text, format)?;
    let one_environment = |found: Result<Found, String>| match environment {
        Some(_) => Err("it has one environment, and --environment chooses one of several".to_owned()),
        None => found,
    };
    match tool {
        Tool::Unleash => unleash_export::read(&json, environment, now),
        Tool::Launchdarkly => one_environment(launchdarkly::read(&json, now)),
        Tool::Flagd => one_environment(flagd::read(&json, now)),
        Tool::Goff => one_environment(goff::read(&json, now)),
        Tool::FlipperRuby => one_environment(ruby::read(&json, now)),
    }
}

fn held(records: &[FlagRecord]) -> Records {
    let states: Vec<(&str, State)> =
        records.iter().map(|record| (record.name(), Ok(Arc::new(record.clone())))).collect();
    Records::of_held(states.iter().map(|(name, state)| (*name, state)))
}

impl Found {
    /// Leaves out what cannot be imported, and what depends on it.
    fn end(mut self, tool: Tool, lossy: bool, now: i64) -> (Vec<FlagRecord>, Elsewhere) {
        let segments: Vec<_> = self.segments.drain(..).map(|(name, when)| segment(&name, when, now)).collect();
        let mut left_out = Vec::new();
        let mut records: Vec<FlagRecord> = Vec::new();
        let mut names = HashSet::new();
        let all = segments.into_iter().chain(self.flags.drain(..)).map(checked).collect();
        for (name, record) in links::resolve(all) {
            if !names.insert(name.clone()) {
                let unsaid = Unsaid { what: "its name".to_owned(), why: "the file has it twice".to_owned() };
                left_out.push(LeftOut { flag: name, unsaid, is_off: false });
                continue;
            }
            match record {
                Ok(record) => records.push(record),
                Err(unsaid) => {
                    let off = FlagRecord::new(&*name, now);
                    let is_off = lossy && name_is_new(&name);
                    records.extend(Some(off).filter(|_| is_off));
                    left_out.push(LeftOut { flag: name, unsaid, is_off });
                }
            }
        }
        self.notes.retain(|(name, _)| !left_out.iter().any(|left| left.flag == *name));
        let chooses = records.iter().any(chooses);
        let elsewhere = Elsewhere { records: Vec::new(), left_out, notes: self.notes, chooses, tool };
        (records, elsewhere)
    }
}

fn segment(name: &str, when: Said<When>, now: i64) -> (String, Said<FlagRecord>) {
    let stored = stored_name(name);
    let record = when.map(|when| {
        let mut record = FlagRecord::new(&*stored, now);
        record.set_segment(Some(when));
        record
    });
    (stored, record)
}

/// Whether a new flag may have the name.
fn name_is_new(name: &str) -> bool {
    !name.is_empty() && name.len() <= 255 && !name.chars().any(|letter| letter == '/' || letter.is_control())
}

fn checked((name, record): (String, Said<FlagRecord>)) -> (String, Said<FlagRecord>) {
    let record = record.and_then(|record| {
        // A segment's name begins with a prefix that no flag's name has.
        let own = record.segment().and_then(|_| segment_of(&name)).unwrap_or(&name);
        if !name_is_new(own) {
            return unsaid("its name", "a name is 1 to 255 bytes long, without `/` and control characters");
        }
        record
            .validate()
            .map_err(|error| Unsaid { what: "its parts".to_owned(), why: crate::failure::message_of(&error) })?;
        Ok(record)
    });
    (name, record)
}

/// Whether it depends on a hash or on chance who gets what.
fn chooses(record: &FlagRecord) -> bool {
    let shares = record.rules().iter().any(|rule| matches!(rule.serve, Serve::Share { .. }));
    let several = |variants: &flipper::targeting::Variants| {
        variants.values.iter().filter(|variant| variant.weight > 0).count() > 1
    };
    shares || record.variants().is_some_and(several) || !matches!(record.bucketer(), Bucketer::NoOp)
}

impl Elsewhere {
    /// The flags as this store should have them.
    pub(crate) async fn records_for(&mut self, store: &Store) -> Done<Records> {
        again::adopt(&mut self.records, store).await?;
        Ok(held(&std::mem::take(&mut self.records)))
    }

    /// What is not as it was, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines: Vec<_> = self.left_out.iter().map(LeftOut::line).collect();
        lines.extend(self.notes.iter().map(|(name, note)| format!("{}: {note}", quoted(name))));
        if self.chooses {
            lines
                .push(format!("shares stay shares, but other callers are chosen: {} hashes in another way", self.tool));
        }
        if !self.left_out.is_empty() {
            let segments = self.left_out.iter().filter(|left| segment_of(&left.flag).is_some()).count();
            let parts = [(self.left_out.len() - segments, "flag"), (segments, "segment")];
            let what: Vec<_> =
                parts.iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(*number, what)).collect();
            let was = if self.left_out.len() == 1 { "was" } else { "were" };
            lines.push(format!("{} of the file {was} not imported as there", what.join(" and ")));
        }
        lines
    }

    /// Whether the file has this flag or segment, which could not be imported.
    pub(crate) fn left_out(&self, stored: &str) -> bool {
        self.left_out.iter().any(|left| left.flag == stored)
    }

    pub(crate) fn write_json(&self, into: &mut Object) {
        into.insert("from", self.tool.to_string());
        let left_out = self.left_out.iter().map(|left| {
            Json::from(object([
                ("name", left.flag.as_str().into()),
                ("what", left.unsaid.what.as_str().into()),
                ("why", left.unsaid.why.as_str().into()),
                ("imported_as_off", left.is_off.into()),
            ]))
        });
        into.insert("left_out", Json::Array(left_out.collect()));
        let note = |(name, note): &(String, String)| {
            Json::from(object([("name", name.as_str().into()), ("note", note.as_str().into())]))
        };
        into.insert("notes", Json::Array(self.notes.iter().map(note).collect()));
        into.insert("other_callers_chosen", self.chooses);
    }
}

impl LeftOut {
    fn line(&self) -> String {
        let how = if self.is_off { "imported as off" } else { "left out" };
        format!("{how}: {}: {}: {}", quoted(&self.flag), self.unsaid.what, self.unsaid.why)
    }
}

#[cfg(test)]
mod tests;
