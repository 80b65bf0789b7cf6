//! Data goes to standard output, messages to standard error.

use std::fmt::Display;
use std::io::{self, BufWriter, Write};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use flipper::json::{Json, Object};

use crate::failure::{Done, Failure};
use crate::store::without_secrets;

pub(crate) const ON: Style = AnsiColor::Green.on_default();
pub(crate) const OFF: Style = AnsiColor::Red.on_default();
pub(crate) const NOTE: Style = AnsiColor::Yellow.on_default();
pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();

const BUFFER: usize = 1 << 16;

/// Styled text. The streams strip styles if they are not a terminal or `NO_COLOR` is set.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

pub(crate) fn object<const N: usize>(fields: [(&str, Json); N]) -> Object {
    fields.into_iter().collect()
}

pub(crate) fn or_null<T: Into<Json>>(value: Option<T>) -> Json {
    value.map_or(Json::Null, Into::into)
}

/// Both streams. Data is buffered until [`flush`](Self::flush) or a message, which keeps the two in order.
pub(crate) struct Output {
    json: bool,
    data: BufWriter<AutoStream<Box<dyn Write>>>,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        let choice = AutoStream::choice(&io::stdout());
        // Where styles are stripped, what is between two of them is a write of its own.
        let stripped: Box<dyn Write> = Box::new(BufWriter::with_capacity(BUFFER, io::stdout().lock()));
        Self { json, data: BufWriter::with_capacity(BUFFER, AutoStream::new(stripped, choice)) }
    }

    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// Columns of the terminal; `None` for a file or pipe.
    pub(crate) fn width(&self) -> Option<usize> {
        let size = terminal_size::terminal_size_of(io::stdout())?;
        Some(usize::from(size.0.0))
    }

    pub(crate) fn line(&mut self, line: impl Display) -> Done {
        Ok(writeln!(self.data, "{line}")?)
    }

    pub(crate) fn value(&mut self, value: impl Into<Json>) -> Done {
        self.line(value.into())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Done {
        Ok(self.data.write_all(bytes)?)
    }

    pub(crate) fn data(&mut self) -> &mut impl Write {
        &mut self.data
    }

    pub(crate) fn flush(&mut self) -> Done {
        Ok(self.data.flush()?)
    }

    /// A message. If standard error is closed, that is not a failure.
    pub(crate) fn message(&mut self, message: impl Display) {
        let _ = self.data.flush();
        let _ = writeln!(anstream::stderr(), "{message}");
    }

    pub(crate) fn note(&mut self, note: impl Display) {
        self.message(format_args!("{} {note}", styled(NOTE, "note:")));
    }

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
