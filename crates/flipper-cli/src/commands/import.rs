//! `flipper import`

use crate::args::Import;
use crate::confirm;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::plan::{Plan, Source};
use crate::records::Records;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, quoted};
use crate::transfer::{self, Mode};

/// How many names a message tells.
const NAMED: usize = 5;

pub(crate) async fn run(session: &mut Session, args: &Import) -> Done {
    // The whole file, before anything is made or written.
    let source = Source::File(Records::read(&args.file)?);
    let store = session.open(if args.dry.dry_run { Purpose::Rehearsal } else { Purpose::New }).await?;
    let plan = match args.replace {
        true => Plan::make(&source, store.list().await?)?,
        false => Plan::ask(&source, &store, args.dry.dry_run).await?,
    };
    if args.dry.dry_run {
        return transfer::show(session, &store, &source, &plan, args.replace);
    }
    if !args.merge && !args.replace && !plan.change.is_empty() {
        let names = some(plan.change.iter().map(|index| source.name(*index)));
        let what = count(plan.change.len(), "flag");
        return Err(Failure::usage(format!(
            "the file has {what} that {} has too, and not the same: {names}",
            store.shown
        ))
        .hint("nothing was imported; --dry-run shows what differs, --merge writes over them"));
    }
    if args.replace && !may_destroy(session, &store, &plan, args.yes)? {
        return Ok(());
    }
    let interrupt = Interrupt::begin()?;
    let mode = Mode { overwrite: args.merge || args.replace, destroy: args.replace };
    let tally = transfer::apply(session, &store, &source, &plan, mode, &interrupt).await?;
    if session.out.json() {
        session.out.value(tally.to_json(&store.shown, false))
    } else {
        session.out.message(format_args!("imported into {}: {}", store.shown, tally.text()));
        Ok(())
    }
}

/// Asks whether flags that only the target has may go.
pub(crate) fn may_destroy(session: &mut Session, store: &Store, plan: &Plan, yes: bool) -> Done<bool> {
    if yes || plan.only_there.is_empty() {
        return Ok(true);
    }
    let names = some(plan.only_there.iter().map(|(name, _)| name.as_str()));
    let what = count(plan.only_there.len(), "flag");
    let question = format!("destroy {what} that only {} has ({names})?", store.shown);
    if confirm::ask(&mut session.out, &question)? {
        return Ok(true);
    }
    session.out.message("nothing was changed");
    session.exit_with(Code::Usage);
    Ok(false)
}

/// The first names of many.
pub(crate) fn some<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut shown: Vec<_> = names.take(NAMED + 1).map(quoted).collect();
    if shown.len() > NAMED {
        shown[NAMED] = "…".to_owned();
    }
    shown.join(", ")
}
