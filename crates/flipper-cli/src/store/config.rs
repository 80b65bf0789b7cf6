use std::env;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Done;
use crate::toml_file;

const NAME: &str = "flipper.toml";

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
    let content: Option<Content> = toml_file::read(path, "it takes one setting: store = \"URL\"")?;
    Ok(content.and_then(|content| content.store).map(|store| Config { path: path.to_owned(), store }))
}

/// An XDG directory: its variable if that is an absolute path, else a path below `HOME`.
pub(crate) fn xdg(variable: &str, under_home: &str) -> Option<PathBuf> {
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(variable).or_else(|| Some(absolute("HOME")?.join(under_home)))
}
