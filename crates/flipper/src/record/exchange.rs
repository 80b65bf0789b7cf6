//! The text of many flags, which the command and the HTTP server export and import: an array of stored records, or one after the other.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use super::FlagRecord;
pub use super::scan::Place;
use super::scan::items;
use crate::Error;
use crate::json::Json;

/// The names and places of the flags, in the order of the text.
///
/// `shown` writes a name; `message` writes an error without its flag.
///
/// # Errors
///
/// All that is wrong, each with line and column.
pub fn read(
    text: &str,
    shown: impl Fn(&str) -> String,
    message: impl Fn(&Error) -> String,
) -> Result<Vec<(String, Range<usize>)>, Vec<String>> {
    let ranges = items(text).map_err(|wrong| vec![wrong.at(text)])?;
    let mut flags = Vec::with_capacity(ranges.len());
    let mut lines: HashMap<String, usize> = HashMap::with_capacity(ranges.len());
    let mut problems = Vec::new();
    let mut place = Place::default();
    for range in ranges {
        let (line, column) = place.of(text, range.start);
        let name = match parse(&text[range.clone()], line, column, &message) {
            Ok(record) => record.name().to_owned(),
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        if let Some(first) = lines.insert(name.clone(), line) {
            let name = shown(&name);
            problems.push(format!("flag {name} occurs twice, in line {first} and in line {line} column {column}"));
            continue;
        }
        flags.push((name, range));
    }
    if problems.is_empty() { Ok(flags) } else { Err(problems) }
}

fn parse(text: &str, line: usize, column: usize, message: impl Fn(&Error) -> String) -> Result<FlagRecord, String> {
    let record = FlagRecord::from_json(text).map_err(|error| {
        // Padded so that the error's line and column are those in the whole text.
        let padded = format!("{}{}{text}", "\n".repeat(line - 1), " ".repeat(column - 1));
        match Json::parse(&padded) {
            Err(error) => message(&error),
            Ok(_) => format!("no flag at line {line} column {column}: {}", message(&error)),
        }
    })?;
    // An export must be importable, and may hold names and sizes that we would not create.
    if let Err(error) = record.validate()
        && FlagRecord::from_json(record.to_json()).is_err()
    {
        return Err(format!("flag at line {line} column {column}: {}", message(&error)));
    }
    Ok(record)
}

/// The flag under this name. The store's key is its name, whatever the record says.
#[must_use]
pub fn named<'a>(record: &'a FlagRecord, name: &str) -> Cow<'a, FlagRecord> {
    if record.name() == name {
        return Cow::Borrowed(record);
    }
    let mut renamed = record.clone();
    renamed.set_name(name);
    Cow::Owned(renamed)
}
