//! The file: its text, its format and its size.

use std::path::Path;
use std::time::UNIX_EPOCH;

use flipper::json::{Json, Object};

use super::Tool;
use crate::failure::message_of;
use crate::records;
use crate::text::{now, path_text};

/// In bytes. Exports with thousands of flags have some megabytes.
const LARGEST: usize = 64 << 20;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Yaml,
    Toml,
}

impl Format {
    /// GO Feature Flag has three: the ending of the name decides, or else the first letter.
    pub(super) fn of(path: &Path, text: &str, tool: Tool) -> Self {
        let ending = path.extension().map(|ending| ending.to_ascii_lowercase());
        match ending.as_ref().and_then(|ending| ending.to_str()) {
            _ if tool != Tool::Goff => Self::Json,
            Some("toml") => Self::Toml,
            Some("yaml" | "yml") => Self::Yaml,
            Some("json") => Self::Json,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Yaml,
        }
    }
}

pub(super) fn shown(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path_text(path) }
}

pub(super) fn text(path: &Path) -> Result<String, String> {
    let text = records::read(path)?;
    if text.len() > LARGEST { Err("is larger than 64 MiB".to_owned()) } else { Ok(text) }
}

/// When the file was written, so that the same file makes the same flags each time.
pub(super) fn time(path: &Path) -> i64 {
    let written =
        std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).and_then(|found| found.modified().ok());
    let seconds = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs());
    seconds.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or_else(now)
}

/// An error has line and column.
pub(super) fn parse(text: &str, format: Format) -> Result<Json, String> {
    match format {
        Format::Json => Json::parse_strict(text).map_err(|error| message_of(&error)),
        Format::Yaml => {
            let options = serde_saphyr::options! { with_snippet: false, strict_booleans: true };
            let json: Json = serde_saphyr::from_str_with_options(text, options)
                .map_err(|error| format!("not YAML of flags: {error}"))?;
            Ok(json)
        }
        Format::Toml => {
            let json: Json = toml::from_str(text).map_err(|error| {
                let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
                format!("not TOML: {} at line {line} column {column}", error.message())
            })?;
            Ok(without_dates(json))
        }
    }
}

/// A date of TOML is an object of one field for serde; here it is text, as in the other formats.
fn without_dates(json: Json) -> Json {
    match json {
        Json::Array(items) => Json::Array(items.into_iter().map(without_dates).collect()),
        Json::Object(fields) => match fields.get("$__toml_private_datetime") {
            Some(date) => date.clone(),
            None => {
                let fields = fields.iter().map(|(key, value)| (key, without_dates(value.clone())));
                Json::Object(fields.collect::<Object>())
            }
        },
        other => other,
    }
}
