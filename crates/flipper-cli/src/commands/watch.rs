use std::time::{Duration, Instant, SystemTime};

use flipper::__words::{is_on_now, targeting};
use flipper::FlagRecord;
use flipper::history::{Entry, HistoryQuery};
use flipper::json::{Json, Object};
use flipper::store::Updates;

use crate::args::Watch;
use crate::describe::{change, who};
use crate::diff::json;
use crate::failure::{Done, Failure, message_of};
use crate::follow::{Event, Follow, State};
use crate::interrupt::Interrupt;
use crate::output::{FAINT, OFF, ON, Output, STRONG, object, or_null, styled};
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, plain, quoted};
use crate::turns::Turns;

/// For who made a change, which is then printed without it.
const LONGEST_WAIT: Duration = Duration::from_secs(3);

pub(crate) async fn run(session: &mut Session, args: &Watch) -> Done {
    let store = session.open(Purpose::Existing)?;
    let mut interrupt = Interrupt::begin()?;
    let mut follow = Follow::new(&store);
    let mut turns = Turns::default();
    let mut begun = false;
    let is_watched = |name: &String| args.names.is_empty() || args.names.contains(name);
    loop {
        let event = tokio::select! {
            _ = interrupt.wait() => return Ok(()),
            event = follow.next() => event,
            turned = turns.next() => {
                for (name, record) in turned.iter().filter(|(name, _)| is_watched(name)) {
                    turn(&mut session.out, name, record)?;
                }
                session.out.flush()?;
                continue;
            }
        };
        turns.take(&follow, &event);
        match &event {
            // A wrong address must not look like a store without changes.
            Event::Lost(error) if !begun => return Err(store.failure(error)),
            Event::Ended => return Err(Failure::store(format!("{} reports no more changes", store.shown))),
            Event::Change { name, .. } if !is_watched(name) => continue,
            Event::Started => begun = true,
            _ => {}
        }
        let latency = match &event {
            Event::Change { reported_at, .. } => reported_at.map(milliseconds),
            _ => None,
        };
        // After a signal the change is still printed.
        let entry = tokio::select! {
            _ = interrupt.wait() => None,
            entry = tokio::time::timeout(LONGEST_WAIT, entry(&store, &event)) => entry.ok().flatten(),
        };
        let flags = follow.held().count();
        report(&mut session.out, &store, &event, &Known { latency, entry, flags })?;
    }
}

/// What is printed beside an event.
struct Known {
    /// In milliseconds.
    latency: Option<f64>,
    entry: Option<Entry>,
    flags: usize,
}

/// Who made the change, if the newest entry of the flag's history is that change.
async fn entry(store: &Store, event: &Event) -> Option<Entry> {
    let Event::Change { name, after, .. } = event else { return None };
    if !store.inner.capabilities().history {
        return None;
    }
    let page = store.inner.history(&HistoryQuery::of(name).limit(1)).await.ok()?;
    page.entries.into_iter().next().filter(|entry| entry.after == *after)
}

fn report(out: &mut Output, store: &Store, event: &Event, known: &Known) -> Done {
    if out.json() {
        out.value(to_json(store, event, known))?;
    } else {
        let shown = &store.shown;
        match event {
            Event::Started => {
                out.message(format_args!(
                    "following {shown}, which has {}; Ctrl-C ends it",
                    count(known.flags, "flag")
                ));
            }
            Event::Following(updates) => out.message(arrival(*updates)),
            Event::Lost(error) => {
                let (lost, why) = (styled(OFF, "lost:"), message_of(error));
                out.message(format_args!("{lost} {shown} is unreachable: {}; retrying", plain(&why)));
            }
            Event::Restored(after) => {
                let after = humantime::format_duration(match after.as_secs() {
                    0 => Duration::from_millis(after.subsec_millis().max(1).into()),
                    seconds => Duration::from_secs(seconds),
                });
                out.message(format_args!("{} {shown} is reachable again, after {after}", styled(ON, "back:")));
            }
            Event::Change { name, before, after, .. } => {
                out.line(line(name, before.as_ref(), after.as_ref(), known))?;
            }
            Event::Ended => {}
        }
    }
    out.flush()
}

fn arrival(updates: Updates) -> String {
    match updates {
        Updates::Push | Updates::Local => "changes are pushed".to_owned(),
        Updates::Notifications { .. } => "changes are notified".to_owned(),
        Updates::Poll { every } => format!("changes are polled every {}", humantime::format_duration(every)),
        _ => "changes are reported".to_owned(),
    }
}

/// `08:15:02.123Z ~ NAME enabled: false -> true  by alice (command): incident 42  (0.4 ms)`
fn line(name: &str, before: Option<&State>, after: Option<&State>, known: &Known) -> String {
    let (sign, what) = change(before, after);
    let who = known.entry.as_ref().map(|entry| format!("  {}", who(entry))).unwrap_or_default();
    let latency = known.latency.map(|time| styled(FAINT, format_args!("  ({time:.1} ms)"))).unwrap_or_default();
    format!("{} {sign} {} {what}{who}{latency}", time_of_day(), styled(STRONG, quoted(name)))
}

/// `08:15:02.123Z ~ NAME is on, as scheduled: 50% by user_id, in steps`
fn turn(out: &mut Output, name: &str, record: &FlagRecord) -> Done {
    let (is_on, callers) = (is_on_now(record), targeting(record));
    if out.json() {
        return out.value(object([
            ("time", humantime::format_rfc3339_millis(SystemTime::now()).to_string().into()),
            ("event", "turned".into()),
            ("name", name.into()),
            ("enabled", is_on.into()),
            ("targeting", or_null(callers)),
            ("next_turn", or_null(super::schedule::next(record))),
        ]));
    }
    let state = if is_on { styled(ON, "on") } else { styled(OFF, "off") };
    let callers = callers.filter(|_| is_on).map(|callers| format!(": {callers}")).unwrap_or_default();
    out.line(format!("{} ~ {} is {state}, as scheduled{callers}", time_of_day(), styled(STRONG, quoted(name))))
}

fn time_of_day() -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    styled(FAINT, time.split_once('T').map_or(time.as_str(), |(_, time)| time))
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn to_json(store: &Store, event: &Event, known: &Known) -> Object {
    let rounded = |number: f64| Json::try_from((number * 1000.0).round() / 1000.0).unwrap_or_default();
    let record = |state: &Option<State>| or_null(state.as_ref().and_then(|state| Some(json(state.as_ref().ok()?))));
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut object = object([("time", time.into())]);
    let fields = match event {
        Event::Started => {
            vec![("event", "begin".into()), ("store", store.shown.as_str().into()), ("flags", known.flags.into())]
        }
        Event::Following(updates) => vec![("event", "following".into()), ("how", arrival(*updates).into())],
        Event::Lost(error) => vec![("event", "lost".into()), ("reason", message_of(error).into())],
        Event::Restored(after) => {
            vec![("event", "restored".into()), ("after_seconds", rounded(after.as_secs_f64()))]
        }
        Event::Change { name, before, after, .. } => {
            let event = match after {
                None => "removed",
                Some(Ok(_)) => "set",
                Some(Err(_)) => "corrupt",
            };
            vec![
                ("event", event.into()),
                ("name", name.as_str().into()),
                ("before", record(before)),
                ("after", record(after)),
                ("latency_ms", or_null(known.latency.map(rounded))),
                ("actor", or_null(known.entry.as_ref().and_then(Entry::actor))),
                ("reason", or_null(known.entry.as_ref().and_then(Entry::reason))),
                ("source", or_null(known.entry.as_ref().map(Entry::source))),
            ]
        }
        Event::Ended => Vec::new(),
    };
    for (key, value) in fields {
        object.insert(key, value);
    }
    object
}
