//! Chooses the store: the option, else the environment, else a config file, else the user's own file.

use std::env;
use std::ffi::OsStr;
use std::path::Path;

use flipper::json::Object;
use flipper::store::Identity;

use super::Location;
use super::config;
use crate::failure::{Done, Failure};
use crate::output::{FAINT, object, or_null, styled};
use crate::text::{path_text, plain};

const VARIABLE: &str = "FLIPPER_STORE";
const DEFAULT: &str = "default";

pub(crate) struct Choice {
    pub(crate) location: Location,
    /// `option`, `variable`, `config` or `default`.
    origin: &'static str,
    chosen_by: String,
}

impl Choice {
    /// `file`: a config file of the command that names a store.
    pub(crate) fn make(option: Option<&OsStr>, file: Option<(&str, &Path)>) -> Done<Self> {
        let (location, origin, chosen_by) = if let Some(url) = option {
            (Location::parse(url)?, "option", "the option --store".to_owned())
        } else if let Some(url) = env::var_os(VARIABLE).filter(|url| !url.is_empty()) {
            let location = Location::parse(&url).map_err(|failure| failure.hint_before(&format!("look at {VARIABLE}")));
            (location?, "variable", format!("the variable {VARIABLE}"))
        } else if let Some((store, path)) = file {
            of_file(store, path)?
        } else if let Some(found) = config::find()? {
            of_file(&found.store, &found.path)?
        } else if let Some(data) = config::xdg("XDG_DATA_HOME", ".local/share") {
            let path = data.join("flipper").join("flags.db");
            (Location::file(path), DEFAULT, "default, since nothing names one".to_owned())
        } else {
            return Err(Failure::usage("no store is named, and there is no HOME to keep flags in")
                .hint(format!("give --store URL, or set {VARIABLE} or HOME")));
        };
        Ok(Self { location, origin, chosen_by })
    }

    /// The first lines of `stores` and `doctor`.
    pub(crate) fn lines(&self, identity: Option<&Identity>) -> Vec<String> {
        let identity = identity.map(|identity| ("identity", plain(&identity.to_string()).into_owned()));
        let lines = [("store", self.location.shown_whole()), ("chosen by", self.chosen_by.clone())];
        lines.into_iter().chain(identity).map(|(what, text)| format!("{} {text}", label(what))).collect()
    }

    pub(crate) fn to_json(&self, identity: Option<&Identity>) -> Object {
        object([
            ("store", self.location.shown_whole().into()),
            ("origin", self.origin.into()),
            ("chosen_by", self.chosen_by.as_str().into()),
            ("identity", or_null(identity.map(Identity::place))),
        ])
    }

    pub(crate) fn is_default(&self) -> bool {
        self.origin == DEFAULT
    }
}

fn of_file(store: &str, file: &Path) -> Done<(Location, &'static str, String)> {
    let (shown, folder) = (path_text(file), file.parent().unwrap_or(Path::new("")));
    let location = Location::relative_to(store.as_ref(), folder);
    let location = location.map_err(|failure| failure.hint_before(&format!("look at {shown}")))?;
    Ok((location, "config", shown))
}

/// The first column of these lines.
pub(crate) fn label(what: &str) -> String {
    styled(FAINT, format_args!("{what:<9} "))
}
