use std::fmt;
use std::io;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::args::{Command, LogFormat};
use crate::output::{NOTE, styled};
use crate::text::plain;

/// `serve` writes logs for machines; other commands print warnings for people.
pub(crate) fn begin(command: &Command) {
    let logs = tracing_subscriber::fmt().with_writer(io::stderr);
    // Fails only if a subscriber is set already.
    let _ = match command {
        Command::Serve(serve) => {
            let logs =
                logs.with_max_level(serve.log_level.unwrap_or(LevelFilter::INFO)).with_target(false).with_ansi(false);
            match serve.log_format.unwrap_or_default() {
                LogFormat::Text => logs.try_init(),
                LogFormat::Json => logs.json().flatten_event(true).try_init(),
            }
        }
        _ => logs
            .with_max_level(LevelFilter::WARN)
            .with_writer(|| anstream::AutoStream::auto(io::stderr()))
            .event_format(Warning)
            .try_init(),
    };
}

/// Targets whose warnings are left out: all commands but `serve` report these errors themselves.
const REPORTED_BY_COMMANDS: [&str; 4] =
    ["flipper::conditions", "flipper::stores::sqlite::health", "flipper::table", "flipper::wrappers"];

/// `warning: what happened (name: X)`
struct Warning;

impl<S, N> FormatEvent<S, N> for Warning
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if REPORTED_BY_COMMANDS.iter().any(|target| event.metadata().target().starts_with(target)) {
            return Ok(());
        }
        let mut logged = Fields::default();
        event.record(&mut logged);
        write!(writer, "{} {}", styled(NOTE, "warning:"), plain(&logged.message))?;
        if !logged.fields.is_empty() {
            write!(writer, " ({})", plain(&logged.fields.join(", ")))?;
        }
        writeln!(writer)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    fields: Vec<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push(format!("{name}: {value:?}")),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }
}
