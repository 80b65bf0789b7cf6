use std::fmt;
use std::io;

use flipper::json::Object;
use flipper::targeting::segment_of;
use flipper::{Error, ErrorKind};

use crate::output::object;
use crate::text::quoted;

pub(crate) type Done<T = ()> = Result<T, Failure>;

/// The exit codes of `flipper --help`. Of several failures the greatest counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Code {
    /// The reader has closed our output: not an error.
    OutputClosed = 0,
    /// `check`: a flag is off. `doctor`, `lint`: there are problems.
    Off = 1,
    /// The command is wrong: arguments, a name, a file.
    Usage = 2,
    NoSuchFlag = 3,
    /// The store cannot be used, or has unreadable flags.
    Store = 4,
    Interrupted = 130,
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such signal"))]
    Terminated = 143,
}

#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) code: Code,
    /// An [`ErrorKind`] code, or one of our own.
    kind: &'static str,
    message: String,
    /// Lines below the message, such as an expression with a caret.
    details: Option<String>,
    hint: Option<String>,
    flag: Option<String>,
    /// The next flags would fail in the same way and are not tried.
    pub(crate) ends_all: bool,
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

    pub(crate) fn interrupted(code: Code) -> Self {
        Self::new(code, "interrupted", "interrupted")
    }

    pub(crate) fn no_such_flag(name: &str, store: &str) -> Self {
        let message = format!("no flag {} in {store}", quoted(name));
        Self::new(Code::NoSuchFlag, ErrorKind::FlagNotFound.code(), message).flag(name)
    }

    pub(crate) fn no_such_segment(segment: &str, store: &str) -> Self {
        let message = format!("no segment {} in {store}", quoted(segment));
        Self::new(Code::NoSuchFlag, ErrorKind::FlagNotFound.code(), message)
    }

    pub(crate) fn exists(name: &str, store: &str) -> Self {
        let message = format!("flag {} exists already in {store}", quoted(name));
        Self::new(Code::Usage, ErrorKind::FlagExists.code(), message).flag(name)
    }

    pub(crate) fn conflict(name: &str, message: String) -> Self {
        Self::new(Code::Store, ErrorKind::Conflict.code(), message).flag(name)
    }

    pub(crate) fn corrupt(name: &str, message: String) -> Self {
        Self::new(Code::Store, ErrorKind::Corrupt.code(), message).flag(name)
    }

    /// Prints nothing and sets only the exit code.
    pub(crate) fn silent(code: Code) -> Self {
        Self::new(code, "", "")
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hint_before(mut self, first: &str) -> Self {
        self.hint = Some(self.hint.map_or_else(|| first.to_owned(), |hint| format!("{first}: {hint}")));
        self
    }

    pub(crate) fn hint_after(mut self, more: &str) -> Self {
        self.hint = Some(self.hint.map_or_else(|| more.to_owned(), |hint| format!("{hint}; {more}")));
        self
    }

    fn flag(mut self, name: &str) -> Self {
        self.flag = Some(name.to_owned());
        self
    }

    pub(crate) fn ends_all(mut self) -> Self {
        self.ends_all = true;
        self
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

    pub(crate) fn of(error: &Error, store: &str) -> Self {
        let what = message_of(error);
        let flag = error.flag().map(quoted).unwrap_or_default();
        let kind = error.kind().code();
        let failure = match error.kind() {
            ErrorKind::FlagNotFound => return Self::no_such_flag(error.flag().unwrap_or_default(), store),
            ErrorKind::FlagExists => return Self::exists(error.flag().unwrap_or_default(), store),
            ErrorKind::InvalidName => Self::new(Code::Usage, kind, format!("{what}: {flag}"))
                .hint("a name is 1 to 255 bytes long, without `/` and control characters"),
            ErrorKind::InvalidInput if flag.is_empty() => Self::new(Code::Usage, kind, format!("{store}: {what}")),
            ErrorKind::InvalidInput => Self::new(Code::Usage, kind, format!("{}: {what}", item(error))),
            ErrorKind::Corrupt => {
                Self::new(Code::Store, kind, format!("{} in {store} cannot be read: {what}", item(error)))
                    .hint("`flipper destroy` removes it, and `flipper import --merge` replaces it")
            }
            ErrorKind::Conflict => Self::new(Code::Store, kind, format!("others keep changing flag {flag} in {store}"))
                .hint("nothing was changed; try again"),
            ErrorKind::Unauthorized => Self::new(Code::Store, kind, format!("{store} refused access: {what}"))
                .hint("look at the user and password in its URL, or at the permissions of the file"),
            ErrorKind::Unavailable => Self::new(Code::Store, kind, format!("{store} cannot be used: {what}"))
                .hint(look_at(store, &what))
                .ends_all(),
            _ => Self::new(Code::Store, kind, format!("{store}: {what}")),
        };
        // A loading server refuses any call.
        let failure = if is_starting(&what) { failure.hint(STARTING).ends_all() } else { failure };
        Self { flag: error.flag().map(str::to_owned), ..failure }
    }

    pub(crate) fn to_json(&self) -> Object {
        let mut error = object([
            ("kind", self.kind.into()),
            ("code", (self.code as i32).into()),
            ("message", self.message.as_str().into()),
        ]);
        for (key, value) in [("flag", &self.flag), ("hint", &self.hint), ("details", &self.details)] {
            if let Some(value) = value {
                error.insert(key, value.as_str());
            }
        }
        object([("error", error.into())])
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
    /// Only for standard output; errors of other files name the file.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::silent(Code::OutputClosed),
            _ => Self::new(Code::Store, "output", format!("the output cannot be written: {error}")),
        }
    }
}

/// Error codes of a server that runs and cannot answer now.
const ANSWERS: [&str; 7] = ["BUSY", "CLUSTERDOWN", "MASTERDOWN", "MISCONF", "NOREPLICAS", "READONLY", "TRYAGAIN"];

const STARTING: &str = "it has just started and is loading its data; try again in a moment";

fn is_starting(what: &str) -> bool {
    what.contains("LOADING") || what.contains("loading its data")
}

/// The hint for a store that cannot be used.
pub(crate) fn look_at(store: &str, what: &str) -> &'static str {
    if store.starts_with("sqlite:") {
        "look at the path, the permissions and the disk; `flipper stores` shows where the path comes from"
    } else if is_starting(what) {
        STARTING
    } else if ANSWERS.iter().any(|answer| what.contains(answer)) {
        "it runs and cannot do this now; `flipper doctor` examines the server"
    } else {
        "is it running, and is this the right one? `flipper stores` shows where its URL comes from"
    }
}

/// `flag NAME`, or `segment NAME`.
fn item(error: &Error) -> String {
    let name = error.flag().unwrap_or_default();
    match segment_of(name) {
        Some(segment) => format!("segment {}", quoted(segment)),
        None => format!("flag {}", quoted(name)),
    }
}

/// The library's message when only the cause says what happened.
const UNAVAILABLE: &str = "store is unavailable";

/// The error and its causes, without the flag and the store, which are shown elsewhere.
pub(crate) fn message_of(error: &Error) -> String {
    let (message, chain) = (error.to_string(), error.chain());
    let suffix = match (error.flag(), error.store()) {
        (Some(flag), Some(store)) => format!(": flag {flag:?} in {store}"),
        (Some(flag), None) => format!(": flag {flag:?}"),
        (None, Some(store)) => format!(": {store}"),
        (None, None) => String::new(),
    };
    let causes = &chain[message.len()..];
    let message = message.strip_suffix(&suffix).unwrap_or(&message);
    match causes.strip_prefix(": ") {
        Some(causes) if message == UNAVAILABLE => causes.to_owned(),
        _ => format!("{message}{causes}"),
    }
}
