use std::time::{Duration, Instant, SystemTime};

use flipper::json::{Json, Object};
use flipper::store::Updates;

use crate::args::Watch;
use crate::describe::fields;
use crate::diff::json;
use crate::failure::{Done, Failure, message_of};
use crate::follow::{Event, Follow, State};
use crate::interrupt::Interrupt;
use crate::output::{FAINT, NOTE, OFF, ON, Output, STRONG, object, or_null, styled};
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Watch) -> Done {
    let store = session.open(Purpose::Existing)?;
    let mut interrupt = Interrupt::begin()?;
    let mut follow = Follow::new(&store);
    let mut begun = false;
    loop {
        let event = tokio::select! {
            _ = interrupt.wait() => return Ok(()),
            event = follow.next() => event,
        };
        match &event {
            // A wrong address must not look like a store without changes.
            Event::Lost(error) if !begun => return Err(store.failure(error)),
            Event::Ended => return Err(Failure::store(format!("{} reports no more changes", store.shown))),
            Event::Change { name, .. } if !args.names.is_empty() && !args.names.contains(name) => continue,
            Event::Started => begun = true,
            _ => {}
        }
        let flags = follow.held().count();
        report(&mut session.out, &store, &event, flags)?;
    }
}

fn report(out: &mut Output, store: &Store, event: &Event, flags: usize) -> Done {
    if out.json() {
        out.value(to_json(store, event, flags))?;
    } else {
        let shown = &store.shown;
        match event {
            Event::Started => {
                out.message(format_args!("following {shown}, which has {}; Ctrl-C ends it", count(flags, "flag")));
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
            Event::Change { name, before, after, reported_at, .. } => {
                out.line(line(name, before.as_ref(), after.as_ref(), *reported_at))?;
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

/// `08:15:02.123Z ~ NAME enabled: false -> true  (0.4 ms)`
fn line(name: &str, before: Option<&State>, after: Option<&State>, reported_at: Option<Instant>) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let time = time.split_once('T').map_or(time.as_str(), |(_, time)| time);
    let (sign, what) = match (before, after) {
        (_, None) => (styled(OFF, "-"), "destroyed".to_owned()),
        (_, Some(Err(why))) => (styled(NOTE, "!"), format!("cannot be read any more: {}", plain(why.reason()))),
        (Some(Ok(before)), Some(Ok(after))) => ("~".to_owned(), changes(&fields(before), &fields(after))),
        (_, Some(Ok(after))) => {
            let all = fields(after).into_iter().filter(|(what, _)| what != "created");
            (styled(ON, "+"), all.map(|(what, how)| format!("{what}: {how}")).collect::<Vec<_>>().join(", "))
        }
    };
    let latency =
        reported_at.map(|at| styled(FAINT, format_args!("  ({:.1} ms)", milliseconds(at)))).unwrap_or_default();
    format!("{} {sign} {} {what}{latency}", styled(FAINT, time), styled(STRONG, quoted(name)))
}

fn changes(before: &[(String, String)], after: &[(String, String)]) -> String {
    let gone: Vec<_> = before.iter().filter(|field| !after.contains(field)).collect();
    let new: Vec<_> = after.iter().filter(|field| !before.contains(field)).collect();
    let count = |fields: &[&(String, String)], what: &str| fields.iter().filter(|field| field.0 == what).count();
    let mut changes = Vec::new();
    for (what, how) in &gone {
        match new.iter().find(|field| field.0 == *what).filter(|_| count(&new, what) == 1) {
            Some((_, new)) => changes.push(format!("{what}: {how} -> {new}")),
            None => changes.push(format!("{what} removed: {how}")),
        }
    }
    let unpaired = new.iter().filter(|(what, _)| (count(&gone, what), count(&new, what)) != (1, 1));
    changes.extend(unpaired.map(|(what, how)| format!("{what}: {how}")));
    if changes.is_empty() { "the same, with another spelling".to_owned() } else { changes.join(", ") }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn to_json(store: &Store, event: &Event, flags: usize) -> Object {
    let rounded = |number: f64| Json::try_from((number * 1000.0).round() / 1000.0).unwrap_or_default();
    let record = |state: &Option<State>| or_null(state.as_ref().and_then(|state| Some(json(state.as_ref().ok()?))));
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let mut object = object([("time", time.into())]);
    let fields = match event {
        Event::Started => {
            vec![("event", "begin".into()), ("store", store.shown.as_str().into()), ("flags", flags.into())]
        }
        Event::Following(updates) => vec![("event", "following".into()), ("how", arrival(*updates).into())],
        Event::Lost(error) => vec![("event", "lost".into()), ("reason", message_of(error).into())],
        Event::Restored(after) => {
            vec![("event", "restored".into()), ("after_seconds", rounded(after.as_secs_f64()))]
        }
        Event::Change { name, before, after, reported_at, .. } => {
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
                ("latency_ms", or_null(reported_at.map(|at| rounded(milliseconds(at))))),
            ]
        }
        Event::Ended => Vec::new(),
    };
    for (key, value) in fields {
        object.insert(key, value);
    }
    object
}
