use std::time::{Duration, SystemTime};

use flipper::history::{Entry, HistoryQuery};
use flipper::json::Object;
use futures_util::TryStreamExt;

use crate::args::History;
use crate::describe::{change, who};
use crate::failure::Done;
use crate::output::{FAINT, STRONG, object, or_null, styled};
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

pub(crate) async fn run(session: &mut Session, args: &History) -> Done {
    let store = session.open(Purpose::Existing)?;
    // Beyond what the clock can count there is no limit.
    let since = args.since.and_then(|since| SystemTime::now().checked_sub(since));
    let query = args.name.as_ref().map_or_else(HistoryQuery::all, HistoryQuery::of).since(since);
    let mut entries = store.client().entries(query);
    let mut shown = 0;
    while shown < args.limit.unwrap_or(usize::MAX)
        && let Some(entry) = entries.try_next().await.map_err(|error| store.failure(&error))?
    {
        if args.by.as_deref().is_some_and(|by| entry.actor() != Some(by)) {
            continue;
        }
        shown += 1;
        match session.out.json() {
            true => session.out.value(to_json(&entry))?,
            false => session.out.line(line(&entry))?,
        }
    }
    if shown > 0 {
        return Ok(());
    }
    // A mistyped name must not look like a flag without changes.
    if let Some(name) = &args.name
        && store.client().history(name).try_next().await.ok().flatten().is_none()
    {
        store.record(name).await?;
    }
    session.out.message(format_args!("no such change in {}", store.shown));
    Ok(())
}

fn line(entry: &Entry) -> String {
    let time = humantime::format_rfc3339_seconds(since_1970(entry.at)).to_string();
    let (sign, what) = change(entry.before.as_ref(), entry.after.as_ref());
    let what = if entry.before == entry.after { "the same again".to_owned() } else { what };
    format!("{} {sign} {} {what}  {}", styled(FAINT, time), styled(STRONG, quoted(&entry.name)), who(entry))
}

fn to_json(entry: &Entry) -> Object {
    let (before, after) = entry.differences();
    object([
        ("name", entry.name.as_str().into()),
        ("at", humantime::format_rfc3339_millis(since_1970(entry.at)).to_string().into()),
        ("actor", or_null(entry.actor())),
        ("verb", (&*entry.verb).into()),
        ("reason", or_null(entry.reason())),
        ("source", entry.source().into()),
        ("before", before),
        ("after", after),
    ])
}

/// `humantime` refuses earlier times, and later than the year 9999.
fn since_1970(time: SystemTime) -> SystemTime {
    const LAST: u64 = 253_402_300_799;
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST);
    time.clamp(SystemTime::UNIX_EPOCH, last)
}
