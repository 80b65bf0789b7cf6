use std::time::Duration;

use flipper::store::{Watch, WatchEvent};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::deletions::{Deletions, Verdict};
use super::target::Target;
use super::{NOTHING, unreadable, write};
use crate::args::{Limit, Sync};
use crate::failure::{Done, Failure};
use crate::follow::{Event, Follow, State};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::{Records, named};
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, plain, quoted, some, thousands};

/// Delay from the first foreign change of the target to the comparison, since the writer may not be done.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Keeps `to` in step until an interrupt. Changes missed in an outage of either store are found by comparing all flags.
pub(super) async fn run(
    session: &mut Session,
    args: &Sync,
    from: &Store,
    to: &Store,
    watched: &Store,
    interrupt: &mut Interrupt,
) -> Done {
    let mut follow = Follow::new(from).in_order();
    let mut target = Target::new(to, from, interrupt.clone());
    let start = async {
        loop {
            match follow.next().await {
                Event::Started => return Ok(()),
                Event::Lost(error) => return Err(from.failure(&error)),
                Event::Ended => return Err(ended(from)),
                _ => {}
            }
        }
    };
    interrupt.unless(NOTHING, start).await?;
    let source = Records::of_held(follow.held());
    for (name, why) in &source.unreadable {
        session.out.failure(&unreadable(from, name, why));
        target.unreadable.insert(name.clone());
    }
    let plan = interrupt.unless(NOTHING, Plan::make(&source, to)).await?;
    if !write(session, args, to, &source, &plan, interrupt, &mut target.refused).await? {
        return Ok(());
    }
    drop((source, plan));
    session.out.message(format_args!("following {}; Ctrl-C ends it", from.shown));

    let mut echo = watched.inner.watch();
    let mut look_at: Option<Instant> = None;
    let mut deletions = Deletions::new(args.max_deletions.unwrap_or(Limit::USUAL));
    // Flags missing since an outage of `from`; reported together.
    let mut missing: Vec<String> = Vec::new();
    loop {
        if !missing.is_empty() && !follow.has_more() {
            session.out.note(format_args!(
                "{} no longer in {}, which was unreachable, and kept in {}: {}; --delete would destroy them",
                count(missing.len(), "flag"),
                from.shown,
                to.shown,
                some(missing.iter().map(String::as_str))
            ));
            missing.clear();
        }
        let event = tokio::select! {
            biased;
            code = interrupt.wait() => {
                let more = follow.has_more() || !deletions.is_empty();
                return target.end(session, code, more, &deletions.kept);
            }
            () = sleep_until(deletions.due()), if !deletions.is_empty() => {
                decide(session, from, &follow, &mut deletions, &mut target).await?;
                continue;
            }
            () = sleep_until(target.try_at), if !target.is_in_step() => None,
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                target.look(session, &follow).await?;
                continue;
            }
            event = next(&mut echo) => {
                match event {
                    WatchEvent::Lost(error) => target.lost(session, &to.failure(&error)),
                    event if differs(&event, &follow, to).await => {
                        look_at.get_or_insert_with(|| Instant::now() + LOOK_AFTER);
                    }
                    _ => {}
                }
                continue;
            }
            event = follow.next() => Some(event),
        };
        match event {
            None => target.catch_up(session, &follow).await?,
            Some(Event::Lost(error)) => session.out.message(format_args!("{}; retrying", from.failure(&error))),
            Some(Event::Restored(_)) => session.out.message(format_args!("{} is reachable again", from.shown)),
            Some(Event::Ended) => return Err(ended(from)),
            Some(Event::Started | Event::Following(_)) => {}
            Some(Event::Change { name, after, after_loss, .. }) => {
                deletions.remove(&name);
                match after {
                    // A store that comes back empty must not empty the target.
                    None if after_loss && !args.delete => {
                        target.keep(&name);
                        missing.push(name);
                    }
                    None => deletions.add(name),
                    Some(Err(why)) => {
                        let (flag, why) = (quoted(&name), plain(why.reason()));
                        let what = format!("{flag} in {} cannot be read, and stays as it was: {why}", from.shown);
                        session.out.failure(&Failure::store(what));
                        target.keep(&name);
                        target.unreadable.insert(name);
                    }
                    Some(Ok(record)) => target.put(session, &named(&record, &name)).await?,
                }
            }
        }
    }
}

/// Destroys what was destroyed in `from`, unless it is too much.
async fn decide(
    session: &mut Session,
    from: &Store,
    follow: &Follow<'_>,
    deletions: &mut Deletions,
    target: &mut Target<'_>,
) -> Done {
    match deletions.decide(follow.held().count()) {
        Verdict::Destroy(names) => target.destroy(session, names).await?,
        Verdict::Keep(names, destroyed, all) => {
            names.iter().for_each(|name| target.keep(name));
            let what = format!(
                "{} of {} in {} were destroyed within a minute, more than --max-deletions allows: {} kept in {}: {}",
                thousands(destroyed),
                count(all, "flag"),
                from.shown,
                count(names.len(), "flag"),
                target.shown(),
                some(names.iter().map(String::as_str))
            );
            let hint = "if this is intended, start again with `--delete --max-deletions 100%`; all other changes go on";
            session.out.failure(&Failure::store(what).hint(hint));
        }
    }
    Ok(())
}

/// The next event of the target; pending if its watch ends.
async fn next(echo: &mut Watch<'_>) -> WatchEvent {
    match echo.next().await {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// Whether the target differs from the source after this event. Own writes come back as events too, and do not.
async fn differs(event: &WatchEvent, follow: &Follow<'_>, to: &Store) -> bool {
    let is_other = |name: &str, there: Option<&State>| match (follow.state(name), there) {
        (Some(Ok(wanted)), Some(Ok(there))) => **there != *named(wanted, name),
        (Some(Ok(_)), _) => true,
        // Flags that only the target has stay; so do those unreadable in the source.
        _ => false,
    };
    match event {
        WatchEvent::Changed { flag, .. } => is_other(&flag.name, Some(&flag.record)),
        WatchEvent::Removed { name, .. } => is_other(name, None),
        WatchEvent::Hint { name } => match to.inner.get(name).await {
            Ok(stored) => is_other(name, stored.as_ref().map(|stored| &stored.record)),
            Err(_) => true,
        },
        WatchEvent::Reset { flags, .. } => {
            let wanted = follow.held().filter(|(_, state)| state.is_ok()).count();
            let there = flags.iter().filter(|flag| follow.state(&flag.name).is_some_and(|state| state.is_ok())).count();
            there < wanted || flags.iter().any(|flag| is_other(&flag.name, Some(&flag.record)))
        }
        _ => false,
    }
}

fn ended(from: &Store) -> Failure {
    Failure::store(format!("{} reports no more changes", from.shown))
}
