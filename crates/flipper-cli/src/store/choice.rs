//! Which store: the option, else the environment, else a config file, else a file of one's own.

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use flipper::json::{Json, Object};
use flipper::store::Identity;

use super::Location;
use super::config;
use crate::failure::{Done, Failure};
use crate::output::{FAINT, styled};
use crate::text::{path_text, plain};

const VARIABLE: &str = "FLIPPER_STORE";

/// Who said which store to use.
pub(crate) enum Origin {
    Option,
    Variable,
    Config(PathBuf),
    Default,
}

impl Origin {
    /// For people.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Option => "the option --store".to_owned(),
            Self::Variable => format!("the variable {VARIABLE}"),
            Self::Config(path) => path_text(path),
            Self::Default => "default, since nothing names one".to_owned(),
        }
    }

    /// For scripts.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Option => "option",
            Self::Variable => "variable",
            Self::Config(_) => "config",
            Self::Default => "default",
        }
    }
}

/// A store, and who chose it.
pub(crate) struct Choice {
    pub(crate) location: Location,
    pub(crate) origin: Origin,
}

impl Choice {
    pub(crate) fn make(option: Option<&OsStr>) -> Done<Self> {
        if let Some(url) = option {
            return Ok(Self { location: Location::parse(url)?, origin: Origin::Option });
        }
        if let Some(url) = env::var_os(VARIABLE).filter(|url| !url.is_empty()) {
            let location =
                Location::parse(&url).map_err(|failure| failure.hint_before(&format!("look at {VARIABLE}")))?;
            return Ok(Self { location, origin: Origin::Variable });
        }
        if let Some(found) = config::find()? {
            let folder = found.path.parent().map(PathBuf::from).unwrap_or_default();
            let location = Location::relative_to(found.store.as_ref(), &folder)
                .map_err(|failure| failure.hint_before(&format!("look at {}", path_text(&found.path))))?;
            return Ok(Self { location, origin: Origin::Config(found.path) });
        }
        let Some(data) = config::xdg("XDG_DATA_HOME", ".local/share") else {
            return Err(Failure::usage("no store is named, and there is no HOME to keep flags in")
                .hint(format!("give --store URL, or set {VARIABLE} or HOME")));
        };
        let path = data.join("flipper").join("flags.db");
        Ok(Self { location: Location::file(path), origin: Origin::Default })
    }

    /// How `stores` and `doctor` begin: which store, who chose it, and whose flags are there, where that is known.
    pub(crate) fn lines(&self, identity: Option<&Identity>) -> Vec<String> {
        let identity = identity.map(|identity| ("identity", plain(&identity.to_string()).into_owned()));
        let lines = [("store", self.location.shown.clone()), ("chosen by", self.origin.text())];
        lines.into_iter().chain(identity).map(|(what, text)| format!("{} {text}", label(what))).collect()
    }

    /// The same for scripts.
    pub(crate) fn to_json(&self, identity: Option<&Identity>) -> Object {
        let mut object = Object::new();
        object.insert("store", self.location.shown.as_str());
        object.insert("origin", self.origin.name());
        object.insert("chosen_by", self.origin.text());
        object.insert("identity", identity.map_or(Json::Null, |identity| identity.place().into()));
        object
    }

    pub(crate) fn is_default(&self) -> bool {
        matches!(self.origin, Origin::Default)
    }
}

/// What stands at the beginning of a line of [`Choice::lines`], and of those that follow.
pub(crate) fn label(what: &str) -> String {
    styled(FAINT, format_args!("{what:<9} "))
}
