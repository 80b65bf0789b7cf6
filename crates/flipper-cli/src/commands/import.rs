use std::collections::HashSet;

use flipper::json::Object;

use crate::args::Import;
use crate::circles;
use crate::confirm;
use crate::elsewhere::{self, Elsewhere};
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::order::segments_of;
use crate::plan::{ASKED_AT_ONCE, Plan, get};
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, some};
use crate::transfer::{self, Mode};

const NOTHING: &str = "nothing was imported";

pub(crate) async fn run(session: &mut Session, args: &Import) -> Done {
    // The whole file is checked before anything is written.
    let mut elsewhere = match args.from {
        Some(tool) => Some(elsewhere::read(&args.file, tool, args.environment.as_deref(), args.lossy)?),
        None => None,
    };
    let file = match elsewhere {
        Some(_) => Records::default(),
        None => Records::read(&args.file)?,
    };
    let mut interrupt = Interrupt::begin()?;
    let store = session.open(if args.write.dry_run { Purpose::Rehearsal } else { Purpose::New })?;
    let source = match &mut elsewhere {
        Some(elsewhere) => interrupt.unless(NOTHING, elsewhere.records_for(&store)).await?,
        None => file,
    };
    let elsewhere = elsewhere.as_ref();
    let mut plan = match args.replace {
        true => interrupt.unless(NOTHING, Plan::make(&source, &store)).await?,
        false => interrupt.unless(NOTHING, Plan::ask(&source, &store)).await?,
    };
    // The file has them, only not in words of ours.
    if let Some(elsewhere) = elsewhere {
        interrupt.unless(NOTHING, keep_left_out(&mut plan, elsewhere, &store)).await?;
    }
    interrupt.unless(NOTHING, circles::note(session, &store, &source, &plan, args.replace)).await?;
    if args.write.dry_run {
        list(session, elsewhere);
        let show = transfer::show(session, &store, &source, &plan, args.replace, |object| add(elsewhere, object));
        return interrupt.unless(NOTHING, show).await;
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
    if args.replace && !may_destroy(session, &store, &plan, args.yes, &mut interrupt).await? {
        return Ok(());
    }
    let mode = Mode { overwrite: args.merge || args.replace, destroy: args.replace, persist: false };
    let mut refused = Refused::default();
    let tally = transfer::apply(session, &store, &source, &plan, mode, &mut interrupt, &mut refused).await?;
    if tally.failed > 0 {
        session.exit_with(Code::Store);
    }
    list(session, elsewhere);
    if session.out.json() {
        let mut object = tally.to_json(&store.shown, false);
        add(elsewhere, &mut object);
        session.out.value(object)
    } else {
        session.out.message(format_args!("imported into {}: {}", store.shown, tally.text()));
        Ok(())
    }
}

/// With the segments that they name: without those, they would be on for others.
async fn keep_left_out(plan: &mut Plan, elsewhere: &Elsewhere, store: &Store) -> Done {
    let only_there = plan.only_in_target.iter().map(|(name, _)| name);
    let mut look: Vec<String> = only_there.filter(|name| elsewhere.left_out(name)).cloned().collect();
    let mut kept: HashSet<String> = look.iter().cloned().collect();
    while !look.is_empty() {
        let mut next = Vec::new();
        for batch in look.chunks(ASKED_AT_ONCE) {
            let names: Vec<&str> = batch.iter().map(String::as_str).collect();
            let records = get(store, &names).await?.into_iter().flatten().filter_map(|stored| stored.record.ok());
            next.extend(records.flat_map(|record| segments_of(&record)).filter(|name| kept.insert(name.clone())));
        }
        look = next;
    }
    plan.only_in_target.retain(|(name, _)| !kept.contains(name));
    Ok(())
}

/// What of another tool's file was not imported as it was there.
fn list(session: &mut Session, elsewhere: Option<&Elsewhere>) {
    if !session.out.json() {
        elsewhere.iter().flat_map(|elsewhere| elsewhere.lines()).for_each(|line| session.out.note(line));
    }
}

fn add(elsewhere: Option<&Elsewhere>, object: &mut Object) {
    if let Some(elsewhere) = elsewhere {
        elsewhere.write_json(object);
    }
}

pub(crate) async fn may_destroy(
    session: &mut Session,
    store: &Store,
    plan: &Plan,
    yes: bool,
    interrupt: &mut Interrupt,
) -> Done<bool> {
    if yes || plan.only_in_target.is_empty() {
        return Ok(true);
    }
    let names = some(plan.only_in_target.iter().map(|(name, _)| name.as_str()));
    let what = count(plan.only_in_target.len(), "flag");
    let question = format!("destroy {what} that only {} has ({names})?", store.shown);
    let answer = interrupt.unless("nothing was changed", confirm::ask(&mut session.out, &question)).await;
    if interrupt.code().is_some() {
        session.out.message("");
    }
    if answer? {
        return Ok(true);
    }
    session.out.message("nothing was changed");
    session.exit_with(Code::Usage);
    Ok(false)
}
