mod deletions;
mod follow;
mod target;

use super::import::may_destroy;
use crate::args::{Limit, Sync};
use crate::circles;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::{Location, Purpose, Store};
use crate::text::{count, plain, quoted, thousands};
use crate::transfer::{self, Mode, Tally};

const NOTHING: &str = "nothing was written";

pub(crate) async fn run(session: &mut Session, args: &Sync) -> Done {
    let (from, to) = (Location::parse(&args.from)?, Location::parse(&args.to)?);
    if from.url == to.url {
        return Err(Failure::usage("both are the same store").hint("give the one to read first, then the one to write"));
    }
    let mut interrupt = Interrupt::begin()?;
    let from = Store::open(&from, Purpose::Existing)?;
    let target = if args.write.dry_run { Purpose::Rehearsal } else { Purpose::New };
    if args.follow {
        let written = session.writing(Store::open(&to, target)?)?;
        // An SQLite file is watched through a second store, separate from the one that writes.
        let watched = Store::open(&to, Purpose::Existing)?;
        return follow::run(session, args, &from, &written, &watched, &mut interrupt).await;
    }
    // Read before a file is created for the target.
    let source = interrupt.unless(NOTHING, Records::of(&from)).await?;
    let to = session.writing(Store::open(&to, target)?)?;
    for (name, why) in &source.unreadable {
        session.go_on_after(unreadable(&from, name, why))?;
    }
    let plan = interrupt.unless(NOTHING, Plan::make(&source, &to)).await?;
    interrupt.unless(NOTHING, circles::note(session, &to, &source, &plan, args.delete)).await?;
    if args.write.dry_run {
        return interrupt.unless(NOTHING, transfer::show(session, &to, &source, &plan, args.delete, |_| {})).await;
    }
    write(session, args, &to, &source, &plan, &mut interrupt, &mut Refused::default()).await.map(drop)
}

/// Writes what was planned; returns `false` if a question was answered with no.
async fn write(
    session: &mut Session,
    args: &Sync,
    to: &Store,
    source: &Records,
    plan: &Plan,
    interrupt: &mut Interrupt,
    refused: &mut Refused,
) -> Done<bool> {
    if args.delete {
        let limit = args.max_deletions.or(args.follow.then_some(Limit::USUAL));
        let (destroyed, all) =
            (plan.only_in_target.len(), plan.only_in_target.len() + plan.change.len() + plan.unchanged);
        if let Some(limit) = limit.filter(|limit| limit.is_exceeded(destroyed, all)) {
            return Err(Failure::usage(format!(
                "{} of {} in {} would be destroyed, more than the {limit} that --max-deletions allows",
                thousands(destroyed),
                count(all, "flag"),
                to.shown
            ))
            .hint("nothing was written; `--max-deletions 100%` allows it"));
        }
    }
    if args.delete && !may_destroy(session, to, plan, args.yes, interrupt).await? {
        return Ok(false);
    }
    let mode = Mode { overwrite: true, destroy: args.delete, persist: false };
    let tally = transfer::apply(session, to, source, plan, mode, interrupt, refused).await?;
    // With `--follow` it may still be accepted.
    if tally.failed > 0 && !args.follow {
        session.exit_with(Code::Store);
    }
    report(session, to, source, &tally, if args.delete { 0 } else { plan.only_in_target.len() })?;
    Ok(true)
}

fn unreadable(from: &Store, name: &str, why: &str) -> Failure {
    Failure::store(format!("{} in {} cannot be read and is left out: {}", quoted(name), from.shown, plain(why)))
}

fn report(session: &mut Session, to: &Store, source: &Records, tally: &Tally, left: usize) -> Done {
    if session.out.json() {
        session.out.value(tally.to_json(&to.shown, false))?;
        return session.out.flush();
    }
    let is = match source.unreadable.len() {
        _ if tally.failed > 0 => "is not in step".to_owned(),
        0 => "is in step".to_owned(),
        unreadable => format!("is in step but for {} that cannot be read", count(unreadable, "flag")),
    };
    session.out.message(format_args!("{} {is}: {}", to.shown, tally.text()));
    if left > 0 {
        session.out.note(format_args!("{left} more that only {} has were left; --delete destroys them", to.shown));
    }
    Ok(())
}
