//! What can go wrong, the exit code it has, and what to do about it.

use std::fmt;
use std::io;

use flipper::json::Object;
use flipper::{Error, ErrorKind};

use crate::text::quoted;

/// What a command comes to.
pub(crate) type Done<T = ()> = Result<T, Failure>;

/// The exit codes, as `flipper --help` tells them. The greater is the worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// What reads our output has gone: nobody is there to be told.
    Unheard = 0,
    /// The flag is off, of `check`; there are problems, of `doctor`.
    Off = 1,
    /// The command cannot be done as it was given.
    Usage = 2,
    /// There is no such flag.
    NoSuchFlag = 3,
    /// The store cannot be used, or holds something else than it should.
    Store = 4,
    /// Ctrl-C.
    Interrupted = 130,
    /// SIGTERM.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    Terminated = 143,
}

/// An error for a person, and for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// For scripts: a code of [`ErrorKind`], or one of our own.
    kind: &'static str,
    message: String,
    /// Lines to show below, such as an expression with a caret.
    details: Option<String>,
    /// What to do next.
    hint: Option<String>,
    flag: Option<String>,
    /// What comes next would fail in the same way.
    ends_all: bool,
}

impl Failure {
    fn new(code: Code, kind: &'static str, message: impl Into<String>) -> Self {
        Self { code, kind, message: message.into(), details: None, hint: None, flag: None, ends_all: false }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Code::Usage, "usage", message)
    }

    pub(crate) fn store(message: impl Into<String>) -> Self {
        Self::new(Code::Store, "store", message)
    }

    /// Somebody wanted an end.
    pub(crate) fn interrupted(code: Code) -> Self {
        Self::new(code, "interrupted", "interrupted")
    }

    pub(crate) fn no_such_flag(name: &str, store: &str) -> Self {
        let message = format!("no flag {} in {store}", quoted(name));
        Self { flag: Some(name.to_owned()), ..Self::new(Code::NoSuchFlag, ErrorKind::FlagNotFound.code(), message) }
    }

    pub(crate) fn exists(name: &str, store: &str) -> Self {
        let message = format!("flag {} exists already in {store}", quoted(name));
        Self { flag: Some(name.to_owned()), ..Self::new(Code::Usage, ErrorKind::FlagExists.code(), message) }
    }

    /// All has been said; only the exit code is left.
    pub(crate) fn silent(code: Code) -> Self {
        Self::new(code, "", "")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Says where to look, before what to do there.
    pub(crate) fn hint_before(mut self, first: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{first}: {hint}"),
            None => first.to_owned(),
        });
        self
    }

    /// Adds to what to do next.
    pub(crate) fn hint_after(mut self, more: &str) -> Self {
        self.hint = Some(match self.hint {
            Some(hint) => format!("{hint}; {more}"),
            None => more.to_owned(),
        });
        self
    }

    /// Whatever comes next would fail in the same way: not even tried.
    pub(crate) fn ends_all(mut self) -> Self {
        self.ends_all = true;
        self
    }

    /// Whether whatever comes next would fail in the same way.
    pub(crate) fn does_end_all(&self) -> bool {
        self.ends_all
    }

    pub(crate) fn details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    pub(crate) fn code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// The library's error about a store, which is shown as this.
    pub(crate) fn of(error: &Error, store: &str) -> Self {
        let what = said(error);
        let flag = error.flag().map(quoted).unwrap_or_default();
        let kind = error.kind().code();
        let failure = match error.kind() {
            ErrorKind::FlagNotFound => return Self::no_such_flag(error.flag().unwrap_or_default(), store),
            ErrorKind::FlagExists => return Self::exists(error.flag().unwrap_or_default(), store),
            ErrorKind::InvalidName => Self::new(Code::Usage, kind, format!("{what}: {flag}"))
                .hint("a name is 1 to 255 bytes long, without `/` and control characters"),
            ErrorKind::InvalidInput if flag.is_empty() => Self::new(Code::Usage, kind, format!("{store}: {what}")),
            ErrorKind::InvalidInput => Self::new(Code::Usage, kind, format!("flag {flag}: {what}")),
            ErrorKind::Corrupt => {
                Self::new(Code::Store, kind, format!("flag {flag} in {store} cannot be read: {what}"))
                    .hint("`flipper destroy` removes it, and `flipper import --merge` replaces it")
            }
            ErrorKind::Conflict => Self::new(Code::Store, kind, format!("others keep changing flag {flag} in {store}"))
                .hint("nothing was changed; try again"),
            ErrorKind::Unauthorized => Self::new(Code::Store, kind, format!("{store} refused access: {what}"))
                .hint("look at the user and password in its URL, or at the permissions of the file"),
            ErrorKind::Unavailable => Self::new(Code::Store, kind, format!("{store} cannot be used: {what}"))
                .hint(look_at(store, &what))
                .ends_all(),
            ErrorKind::Unsupported => Self::new(Code::Store, kind, format!("{store}: {what}")),
            _ => Self::new(Code::Store, kind, format!("{store}: {what}")),
        };
        // Whichever call it was that the server refused for it.
        let failure = if is_starting(&what) { failure.hint(STARTING).ends_all() } else { failure };
        Self { flag: error.flag().map(str::to_owned), ..failure }
    }

    /// As one JSON object, for scripts that read standard error.
    pub(crate) fn to_json(&self) -> Object {
        let mut error = Object::new();
        error.insert("kind", self.kind);
        error.insert("code", self.code as i32);
        error.insert("message", self.message.as_str());
        for (key, value) in [("flag", &self.flag), ("hint", &self.hint), ("details", &self.details)] {
            if let Some(value) = value {
                error.insert(key, value.as_str());
            }
        }
        [("error", error)].into_iter().collect()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        match (&self.details, &self.hint) {
            (None, None) => Ok(()),
            (None, Some(hint)) => write!(f, "; {hint}"),
            (Some(details), None) => write!(f, "\n{details}"),
            (Some(details), Some(hint)) => write!(f, "\n{details}\n{hint}"),
        }
    }
}

impl From<io::Error> for Failure {
    /// Of standard output; other files say which they are.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Code::Unheard),
            _ => Self::new(Code::Store, "output", format!("the output cannot be written: {error}")),
        }
    }
}

/// Beginnings of what a server answers that is there, and cannot do it now.
const ANSWERS: [&str; 7] = ["BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "READONLY", "TRYAGAIN"];

const STARTING: &str = "it has just started, and reads its data; try again in a moment";

fn is_starting(what: &str) -> bool {
    what.contains("LOADING") || what.contains("loading its data")
}

/// What to look at when a store cannot be used.
pub(crate) fn look_at(store: &str, what: &str) -> &'static str {
    if store.starts_with("sqlite:") {
        "look at the path, the permissions and the disk; `flipper stores` tells where the path comes from"
    } else if is_starting(what) {
        STARTING
    } else if ANSWERS.iter().any(|answer| what.contains(answer)) {
        "it runs, and answers that it cannot do this now; `flipper doctor` looks at the server"
    } else {
        "is it running, and is this the right one? `flipper stores` tells where its URL comes from"
    }
}

/// What an error says that has no words of its own.
const UNAVAILABLE: &str = "store is unavailable";

/// What the error and its causes say, without the flag and the store, which are told apart.
pub(crate) fn said(error: &Error) -> String {
    let (said, chain) = (error.to_string(), error.chain());
    let suffix = match (error.flag(), error.store()) {
        (Some(flag), Some(store)) => format!(": flag {flag:?} in {store}"),
        (Some(flag), None) => format!(": flag {flag:?}"),
        (None, Some(store)) => format!(": {store}"),
        (None, None) => String::new(),
    };
    let causes = &chain[said.len()..];
    let said = said.strip_suffix(&suffix).unwrap_or(&said);
    match causes.strip_prefix(": ") {
        // Which the message around it says too.
        Some(causes) if said == UNAVAILABLE => causes.to_owned(),
        _ => format!("{said}{causes}"),
    }
}
