//! `flipper man`

use clap::CommandFactory;

use crate::args::{Cli, Man};
use crate::failure::{Done, Failure};
use crate::session::Session;
use crate::text::path_text;

pub(crate) fn run(session: &mut Session, args: &Man) -> Done {
    let Some(folder) = &args.folder else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Cli::command()).render(&mut page)?;
        return session.out.bytes(&page);
    };
    clap_mangen::generate_to(Cli::command(), folder).map_err(|error| {
        Failure::usage(format!("{}: {error}", path_text(folder))).hint("give a folder that is there")
    })?;
    session.out.message(format_args!("wrote the pages to {}", path_text(folder)));
    Ok(())
}
