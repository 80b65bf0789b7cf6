//! `flipper sync --follow`

use std::time::Duration;

use flipper::store::{Watch, WatchEvent};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep_until};

use super::deletions::{Deletions, Verdict};
use super::target::Target;
use super::{NOTHING, unreadable, write};
use crate::args::{Limit, Sync};
use crate::failure::{Done, Failure};
use crate::follow::{Follow, News, State};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::{Records, named};
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, plain, quoted, some, thousands};

/// From the first sign that others changed the target to the comparison: they may be in the middle of it.
const LOOK_AFTER: Duration = Duration::from_secs(1);

/// Keeps `to` in step until it is interrupted. Whatever was missed while either store was away is found by comparing all.
pub(super) async fn run(
    session: &mut Session,
    args: &Sync,
    from: &Store,
    to: &Store,
    watched: &Store,
    interrupt: &mut Interrupt,
) -> Done {
    let mut follow = Follow::new(from);
    let mut target = Target::new(to, from);
    let begins = async {
        loop {
            match follow.next().await {
                News::Begins => return Ok(()),
                News::Lost(error) => return Err(from.failure(&error)),
                News::Ended => return Err(ended(from)),
                _ => {}
            }
        }
    };
    interrupt.unless(NOTHING, begins).await?;
    let (source, corrupt) = Records::known(follow.known());
    for (name, why) in &corrupt {
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
    // Flags that are gone since `from` was away; told when all of them are known.
    let mut gone: Vec<String> = Vec::new();
    loop {
        if !gone.is_empty() && !follow.has_more() {
            session.out.note(format_args!(
                "{} no longer in {}, which was away, and kept in {}: {}; --delete would destroy them",
                count(gone.len(), "flag"),
                from.shown,
                to.shown,
                some(gone.iter().map(String::as_str))
            ));
            gone.clear();
        }
        let news = tokio::select! {
            biased;
            code = interrupt.wait() => {
                let more = follow.has_more() || !deletions.is_empty();
                return target.end(session, code, more, &deletions.kept);
            }
            () = sleep_until(deletions.due()), if !deletions.is_empty() => {
                decide(session, from, &follow, &mut deletions, &mut target, interrupt).await?;
                continue;
            }
            () = sleep_until(target.try_at), if !target.is_in_step() => None,
            () = sleep_until(look_at.unwrap_or_else(Instant::now)), if look_at.is_some() => {
                look_at = None;
                target.look(session, &follow, interrupt).await?;
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
            news = follow.next() => Some(news),
        };
        match news {
            None => target.catch_up(session, &follow, interrupt).await?,
            Some(News::Lost(error)) => session.out.message(format_args!("{}; trying on", from.failure(&error))),
            Some(News::Restored(_)) => session.out.message(format_args!("{} is there again", from.shown)),
            Some(News::Ended) => return Err(ended(from)),
            Some(News::Begins | News::Following(_)) => {}
            Some(News::Change { name, after, after_loss, .. }) => {
                deletions.remove(&name);
                match after {
                    // A store that came back empty must not empty the other one.
                    None if after_loss && !args.delete => {
                        target.keep(&name);
                        gone.push(name);
                    }
                    None => deletions.add(name),
                    Some(Err(why)) => {
                        let (flag, why) = (quoted(&name), plain(why.reason()));
                        let what = format!("{flag} in {} cannot be read, and stays as it was: {why}", from.shown);
                        session.out.failure(&Failure::store(what));
                        target.keep(&name);
                        target.unreadable.insert(name);
                    }
                    Some(Ok(record)) => target.put(session, &named(&record, &name), interrupt).await?,
                }
            }
        }
    }
}

/// Destroys what was destroyed in `from`, unless that is too much to be meant.
async fn decide(
    session: &mut Session,
    from: &Store,
    follow: &Follow<'_>,
    deletions: &mut Deletions,
    target: &mut Target<'_>,
    interrupt: &mut Interrupt,
) -> Done {
    match deletions.decide(follow.known().count()) {
        Verdict::Destroy(names) => {
            for name in names {
                target.destroy(session, &name, interrupt).await?;
            }
        }
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
            let hint = "if it is meant, begin again with `--delete --max-deletions 100%`; all other changes go on";
            session.out.failure(&Failure::store(what).hint(hint));
        }
    }
    Ok(())
}

/// The target's next event. A watch never ends; if one does, there is no more to wait for.
async fn next(echo: &mut Watch<'_>) -> WatchEvent {
    match echo.next().await {
        Some(event) => event,
        None => std::future::pending().await,
    }
}

/// Whether the target seems to have other flags than it should: what was written comes back this way too.
async fn differs(event: &WatchEvent, follow: &Follow<'_>, to: &Store) -> bool {
    let is_other = |name: &str, there: Option<&State>| match (follow.state(name), there) {
        (Some(Ok(wanted)), Some(Ok(there))) => **there != named(wanted, name),
        (Some(Ok(_)), _) => true,
        // Flags that only the target has stay, and so does what cannot be read in the other one.
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
            let wanted = follow.known().filter(|(_, state)| state.is_ok()).count();
            let there = flags.iter().filter(|flag| follow.state(&flag.name).is_some_and(|state| state.is_ok())).count();
            there < wanted || flags.iter().any(|flag| is_other(&flag.name, Some(&flag.record)))
        }
        _ => false,
    }
}

fn ended(from: &Store) -> Failure {
    Failure::store(format!("{} tells of no more changes", from.shown))
}
