use clap::CommandFactory;

use crate::args::{Cli, Completions};
use crate::failure::Done;
use crate::session::Session;

pub(crate) fn run(session: &mut Session, args: &Completions) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "flipper", &mut script);
    session.out.bytes(&script)
}
