use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Done, Failure};
use crate::text::path_text;

const NAME: &str = "flipper.toml";
/// In bytes, for a file with one setting.
const LARGEST: u64 = 64 * 1024;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    store: Option<String>,
}

pub(super) struct Config {
    pub(super) path: PathBuf,
    pub(super) store: String,
}

/// The nearest config file from the working directory upward, else the one in the XDG directory.
pub(super) fn find() -> Done<Option<Config>> {
    let here = env::current_dir().ok();
    let upward = here.iter().flat_map(|here| here.ancestors()).map(|folder| folder.join(NAME));
    let xdg = xdg("XDG_CONFIG_HOME", ".config").map(|folder| folder.join("flipper").join(NAME));
    for path in upward.chain(xdg) {
        if let Some(config) = read(&path)? {
            return Ok(Some(config));
        }
    }
    Ok(None)
}

fn read(path: &Path) -> Done<Option<Config>> {
    let refuse = |what: String| Failure::usage(format!("{}: {what}", path_text(path)));
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => return Err(refuse("is no file".to_owned())),
        Ok(found) if found.len() > LARGEST => return Err(refuse("is too large for a config file".to_owned())),
        Err(error) if is_absence(&error) => return Ok(None),
        _ => {}
    }
    let text = fs::read_to_string(path).map_err(|error| refuse(format!("cannot be read: {error}")))?;
    // The error's own text shows the line, which may hold a password.
    let content: Content = toml::from_str(&text).map_err(|error| {
        let before = &text[..error.span().map_or(0, |span| span.start).min(text.len())];
        let line = before.matches('\n').count() + 1;
        refuse(format!("line {line}: {}", error.message())).hint("it takes one setting: store = \"URL\"")
    })?;
    Ok(content.store.map(|store| Config { path: path.to_owned(), store }))
}

/// Also if a parent is not a directory, or is not readable.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::PermissionDenied)
}

/// An XDG directory: its variable if that is an absolute path, else a path below `HOME`.
pub(super) fn xdg(variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(under_home)))
}
