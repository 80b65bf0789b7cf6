//! Small files in the documented shapes of each tool: the rules as text, and what is listed.

use super::document::Format;
use super::*;

mod engines;
mod flagd;
mod goff;
mod launchdarkly;
mod parts;
mod random;
mod random_launchdarkly;
mod random_ruby;
mod ruby;
mod unleash;

struct Read {
    records: Vec<FlagRecord>,
    elsewhere: Elsewhere,
}

#[track_caller]
fn read_as(tool: Tool, text: &str, format: Format, environment: Option<&str>) -> Read {
    let found = find(text, format, tool, environment, 1_795_000_000).unwrap_or_else(|error| panic!("{error}"));
    let (records, elsewhere) = found.end(tool, false, 1_795_000_000);
    Read { records, elsewhere }
}

#[track_caller]
fn json(tool: Tool, text: &str) -> Read {
    read_as(tool, text, Format::Json, None)
}

impl Read {
    #[track_caller]
    fn record(&self, name: &str) -> &FlagRecord {
        let found = self.records.iter().find(|record| record.name() == name);
        found.unwrap_or_else(|| panic!("{name} was left out: {:?}", self.elsewhere.lines()))
    }

    /// All that decides, a line each.
    #[track_caller]
    fn shown(&self, name: &str) -> Vec<String> {
        let record = self.record(name);
        let mut lines = Vec::new();
        if !record.is_enabled() && record.segment().is_none() {
            lines.push("disabled".to_owned());
        }
        lines.extend(record.segment().map(|when| format!("segment: {when}")));
        lines.extend(record.prerequisites().iter().map(|each| format!("needs {each}")));
        lines.extend(record.schedule().map(|schedule| format!("schedule: {schedule}")));
        lines.extend(record.rules().iter().map(|rule| match &rule.name {
            Some(name) => format!("{name}: {rule}"),
            None => rule.to_string(),
        }));
        lines.extend(record.variants().map(|variants| format!("variants: {variants}")));
        if let Bucketer::Percentage(bucketer) = record.bucketer() {
            lines.push(format!("at random: {}", bucketer.percentage()));
        }
        lines
    }

    /// `FLAG: WHAT: WHY`
    fn left_out(&self) -> Vec<String> {
        let line = |left: &LeftOut| format!("{}: {}: {}", left.flag, left.unsaid.what, left.unsaid.why);
        self.elsewhere.left_out.iter().map(line).collect()
    }

    fn notes(&self) -> Vec<String> {
        self.elsewhere.notes.iter().map(|(name, note)| format!("{name}: {note}")).collect()
    }
}
