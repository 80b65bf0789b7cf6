//! `flipper export`

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use flipper::{FlagRecord, Object};

use crate::args::Export;
use crate::failure::{Done, Failure};
use crate::plan::Source;
use crate::records;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Export) -> Done {
    let store = session.open(Purpose::Existing).await?;
    let (source, corrupt) = Source::of(store.list().await?);
    let Source::Flags(flags) = &source else { return Ok(()) };
    let records = || flags.iter().map(|(_, record)| &**record);
    match args.file.as_deref() {
        None | Some("-") => {
            let mut text = Vec::new();
            records::write(&mut text, records())?;
            session.out.bytes(&text)?;
        }
        Some(path) => {
            write(Path::new(path), records()).map_err(|error| Failure::usage(format!("{}: {error}", plain(path))))?;
            if session.out.json() {
                let mut object = Object::new();
                object.insert("store", store.shown.as_str());
                object.insert("file", path);
                object.insert("flags", flags.len());
                session.out.value(object)?;
            } else {
                let what = count(flags.len(), "flag");
                session.out.message(format_args!("wrote {what} of {} to {}", store.shown, plain(path)));
            }
        }
    }
    for (name, why) in corrupt {
        let failure = Failure::store(format!("{} was left out, for it cannot be read: {}", quoted(&name), plain(&why)));
        session.go_on_after(failure.hint("repair or destroy it, and export again"))?;
    }
    Ok(())
}

/// Writes beside the file and puts that in its place, so that a file is never half written.
fn write<'a>(path: &Path, records: impl Iterator<Item = &'a FlagRecord>) -> std::io::Result<()> {
    let is_plain = fs::metadata(path).map_or(true, |found| found.is_file());
    if !is_plain {
        return finish(File::options().write(true).open(path)?, records);
    }
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let beside = beside(&path);
    let written = File::create(&beside).and_then(|file| {
        // Before anything is in it.
        if let Ok(old) = fs::metadata(&path) {
            file.set_permissions(old.permissions())?;
        }
        finish(file, records)?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is left of it is of no use.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn finish<'a>(file: File, records: impl Iterator<Item = &'a FlagRecord>) -> std::io::Result<()> {
    let mut writer = BufWriter::new(file);
    records::write(&mut writer, records)?;
    writer.flush()?;
    match writer.get_ref().sync_all() {
        // A pipe or a terminal has nothing to sync.
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Ok(()),
        other => other,
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
