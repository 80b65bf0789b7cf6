use flipper::__words::is_settled;
use flipper::store::Stored;

use super::list;
use crate::args::Stale;
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
