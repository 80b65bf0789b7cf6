use flipper::FlagRecord;
use flipper::client_data::{description, owner};
use flipper::json::Json;
use flipper::store::Stored;

use super::list::{item, state};
use crate::args::Stale;
use crate::failure::Done;
use crate::output::FAINT;
use crate::session::Session;
use crate::settled::{Pasts, Since};
use crate::store::Purpose;
use crate::table::{self, Cell};
use crate::text::{age, count, now, plain};

const TITLES: [&str; 6] = ["NAME", "STATE", "FOR", "KNOWN FROM", "OWNER", "DESCRIPTION"];

pub(crate) async fn run(session: &mut Session, args: &Stale) -> Done {
    let store = session.open(Purpose::Existing)?;
    let before = now().saturating_sub(i64::try_from(args.older_than.as_secs()).unwrap_or(i64::MAX));
    let pasts = Pasts::read(&store).await?;
    let all = store.flags().await?;
    let since = |flag| pasts.since(flag).filter(|since| since.at <= before).map(|since| (flag, since));
    let stale: Vec<_> = all.iter().filter_map(since).collect();
    if session.out.json() {
        return session.out.value(stale.into_iter().map(to_json).collect::<Vec<_>>());
    }
    if !stale.is_empty() {
        let rows: Vec<_> = stale.iter().map(|(flag, since)| row(flag, since)).collect();
        table::write(&mut session.out, TITLES, &rows)?;
    }
    let what = format!("{} of {} may be taken out of the code", stale.len(), count(all.len(), "flag"));
    session.out.message(what);
    Ok(())
}

fn row(flag: &Stored, since: &Since) -> [Cell; 6] {
    let record = flag.record.as_deref().ok();
    let text = |read: fn(&FlagRecord) -> Option<&str>| Cell::new(plain(record.and_then(read).unwrap_or_default()));
    [
        Cell::new(plain(&flag.name)),
        record.map_or_else(|| Cell::new(""), state),
        Cell::new(age(since.at)),
        Cell::styled(since.known_from, FAINT),
        text(owner),
        text(description),
    ]
}

fn to_json((flag, since): (&Stored, Since)) -> Json {
    let mut object = item(flag);
    object.insert("since", since.at);
    object.insert("known_from", since.known_from);
    object.into()
}
