use std::time::SystemTime;

use flipper::__words::{chosen_by, is_on_now, percent, share, turns};
use flipper::json::{Json, Object};
use flipper::targeting::{Schedule, Step};
use flipper::{FlagRecord, Result};
use jiff::tz::TimeZone;

use crate::args;
use crate::change::{Messages, change, refuse};
use crate::describe::rollout;
use crate::failure::{Done, Failure};
use crate::output::{FAINT, OFF, ON, object, or_null, styled};
use crate::session::Session;
use crate::store::Store;
use crate::text::{now, plain, quoted};
use crate::time::{seconds, shown, until, zone};

pub(crate) async fn run(session: &mut Session, args: &args::Schedule) -> Done {
    let zone = args.zone.as_deref().map(zone).transpose()?;
    let wanted = Wanted::read(args, zone.as_ref())?;
    if !args.clear && wanted.is_empty() {
        if args.write.dry_run || args.write.because.is_some() {
            return Err(Failure::usage("there is nothing to change").hint("`flipper schedule --help` has the options"));
        }
        let show = async |session: &mut Session, store: &Store, name: &str| {
            show(session, name, &*store.record(name).await?, zone.as_ref())
        };
        return session.each_given(&args.names, show).await;
    }
    let set = async |session: &mut Session, store: &Store, name: &str| set(session, store, args, &wanted, name).await;
    session.each_given(&args.names, set).await
}

/// The times of the options.
struct Wanted {
    enable_at: Option<i64>,
    disable_at: Option<i64>,
    steps: Vec<Step>,
}

impl Wanted {
    fn read(args: &args::Schedule, zone: Option<&TimeZone>) -> Done<Self> {
        let now = now();
        let time = |text: &Option<String>| text.as_deref().map(|text| seconds(text, zone, now)).transpose();
        let step = |text: &String| {
            let (written, at) = text.split_once('@').ok_or_else(|| {
                Failure::usage(format!("{:?} is no step", plain(text))).hint("write it like 10%@2026-12-07T09:00Z")
            })?;
            let share = share(written).map_err(|what| Failure::usage(format!("--step: {what}")))?;
            Ok(Step { at: seconds(at, zone, now)?, share })
        };
        Ok(Self {
            enable_at: time(&args.enable_at)?,
            disable_at: time(&args.disable_at)?,
            steps: args.step.iter().map(step).collect::<Done<_>>()?,
        })
    }

    fn is_empty(&self) -> bool {
        self.enable_at.is_none() && self.disable_at.is_none() && self.steps.is_empty()
    }

    /// Whether the schedule says when the flag begins to be on.
    fn begins(&self) -> bool {
        self.enable_at.is_some() || !self.steps.is_empty()
    }

    fn next(&self, args: &args::Schedule, record: &FlagRecord) -> Result<Option<Schedule>> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut next = record.schedule().filter(|_| !args.clear).cloned().unwrap_or_default();
        next.enable_at = self.enable_at.or(next.enable_at);
        next.disable_at = self.disable_at.or(next.disable_at);
        if !self.steps.is_empty() {
            next.steps.clone_from(&self.steps);
            let present = || record.schedule().map(|schedule| schedule.by.clone()).filter(|by| !by.is_empty());
            next.by =
                args.by.clone().or_else(present).or_else(|| chosen_by(record)).ok_or_else(|| {
                    refuse("steps need the attribute that identifies callers; say which: --by user_id")
                })?;
        }
        Ok(Some(next))
    }
}

async fn set(session: &mut Session, store: &Store, args: &args::Schedule, wanted: &Wanted, name: &str) -> Done {
    let quoted = quoted(name);
    let messages = |_: &FlagRecord, after: &FlagRecord| match after.schedule() {
        Some(schedule) => {
            Messages { done: format!("{quoted} is {schedule},"), already: format!("{quoted} is {schedule} already,") }
        }
        None => {
            Messages { done: format!("removed the schedule of {quoted}"), already: format!("{quoted} has no schedule") }
        }
    };
    let mut notes = Vec::new();
    let edit = |record: &mut FlagRecord| {
        let next = wanted.next(args, record)?;
        let before = Now::of(record);
        if let Some(next) = &next {
            next.check_new(record.schedule(), SystemTime::now())?;
        }
        if wanted.begins() {
            record.set_enabled(true);
        }
        match next {
            Some(next) => record.set_schedule(Some(next)),
            // What it keeps off stays off.
            None => record.clear_schedule(now()),
        }
        notes = notes_on(&quoted, record, &before, args.write.dry_run);
        Ok(())
    };
    change(session, store, name, args.write.dry_run, messages, edit).await?;
    if !session.out.json() {
        notes.iter().for_each(|note| session.out.note(note));
    }
    Ok(())
}

/// What a flag is now, as far as its switch and its schedule decide.
struct Now {
    is_on: bool,
    /// Of the steps, if it has some.
    share: Option<f64>,
}

impl Now {
    fn of(record: &FlagRecord) -> Self {
        let steps = record.schedule().map(|schedule| &schedule.steps[..]).unwrap_or_default();
        let begun = steps.iter().rev().find(|step| step.at <= now());
        let share = begun.map_or(0.0, |step| step.share);
        Self { is_on: is_on_now(record), share: Some(share).filter(|_| !steps.is_empty()) }
    }

    /// Whether any caller has it.
    fn is_seen(&self) -> bool {
        self.is_on && self.share != Some(0.0)
    }

    /// `on for 10%`
    fn shown(&self) -> String {
        match self.share {
            _ if !self.is_on => "off".to_owned(),
            Some(share) => format!("on for {}", percent(share)),
            None => "on".to_owned(),
        }
    }

    fn styled(&self) -> String {
        styled(if self.is_seen() { ON } else { OFF }, self.shown())
    }
}

/// What the command's user may not expect of the flag's state after the change, or after that of a dry run.
fn notes_on(quoted: &str, record: &FlagRecord, before: &Now, dry_run: bool) -> Vec<String> {
    let mut notes = Vec::new();
    let after = Now::of(record);
    let turned = match dry_run {
        false => format!("{quoted} was {}, and is {} now", before.shown(), after.shown()),
        true => format!("{quoted} is {}, and would be {}", before.shown(), after.shown()),
    };
    match (before.is_seen(), after.is_seen()) {
        _ if !record.is_enabled() => {
            notes.push(format!("{quoted} is off, and stays so until `flipper enable {quoted}`"));
        }
        (true, false) => notes.push(format!("{turned} until its schedule begins")),
        (false, true) => notes.push(turned),
        _ => {}
    }
    let steps = after.share.is_some();
    if let Some(rollout) = rollout(record.bucketer()).filter(|_| steps) {
        let decide = if dry_run { "would decide" } else { "decide" };
        notes.push(format!("the steps {decide} instead of the rollout ({rollout})"));
    }
    if steps && !record.conditions().is_empty() {
        let are = if dry_run { "would not be" } else { "are not" };
        notes.push(format!(
            "{quoted} has conditions: they alone decide checks that give attributes, and the steps {are} used"
        ));
    }
    notes
}

fn show(session: &mut Session, name: &str, record: &FlagRecord, zone: Option<&TimeZone>) -> Done {
    if session.out.json() {
        return session.out.value(to_json(name, record));
    }
    let out = &mut session.out;
    let state = Now::of(record).styled();
    let Some(schedule) = record.schedule() else {
        out.message(format_args!("{} is {state}, and has no schedule", quoted(name)));
        return Ok(());
    };
    for (at, what) in turns(schedule) {
        let left = styled(FAINT, format_args!("({})", until(at, now())));
        out.line(format_args!("{} from {} {left}", what, shown(at, zone)))?;
    }
    if record.is_enabled() {
        out.message(format_args!("{} is {state} now", quoted(name)));
    } else {
        let name = quoted(name);
        out.note(format_args!("{name} is off, and stays so until `flipper enable {name}`"));
    }
    Ok(())
}

fn to_json(name: &str, record: &FlagRecord) -> Object {
    let turn = |(at, what): (i64, String)| Json::from(object([("at", at.into()), ("what", what.into())]));
    let all = record.schedule().map(turns).unwrap_or_default();
    object([
        ("name", name.into()),
        ("enabled", is_on_now(record).into()),
        ("schedule", or_null(record.schedule().map(Schedule::to_json))),
        ("turns", all.into_iter().map(turn).collect::<Vec<_>>().into()),
        ("next_turn", or_null(next(record))),
    ])
}

/// When an enabled flag turns next.
pub(super) fn next(record: &FlagRecord) -> Option<i64> {
    record.schedule().filter(|_| record.is_enabled())?.next_turn(now())
}
