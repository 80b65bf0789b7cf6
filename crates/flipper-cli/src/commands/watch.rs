//! `flipper watch`

use std::time::{Duration, Instant, SystemTime};

use flipper::json::{Json, Object};
use flipper::store::Updates;

use crate::args::Watch;
use crate::describe::fields;
use crate::diff::json;
use crate::failure::{Done, Failure, said};
use crate::follow::{Follow, News, State};
use crate::interrupt::Interrupt;
use crate::output::{FAINT, NOTE, OFF, ON, Output, STRONG, styled};
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Watch) -> Done {
    let store = session.open(Purpose::Existing)?;
    let mut interrupt = Interrupt::begin()?;
    let mut follow = Follow::new(&store);
    let mut begun = false;
    loop {
        let news = tokio::select! {
            _ = interrupt.wait() => return Ok(()),
            news = follow.next() => news,
        };
        match &news {
            // A wrong address should not look like a store without changes.
            News::Lost(error) if !begun => return Err(store.failure(error)),
            News::Ended => return Err(Failure::store(format!("{} tells of no more changes", store.shown))),
            News::Change { name, .. } if !args.names.is_empty() && !args.names.contains(name) => continue,
            News::Begins => begun = true,
            _ => {}
        }
        let flags = follow.known().count();
        tell(&mut session.out, &store, &news, flags)?;
    }
}

fn tell(out: &mut Output, store: &Store, news: &News, flags: usize) -> Done {
    if out.json() {
        out.value(object(store, news, flags))?;
    } else {
        let shown = &store.shown;
        match news {
            News::Begins => {
                out.message(format_args!("following {shown}, which has {}; Ctrl-C ends it", count(flags, "flag")));
            }
            News::Following(updates) => out.message(arrival(*updates)),
            News::Lost(error) => {
                out.message(format_args!(
                    "{} {shown} is away: {}; trying on",
                    styled(OFF, "lost:"),
                    plain(&said(error))
                ));
            }
            News::Restored(after) => {
                // Whole seconds, but for those that never were one.
                let unit =
                    if after.as_secs() > 0 { Duration::from_secs(after.as_secs()) } else { whole_millis(*after) };
                let after = humantime::format_duration(unit);
                out.message(format_args!("{} {shown} is there again, after {after}", styled(ON, "back:")));
            }
            News::Change { name, before, after, told, .. } => {
                out.line(line(name, before.as_ref(), after.as_ref(), *told))?;
            }
            News::Ended => {}
        }
    }
    out.flush()
}

fn whole_millis(duration: Duration) -> Duration {
    Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or_default().max(1))
}

fn arrival(updates: Updates) -> String {
    match updates {
        Updates::Push | Updates::Local => "changes are pushed".to_owned(),
        Updates::Notifications { .. } => "changes are notified".to_owned(),
        Updates::Poll { every } => format!("changes are looked for every {}", humantime::format_duration(every)),
        _ => "changes are told".to_owned(),
    }
}

/// `08:15:02.123Z ~ NAME enabled: false -> true  (0.4 ms)`
fn line(name: &str, before: Option<&State>, after: Option<&State>, told: Option<Instant>) -> String {
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
    let latency = told.map(|told| styled(FAINT, format_args!("  ({:.1} ms)", milliseconds(told)))).unwrap_or_default();
    format!("{} {sign} {} {what}{latency}", styled(FAINT, time), styled(STRONG, quoted(name)))
}

fn changes(before: &[(String, String)], after: &[(String, String)]) -> String {
    let mut changes = Vec::new();
    for (what, how) in before.iter().filter(|field| !after.contains(field)) {
        let new: Vec<_> = after.iter().filter(|field| field.0 == *what && !before.contains(field)).collect();
        match new[..] {
            [(_, new)] => changes.push(format!("{what}: {how} -> {new}")),
            _ => changes.push(format!("{what} gone: {how}")),
        }
    }
    for (what, how) in after.iter().filter(|field| !before.contains(field)) {
        let old = before.iter().filter(|field| field.0 == *what && !after.contains(field)).count();
        if old != 1 || after.iter().filter(|field| field.0 == *what && !before.contains(field)).count() != 1 {
            changes.push(format!("{what}: {how}"));
        }
    }
    if changes.is_empty() { "written in another way".to_owned() } else { changes.join(", ") }
}

fn milliseconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1000.0
}

fn object(store: &Store, news: &News, flags: usize) -> Object {
    let mut object = Object::new();
    object.insert("time", humantime::format_rfc3339_millis(SystemTime::now()).to_string());
    let rounded = |number: f64| Json::try_from((number * 1000.0).round() / 1000.0).unwrap_or_default();
    match news {
        News::Begins => {
            object.insert("event", "begin");
            object.insert("store", store.shown.as_str());
            object.insert("flags", flags);
        }
        News::Following(updates) => {
            object.insert("event", "following");
            object.insert("how", arrival(*updates));
        }
        News::Lost(error) => {
            object.insert("event", "lost");
            object.insert("reason", said(error));
        }
        News::Restored(after) => {
            object.insert("event", "restored");
            object.insert("after_seconds", rounded(after.as_secs_f64()));
        }
        News::Change { name, before, after, told, .. } => {
            object.insert(
                "event",
                match after {
                    None => "removed",
                    Some(Ok(_)) => "set",
                    Some(Err(_)) => "corrupt",
                },
            );
            object.insert("name", name.as_str());
            let record = |state: &Option<State>| match state {
                Some(Ok(record)) => json(record),
                _ => Json::Null,
            };
            object.insert("before", record(before));
            object.insert("after", record(after));
            object.insert("latency_ms", told.map_or(Json::Null, |told| rounded(milliseconds(told))));
        }
        News::Ended => {}
    }
    object
}
