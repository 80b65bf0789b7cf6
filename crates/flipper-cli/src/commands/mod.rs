mod bucketer;
mod check;
mod client_data;
mod completions;
mod condition;
mod create;
mod destroy;
mod diff;
mod doctor;
mod evaluate;
mod export;
mod get;
mod history;
mod import;
mod lint;
mod list;
mod man;
mod postgres;
mod prerequisite;
mod rule;
mod schedule;
mod segment;
mod serve;
mod stale;
mod stores;
mod switch;
mod sync;
mod token;
mod undo;
mod variant;
mod version;
mod watch;

use crate::args::Command;
use crate::failure::Done;
use crate::session::Session;

pub(crate) async fn run(session: &mut Session, command: Command) -> Done {
    if let Some(write) = command.write() {
        session.write(write)?;
    }
    match command {
        Command::List(args) => list::run(session, &args).await,
        Command::Get(args) => get::run(session, &args).await,
        Command::Create(args) => create::run(session, &args).await,
        Command::Enable(args) => switch::run(session, &args, true).await,
        Command::Disable(args) => switch::run(session, &args, false).await,
        Command::Toggle(args) => switch::toggle(session, &args).await,
        Command::Destroy(args) => destroy::run(session, &args).await,
        Command::ClientData(args) => client_data::run(session, &args).await,
        Command::Condition(args) => condition::run(session, &args).await,
        Command::Bucketer(args) => bucketer::run(session, &args).await,
        Command::Rule(args) => rule::run(session, &args).await,
        Command::Variant(args) => variant::run(session, &args).await,
        Command::Prerequisite(args) => prerequisite::run(session, &args).await,
        Command::Schedule(args) => schedule::run(session, &args).await,
        Command::Segment(args) => segment::run(session, &args).await,
        Command::Check(args) => check::run(session, &args).await,
        Command::Evaluate(args) => evaluate::run(session, &args).await,
        Command::Watch(args) => watch::run(session, &args).await,
        Command::History(args) => history::run(session, &args).await,
        Command::Undo(args) => undo::run(session, &args).await,
        Command::Export(args) => export::run(session, &args).await,
        Command::Import(args) => import::run(session, &args).await,
        Command::Sync(args) => sync::run(session, &args).await,
        Command::Diff(args) => diff::run(session, &args).await,
        Command::Stale(args) => stale::run(session, &args).await,
        Command::Lint(args) => lint::run(session, &args).await,
        Command::Serve(args) => serve::run(session, &args).await,
        Command::Token(args) => token::run(session, &args),
        Command::Stores => stores::run(session).await,
        Command::Doctor(args) => doctor::run(session, &args).await,
        Command::Postgres(args) => postgres::run(session, &args).await,
        Command::Completions(args) => completions::run(session, &args),
        Command::Man(args) => man::run(session, &args),
        Command::Version => version::run(session),
    }
}
