use crate::args::Import;
use crate::confirm;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::plan::Plan;
use crate::records::Records;
use crate::refused::Refused;
use crate::session::Session;
use crate::store::{Purpose, Store};
use crate::text::{count, some};
use crate::transfer::{self, Mode};

const NOTHING: &str = "nothing was imported";

pub(crate) async fn run(session: &mut Session, args: &Import) -> Done {
    // The whole file is checked before anything is written.
    let source = Records::read(&args.file)?;
    let mut interrupt = Interrupt::begin()?;
    let store = session.open(if args.write.dry_run { Purpose::Rehearsal } else { Purpose::New })?;
    let plan = match args.replace {
        true => interrupt.unless(NOTHING, Plan::make(&source, &store)).await?,
        false => interrupt.unless(NOTHING, Plan::ask(&source, &store)).await?,
    };
    if args.write.dry_run {
        return interrupt.unless(NOTHING, transfer::show(session, &store, &source, &plan, args.replace)).await;
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
    if session.out.json() {
        session.out.value(tally.to_json(&store.shown, false))
    } else {
        session.out.message(format_args!("imported into {}: {}", store.shown, tally.text()));
        Ok(())
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
