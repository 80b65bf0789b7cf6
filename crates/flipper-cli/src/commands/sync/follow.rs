//! `flipper sync --follow`

use super::target::Target;
use super::{NOTHING, readable, write};
use crate::args::Sync;
use crate::failure::{Done, Failure};
use crate::follow::{Follow, News};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::{Records, named};
use crate::session::Session;
use crate::store::Store;
use crate::text::{count, plain, quoted, some};

/// Keeps `to` in step until it is interrupted. Whatever was missed while either store was away is found by comparing all.
pub(super) async fn run(
    session: &mut Session,
    args: &Sync,
    from: &Store,
    to: &Store,
    interrupt: &mut Interrupt,
) -> Done {
    let mut follow = Follow::new(from);
    let mut target = Target::new(to);
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
    let source = readable(session, from, Records::known(follow.known()))?;
    let plan = interrupt.unless(NOTHING, Plan::make(&source, to)).await?;
    if !write(session, args, to, &source, &plan, interrupt, &mut target.refused).await? {
        return Ok(());
    }
    drop((source, plan));
    session.out.message(format_args!("following {}; Ctrl-C ends it", from.shown));

    // Flags that are gone since `from` was away; told when all of them are known.
    let mut kept: Vec<String> = Vec::new();
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
            biased;
            code = interrupt.wait() => return target.end(session, code, follow.has_more()),
            () = tokio::time::sleep_until(target.try_at), if !target.is_in_step() => None,
            news = follow.next() => Some(news),
        };
        match news {
            None => target.catch_up(session, &follow, interrupt).await?,
            Some(News::Lost(error)) => session.out.message(format_args!("{}; trying on", from.failure(&error))),
            Some(News::Restored(_)) => session.out.message(format_args!("{} is there again", from.shown)),
            Some(News::Ended) => return Err(ended(from)),
            Some(News::Begins | News::Following(_)) => {}
            Some(News::Change { name, after, by_comparison, .. }) => match after {
                // A store that came back empty must not empty the other one.
                None if by_comparison && !args.delete => {
                    target.keep(&name);
                    kept.push(name);
                }
                None => target.destroy(session, &name, interrupt).await?,
                Some(Err(why)) => {
                    target.keep(&name);
                    let (flag, why) = (quoted(&name), plain(why.reason()));
                    let what = format!("{flag} in {} cannot be read, and stays as it was: {why}", from.shown);
                    session.go_on_after(Failure::store(what))?;
                }
                Some(Ok(record)) => target.put(session, &named(&record, &name), interrupt).await?,
            },
        }
    }
}

fn ended(from: &Store) -> Failure {
    Failure::store(format!("{} tells of no more changes", from.shown))
}
