//! `flipper sync --follow`

use std::time::Duration;

use flipper::{Error, Json, Object, Precondition, Stored, Version};

use super::super::import::{may_destroy, some};
use super::{readable, report};
use crate::args::Sync;
use crate::failure::{Code, Done, Failure};
use crate::follow::{Follow, News, State};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Source};
use crate::records::named;
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, plain, quoted};
use crate::transfer::{self, Mode};

/// Between two tries to write to a store that is away.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Keeps `to` in step until it is interrupted. Whatever was missed while either store was away is found by comparing all.
pub(super) async fn run(session: &mut Session, args: &Sync, from: &Store, to: &Store) -> Done {
    let mut interrupt = Interrupt::begin()?;
    let mut follow = Follow::new(from);
    let mut begun = false;
    // Flags that were destroyed in `from` and are not yet in `to`.
    let mut destroyed: Vec<String> = Vec::new();
    // Flags that are gone since `from` was away; told when all of them are known.
    let mut kept: Vec<String> = Vec::new();
    let mut behind = false;
    let mut away = false;
    loop {
        if !kept.is_empty() && !follow.has_more() {
            session.out.note(format_args!(
                "{} no longer in {}, which was away, and kept in {}: {}; --delete would destroy them",
                count(kept.len(), "flag"),
                from.shown,
                to.shown,
                some(kept.iter().map(String::as_str))
            ));
            kept.clear();
        }
        let news = tokio::select! {
            () = interrupt.wait() => {
                session.out.message(if behind { "interrupted, with changes still to write; the same command goes on" } else { "interrupted, with all changes written" });
                return if behind { Err(Failure::silent(Code::Interrupted)) } else { Ok(()) };
            }
            news = follow.next() => Some(news),
            () = tokio::time::sleep(TRY_AGAIN), if behind => None,
        };
        match news {
            Some(News::Begins) => {
                let flags = flags(&follow);
                let source = readable(session, from, flags)?;
                let plan = Plan::make(&source, to.list().await?)?;
                if args.delete && !may_destroy(session, to, &plan, args.yes)? {
                    return Ok(());
                }
                let mode = Mode { overwrite: true, destroy: args.delete };
                let tally = transfer::apply(session, to, &source, &plan, mode, &interrupt).await?;
                report(session, to, &tally, if args.delete { 0 } else { plan.only_there.len() })?;
                session.out.message(format_args!("following {}; Ctrl-C ends it", from.shown));
                begun = true;
                continue;
            }
            Some(News::Lost(error)) if !begun => return Err(from.failure(&error)),
            Some(News::Lost(error)) => session.out.message(format_args!("{}; trying on", from.failure(&error))),
            Some(News::Restored(_)) => session.out.message(format_args!("{} is there again", from.shown)),
            Some(News::Ended) => return Err(Failure::store(format!("{} tells of no more changes", from.shown))),
            Some(News::Following(_)) => continue,
            Some(News::Change { name, after, by_comparison, .. }) => {
                destroyed.retain(|destroyed| *destroyed != name);
                match after {
                    // A store that came back empty must not empty the other one.
                    None if by_comparison && !args.delete => kept.push(name),
                    None => destroyed.push(name),
                    Some(Err(why)) => {
                        let what = format!(
                            "{} in {} cannot be read, and stays as it was: {}",
                            quoted(&name),
                            from.shown,
                            plain(why.reason())
                        );
                        session.go_on_after(Failure::store(what))?;
                    }
                    Some(Ok(record)) if !behind => {
                        let record = named(&record, &name);
                        match to.inner.put(&record, Precondition::Any).await {
                            Ok(_) => told(session, "wrote", &name)?,
                            Err(error) => away = say(session, to, &error, away),
                        }
                        behind = away;
                        continue;
                    }
                    Some(Ok(_)) => {}
                }
                behind |= !destroyed.is_empty();
            }
            None => {}
        }
        if !behind {
            continue;
        }
        match catch_up(session, &follow, to, &mut destroyed, &interrupt).await {
            Ok(()) => {
                if away {
                    session.out.message(format_args!("{} is there again, and in step", to.shown));
                }
                (behind, away) = (false, false);
            }
            Err(failure) if failure.code == Code::Interrupted => return Err(failure),
            Err(failure) => {
                if !away {
                    session.out.message(format_args!("{failure}; trying on"));
                }
                away = true;
            }
        }
    }
}

/// Tells of a write that failed, the first time.
fn say(session: &mut Session, to: &Store, error: &Error, away: bool) -> bool {
    if !away {
        session.out.message(format_args!("{}; trying on", to.failure(error)));
    }
    true
}

fn told(session: &mut Session, verb: &str, name: &str) -> Done {
    if session.out.json() {
        let object: Object = [("event", Json::from(verb)), ("name", name.into())].into_iter().collect();
        session.out.value(object)?;
        return session.out.flush();
    }
    session.out.message(format_args!("{verb} {}", quoted(name)));
    Ok(())
}

/// Brings `to` in step by comparing all flags.
async fn catch_up(
    session: &mut Session,
    follow: &Follow<'_>,
    to: &Store,
    destroyed: &mut Vec<String>,
    interrupt: &Interrupt,
) -> Done {
    let (source, _) = Source::of(flags(follow));
    let plan = Plan::make(&source, to.list().await?)?;
    if !plan.is_empty() {
        let mode = Mode { overwrite: true, destroy: false };
        let tally = transfer::apply(session, to, &source, &plan, mode, interrupt).await?;
        session.out.message(tally.text());
    }
    while let Some(name) = destroyed.last() {
        to.inner.delete(name, Precondition::Any).await.map_err(|error| to.failure(&error))?;
        told(session, "destroyed", name)?;
        destroyed.pop();
    }
    Ok(())
}

/// The flags as they were told; nothing asks for their versions.
fn flags(follow: &Follow<'_>) -> Vec<Stored> {
    let stored = |(name, record): (&str, &State)| Stored {
        name: name.to_owned(),
        version: Version::ordered(0),
        record: record.clone(),
    };
    follow.known().map(stored).collect()
}
