//! `flipper sync`

mod follow;

use flipper::Stored;

use super::import::may_destroy;
use crate::args::Sync;
use crate::failure::{Done, Failure};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Source};
use crate::session::Session;
use crate::store::{Location, Purpose, Store};
use crate::text::{plain, quoted};
use crate::transfer::{self, Mode, Tally};

pub(crate) async fn run(session: &mut Session, args: &Sync) -> Done {
    let (from, to) = (Location::parse(&args.from)?, Location::parse(&args.to)?);
    if from.url == to.url {
        return Err(Failure::usage("both are the same store").hint("give the one to read first, then the one to write"));
    }
    let from = Store::open(&from, if args.follow { Purpose::Follow } else { Purpose::Existing }).await?;
    let target = if args.dry.dry_run { Purpose::Rehearsal } else { Purpose::New };
    if args.follow {
        let to = Store::open(&to, target).await?;
        return follow::run(session, args, &from, &to).await;
    }
    // Before a file is made for a store that cannot be read.
    let flags = from.list().await?;
    let to = Store::open(&to, target).await?;
    let source = readable(session, &from, flags)?;
    let plan = Plan::make(&source, to.list().await?)?;
    if args.dry.dry_run {
        return transfer::show(session, &to, &source, &plan, args.delete);
    }
    if args.delete && !may_destroy(session, &to, &plan, args.yes)? {
        return Ok(());
    }
    let interrupt = Interrupt::begin()?;
    let mode = Mode { overwrite: true, destroy: args.delete };
    let tally = transfer::apply(session, &to, &source, &plan, mode, &interrupt).await?;
    report(session, &to, &tally, if args.delete { 0 } else { plan.only_there.len() })
}

fn readable(session: &mut Session, from: &Store, flags: Vec<Stored>) -> Done<Source> {
    let (source, corrupt) = Source::of(flags);
    for (name, why) in corrupt {
        let what = format!("{} in {} cannot be read and is left out: {}", quoted(&name), from.shown, plain(&why));
        session.go_on_after(Failure::store(what))?;
    }
    Ok(source)
}

fn report(session: &mut Session, to: &Store, tally: &Tally, left: usize) -> Done {
    if session.out.json() {
        session.out.value(tally.to_json(&to.shown, false))?;
        return session.out.flush();
    }
    session.out.message(format_args!("{} is in step: {}", to.shown, tally.text()));
    if left > 0 {
        session.out.note(format_args!("{left} more that only {} has were left; --delete destroys them", to.shown));
    }
    Ok(())
}
