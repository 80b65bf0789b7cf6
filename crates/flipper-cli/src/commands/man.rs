use std::fs;
use std::io;
use std::path::Path;

use clap::{Command, CommandFactory};

use crate::args::{Cli, Man};
use crate::failure::{Done, Failure};
use crate::session::Session;
use crate::text::path_text;

pub(crate) fn run(session: &mut Session, args: &Man) -> Done {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let Some(folder) = &args.folder else {
        let page = page(&command)?;
        return session.out.bytes(&page);
    };
    write(&command, folder)
        .map_err(|error| Failure::usage(format!("{}: {error}", path_text(folder))).hint("give an existing folder"))?;
    session.out.message(format_args!("wrote the pages to {}", path_text(folder)));
    Ok(())
}

fn write(command: &Command, folder: &Path) -> io::Result<()> {
    for command in command.get_subcommands() {
        write(command, folder)?;
    }
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    fs::write(folder.join(format!("{name}.1")), page(command)?)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let source = concat!("flipper ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source).render(&mut page)?;
    // `clap_mangen` leaves out the values of options.
    let text = String::from_utf8_lossy(&page).into_owned();
    let lines = text.lines().map(|line| match line.starts_with(r"\fBflipper") {
        true => with_values(command, line),
        false => line.to_owned(),
    });
    Ok((lines.collect::<Vec<_>>().join("\n") + "\n").into_bytes())
}

fn with_values(command: &Command, synopsis: &str) -> String {
    let mut synopsis = synopsis.to_owned();
    for option in command.get_arguments().filter(|option| option.get_action().takes_values()) {
        let (Some(long), Some(names)) = (option.get_long(), option.get_value_names()) else { continue };
        let option = format!(r"\fB\-\-{}\fR", long.replace('-', r"\-"));
        let with_value = format!(r"{option} \fI<{}>\fR", names.join(" "));
        synopsis = synopsis.replace(&format!("[{option}]"), &format!("[{with_value}]"));
        // A required option needs no brackets.
        synopsis = synopsis.replace(&format!("<{option}>"), &with_value);
    }
    synopsis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_have_their_values() {
        fn check(command: &Command) {
            let page = String::from_utf8(page(command).unwrap()).unwrap();
            let synopsis = page.lines().find(|line| line.starts_with(r"\fBflipper")).unwrap();
            for option in command.get_arguments().filter(|option| option.get_action().takes_values()) {
                if let Some(long) = option.get_long() {
                    let long = format!(r"\-\-{}\fR \fI<", long.replace('-', r"\-"));
                    assert!(synopsis.contains(&long), "{long}: {synopsis}");
                }
            }
            command.get_subcommands().for_each(check);
        }
        let mut command = Cli::command().disable_help_subcommand(true);
        command.build();
        check(&command);
    }
}
