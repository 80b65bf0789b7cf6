//! Data to standard output, messages to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use flipper::json::Json;

use crate::failure::{Done, Failure};
use crate::store::without_secrets;

pub(crate) const ON: Style = AnsiColor::Green.on_default();
pub(crate) const OFF: Style = AnsiColor::Red.on_default();
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Text in a style. Styles are left out again where the output is no terminal, or nobody wants colours.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Both streams. Lines of data are kept until [`flush`](Self::flush) or a message, so that the two stay in order.
pub(crate) struct Output {
    json: bool,
    data: BufWriter<AutoStream<StdoutLock<'static>>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json, data: BufWriter::with_capacity(1 << 16, anstream::stdout().lock()) }
    }

    /// Whether data are to be JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// How many columns a table has room for; `None` where nobody counts them.
    pub(crate) fn width(&self) -> Option<usize> {
        let size = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(size.0.0))
    }

    /// A line of data.
    pub(crate) fn line(&mut self, line: impl Display) -> Done {
        Ok(writeln!(self.data, "{line}")?)
    }

    /// Data as JSON, one value a line.
    pub(crate) fn value(&mut self, value: impl Into<Json>) -> Done {
        self.line(value.into())
    }

    /// Data as they are.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Done {
        Ok(self.data.write_all(bytes)?)
    }

    /// Where data go, for those that are no lines.
    pub(crate) fn data(&mut self) -> &mut impl Write {
        &mut self.data
    }

    pub(crate) fn flush(&mut self) -> Done {
        Ok(self.data.flush()?)
    }

    /// A message to whoever is there. That nobody reads messages is no failure.
    pub(crate) fn message(&mut self, message: impl Display) {
        let _ = self.data.flush();
        let _ = writeln!(anstream::stderr(), "{message}");
    }

    /// Something to look out for.
    pub(crate) fn note(&mut self, note: impl Display) {
        self.message(format_args!("{} {note}", styled(NOTE, "note:")));
    }

    /// What went wrong.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        if self.json {
            self.message(without_secrets(&Json::from(failure.to_json()).to_string()));
        } else {
            let failure = without_secrets(&failure.to_string());
            self.message(format_args!("{} {failure}", styled(OFF.bold(), "error:")));
        }
    }
}

/// Whether a person is there to be asked.
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}
