use flipper::json::Json;
use flipper::store::Stored;
use flipper::{Bucketer, FlagRecord};

use super::list;
use crate::args::Stale;
use crate::describe::ramp;
use crate::failure::Done;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::{count, now};

pub(crate) async fn run(session: &mut Session, args: &Stale) -> Done {
    let store = session.open(Purpose::Existing)?;
    let before = now().saturating_sub(i64::try_from(args.older_than.as_secs()).unwrap_or(i64::MAX));
    let all = store.list().await?;
    let is_stale = |flag: &&Stored| {
        flag.record
            .as_ref()
            .is_ok_and(|record| record.created_date().is_some_and(|date| date <= before) && is_settled(record))
    };
    let stale: Vec<_> = all.iter().filter(is_stale).collect();
    if session.out.json() {
        return session.out.value(stale.into_iter().map(list::item).collect::<Vec<_>>());
    }
    let what = format!("{} of {} may be taken out of the code", stale.len(), count(all.len(), "flag"));
    if !stale.is_empty() {
        list::write(session, &stale)?;
    }
    session.out.message(what);
    Ok(())
}

/// Whether the flag is on or off for all callers, now and later.
fn is_settled(record: &FlagRecord) -> bool {
    if !record.is_enabled() {
        return true;
    }
    let is_for_all = || match ramp(record.bucketer()) {
        Some(ramp) => ramp.is_over() && ramp.last >= 1.0,
        None => match record.bucketer().to_json().get("percentage") {
            Some(percentage) => percentage.get("value").and_then(Json::as_f64).is_some_and(|value| value >= 1.0),
            None => matches!(record.bucketer(), Bucketer::NoOp),
        },
    };
    record.conditions().is_empty() && record.deny_conditions().is_empty() && is_for_all()
}
