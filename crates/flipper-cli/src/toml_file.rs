use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::failure::{Done, Failure};
use crate::text::path_text;

/// Bytes, for a file of settings.
const LARGEST: u64 = 64 * 1024;

/// Reads a file of settings; `None` if it is missing. An error in its content names the line, and has the hint.
pub(crate) fn read<T: DeserializeOwned>(path: &Path, hint: &str) -> Done<Option<T>> {
    let refuse = |what: String| Failure::usage(format!("{}: {what}", path_text(path)));
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(refuse("is no file".to_owned())),
        Ok(found) if found.len() > LARGEST => return Err(refuse("is too large for a config file".to_owned())),
        Err(error) if is_absence(&error) => return Ok(None),
        _ => {}
    }
    let text = fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    // The error's own text shows the line, which may hold a password.
    let content = toml::from_str(&text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        refuse(format!("line {line}: {}", error.message())).hint(hint)
    })?;
    Ok(Some(content))
}

/// Also if a parent is not a directory, or is not readable.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}
