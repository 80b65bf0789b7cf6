use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use anstyle::Style;
use flipper::ErrorKind;
use flipper::json::Object;
use flipper::store::{Check, Finding, Identity};
use tokio::time::timeout;

use crate::args::Doctor;
use crate::failure::{Code, Done, look_at};
use crate::output::{NOTE, OFF, ON, Output, object, or_null, styled};
use crate::session::Session;
use crate::store::{Choice, Location, Purpose, Store, is_segment};
use crate::text::{count, path_text, plain, quoted, some, thousands};

/// Limit for one answer of the store.
const PATIENCE: Duration = Duration::from_secs(8);
/// A slower call is a problem: a check that reads the store takes as long.
const SLOW: Duration = Duration::from_millis(100);
const CALLS: usize = 3;

pub(crate) async fn run(session: &mut Session, args: &Doctor) -> Done {
    let choice = session.choice()?;
    let (identity, mut checks) = examine_at(&choice.location).await?;
    checks.extend(args.snapshot.as_deref().map(snapshot));
    report(session, &choice, identity.as_ref(), &checks)
}

/// And its replicas.
pub(super) async fn examine_at(location: &Location) -> Done<(Option<Identity>, Vec<Check>)> {
    let (identity, mut checks) = examine_one(location).await?;
    for replica in &location.replicas {
        let (_, found) = examine_one(replica).await?;
        checks.extend(found.into_iter().map(|mut check| {
            check.text = format!("replica {}: {}", replica.shown, check.text);
            check
        }));
    }
    Ok((identity, checks))
}

async fn examine_one(location: &Location) -> Done<(Option<Identity>, Vec<Check>)> {
    match Store::open(location, Purpose::Existing) {
        Ok(store) => {
            let identity = store.inner.identity();
            Ok((Some(identity), examine(&store).await))
        }
        Err(failure) if failure.code == Code::Usage => Err(failure),
        Err(failure) => Ok((None, vec![Check::new("reachable", Finding::Fault, failure.to_string())])),
    }
}

/// Prints the checks. The exit code is that of the worst finding.
pub(super) fn report(session: &mut Session, choice: &Choice, identity: Option<&Identity>, checks: &[Check]) -> Done {
    let out = &mut session.out;
    if out.json() {
        out.value(findings(choice.to_json(identity), checks))?;
    } else {
        choice.lines(identity).into_iter().try_for_each(|line| out.line(line))?;
        show(out, checks)?;
        let number = |finding| checks.iter().filter(|check| check.finding == finding).count();
        match (number(Finding::Fault), number(Finding::Problem)) {
            (0, 0) => out.message("all is fine"),
            (0, problems) => out.message(format_args!("{}, and no fault", count(problems, "problem"))),
            (faults, problems) => {
                out.message(format_args!("{}, {}", count(faults, "fault"), count(problems, "problem")));
            }
        }
    }
    end_with(session, checks);
    Ok(())
}

fn worst(checks: &[Check]) -> Finding {
    checks.iter().map(|check| check.finding).max().unwrap_or(Finding::Fine)
}

pub(super) fn findings(mut object: Object, checks: &[Check]) -> Object {
    object.insert("finding", shown(worst(checks)).0);
    object.insert("checks", checks.iter().map(to_json).collect::<Vec<_>>());
    object
}

pub(super) fn show(out: &mut Output, checks: &[Check]) -> Done {
    let width = checks.iter().map(|check| check.what.len()).max().unwrap_or(0);
    for check in checks {
        let (word, style) = shown(check.finding);
        let finding = styled(style, format_args!("{word:<9}"));
        out.line(format_args!("{finding}  {:<width$}  {}", check.what, plain(&check.text)))?;
        if let Some(hint) = &check.hint {
            out.line(format_args!("{:9}  {:width$}  {}", "", "", plain(hint)))?;
        }
    }
    Ok(())
}

pub(super) fn end_with(session: &mut Session, checks: &[Check]) {
    match worst(checks) {
        Finding::Fine => {}
        Finding::Problem => session.exit_with(Code::Off),
        _ => session.exit_with(Code::Store),
    }
}

/// The store's own checks, and those that need calls.
async fn examine(store: &Store) -> Vec<Check> {
    let Ok(mut checks) = timeout(PATIENCE, store.inner.inspect()).await else {
        return vec![silent(store)];
    };
    let place = store.inner.identity();
    checks.retain(|check| !(check.what == "identity" && check.finding == Finding::Fine && check.text == place.place()));
    if let Some(away) = checks.iter_mut().find(|check| check.what == "reachable" && check.finding == Finding::Fault) {
        away.hint.get_or_insert_with(|| look_at(&store.shown, &away.text).to_owned());
        return checks;
    }
    let started = Instant::now();
    match timeout(PATIENCE, store.inner.list()).await {
        Err(_elapsed) => checks.push(silent(store)),
        Ok(Err(error)) => {
            let what = if error.kind() == ErrorKind::Unavailable { "reachable" } else { "flags" };
            checks.retain(|check| check.what != what);
            checks.push(Check::new(what, Finding::Fault, store.failure(&error).to_string()));
        }
        Ok(Ok(mut flags)) => {
            flags.retain(|flag| !is_segment(flag));
            checks.retain(|check| check.what != "flags" || check.finding > Finding::Fine);
            let text = format!("{}, read within {}", count(flags.len(), "flag"), milliseconds(started.elapsed()));
            let unreadable: Vec<_> = flags.iter().filter(|flag| flag.record.is_err()).collect();
            checks.push(match &unreadable[..] {
                [] => Check::new("flags", Finding::Fine, text),
                [first, ..] => {
                    let names = some(unreadable.iter().map(|flag| flag.name.as_str()));
                    let text = format!("{text}, of which {} cannot be read: {names}", thousands(unreadable.len()));
                    let name = quoted(&first.name);
                    let hint = format!("`flipper get {name}` says why; `flipper destroy {name}` removes it");
                    Check::new("flags", Finding::Problem, text).hint(hint)
                }
            });
            checks.push(round_trip(store).await);
        }
    }
    checks
}

fn silent(store: &Store) -> Check {
    let text = format!("{} did not answer within {}", store.shown, humantime::format_duration(PATIENCE));
    Check::new("reachable", Finding::Fault, text).hint("does it hang, or does a firewall drop packets?")
}

async fn round_trip(store: &Store) -> Check {
    let mut times = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let started = Instant::now();
        match timeout(PATIENCE, store.inner.get("flipper-doctor")).await {
            Err(_elapsed) => return silent(store),
            Ok(Err(error)) => return Check::new("call", Finding::Fault, store.failure(&error).to_string()),
            Ok(Ok(_)) => times.push(started.elapsed()),
        }
    }
    times.sort_unstable();
    let time = times[times.len() / 2];
    let text = format!("one flag is read within {}", milliseconds(time));
    match time > SLOW {
        false => Check::new("call", Finding::Fine, text),
        true => Check::new("call", Finding::Problem, text).hint("is it far away, or busy?"),
    }
}

pub(super) fn snapshot(path: &Path) -> Check {
    let shown = path_text(path);
    let check = |finding, text: String| Check::new("snapshot", finding, format!("{shown}: {text}"));
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => check(Finding::Problem, "does not exist".to_owned())
            .hint("`flipper serve --snapshot` writes it once it has the flags"),
        Err(error) => check(Finding::Fault, error.to_string()),
        Ok(found) if !found.is_file() => check(Finding::Fault, "is no file".to_owned()),
        Ok(found) => {
            if let Err(error) = fs::File::open(path) {
                return check(Finding::Fault, format!("cannot be read: {error}"));
            }
            let age = found.modified().ok().and_then(|at| at.elapsed().ok()).unwrap_or_default();
            let age = humantime::format_duration(Duration::from_secs(age.as_secs()));
            check(Finding::Fine, format!("{} bytes, written {age} ago", found.len()))
        }
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

fn shown(finding: Finding) -> (&'static str, Style) {
    match finding {
        Finding::Fine => ("fine", ON),
        Finding::Problem => ("problem", NOTE),
        _ => ("fault", OFF),
    }
}

fn to_json(check: &Check) -> Object {
    object([
        ("what", check.what.into()),
        ("finding", shown(check.finding).0.into()),
        ("text", check.text.as_str().into()),
        ("hint", or_null(check.hint.as_deref())),
    ])
}
