use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::Export;
use crate::detached::detached;
use crate::failure::{Code, Done, Failure};
use crate::interrupt::Interrupt;
use crate::output::object;
use crate::records::Records;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::{count, path_text, plain, quoted, thousands};

pub(crate) async fn run(session: &mut Session, args: &Export) -> Done {
    let store = session.open(Purpose::Existing)?;
    let file = args.file.as_deref().filter(|path| path.as_os_str() != "-");
    let corrupt = match file {
        // An interrupt leaves the part that was written.
        None => {
            let records = Records::of(&store).await?;
            records.write(session.out.data(), || false)?;
            records.unreadable
        }
        Some(path) => {
            let mut interrupt = Interrupt::begin()?;
            let as_it_was = format!("{} is as it was", path_text(path));
            let mut records = interrupt.unless(&as_it_was, Records::of(&store)).await?;
            let (flags, corrupt) = (records.len(), mem::take(&mut records.unreadable));
            let is_plain = fs::metadata(path).map_or(true, |found| found.is_file());
            if let Some(code) = write(path, is_plain, records, &mut interrupt).await? {
                let left = if is_plain { &as_it_was } else { "a part was written" };
                return Err(Failure::interrupted(code).hint(left));
            }
            if session.out.json() {
                session.out.value(object([
                    ("store", store.shown.as_str().into()),
                    ("file", path_text(path).into()),
                    ("flags", flags.into()),
                    ("unreadable", corrupt.len().into()),
                ]))?;
            } else {
                let what = count(flags, "flag");
                let left_out = match corrupt.len() {
                    0 => String::new(),
                    left_out => format!(", and left out {} that cannot be read", thousands(left_out)),
                };
                session.out.message(format_args!("wrote {what} of {} to {}{left_out}", store.shown, path_text(path)));
            }
            corrupt
        }
    };
    for (name, why) in corrupt {
        let failure =
            Failure::store(format!("{} was left out, since it cannot be read: {}", quoted(&name), plain(&why)));
        session.go_on_after(failure.hint("repair or destroy it, and export again"))?;
    }
    Ok(())
}

/// Writes a temporary file and renames it, so that the file is never half written. Returns the exit code of an interrupt.
async fn write(path: &Path, is_plain: bool, records: Records, interrupt: &mut Interrupt) -> Done<Option<Code>> {
    let stop = Arc::new(AtomicBool::new(false));
    let failed = |error: io::Error| Failure::usage(format!("{}: {error}", path_text(path)));
    let place = if is_plain { fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()) } else { path.to_owned() };
    let beside = is_plain.then(|| beside(&place));
    let writing = {
        let (beside, stop) = (beside.clone(), stop.clone());
        detached(move || {
            let stopped = || stop.load(Ordering::Relaxed);
            let Some(beside) = beside else {
                return finish(File::options().write(true).open(place)?, &records, stopped);
            };
            let file = File::create(&beside)?;
            // Permissions are set before any content is written.
            if let Ok(old) = fs::metadata(&place) {
                file.set_permissions(old.permissions())?;
            }
            let is_whole = finish(file, &records, stopped)? && !stopped();
            if is_whole {
                fs::rename(&beside, &place)?;
            }
            Ok(is_whole)
        })
    };
    let written = {
        let mut writing = std::pin::pin!(writing);
        tokio::select! {
            written = &mut writing => Ok(written),
            _ = interrupt.wait() => {
                stop.store(true, Ordering::Relaxed);
                interrupt.soon(writing).await
            }
        }
    };
    if let Some(beside) = &beside
        && !matches!(written, Ok(Ok(Ok(true))))
    {
        let _ = fs::remove_file(beside);
    }
    match written {
        Ok(written) => Ok(if written?.map_err(failed)? { None } else { interrupt.code() }),
        Err(code) => Ok(Some(code)),
    }
}

fn finish(file: File, records: &Records, stopped: impl Fn() -> bool) -> io::Result<bool> {
    let mut writer = BufWriter::new(file);
    if !records.write(&mut writer, stopped)? {
        return Ok(false);
    }
    writer.flush()?;
    match writer.get_ref().sync_all() {
        // A pipe or a terminal has nothing to sync.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(true),
        other => other.map(|()| true),
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}
