use flipper::__words::{is_on_now, next_turn};
use flipper::FlagRecord;
use flipper::client_data::{EXPIRES, description, owner, tags};
use flipper::json::{Json, Object};
use flipper::store::Stored;

use crate::args::List;
use crate::describe::targeting;
use crate::failure::Done;
use crate::output::{FAINT, NOTE, OFF, ON, object, or_null};
use crate::session::Session;
use crate::store::{Kind, Purpose, Store};
use crate::table::{self, Cell};
use crate::text::{age, count, plain};

pub(crate) async fn run(session: &mut Session, args: &List) -> Done {
    let choice = session.choice()?;
    if choice.is_default() && matches!(&choice.location.kind, Kind::Sqlite(path) if !path.exists()) {
        if session.out.json() {
            session.out.value(Json::Array(Vec::new()))?;
        }
        session.out.message("there are no flags yet; `flipper create NAME` makes the first");
        return Ok(());
    }
    let store = Store::open(&choice.location, Purpose::Existing)?;
    let all = store.flags().await?;
    let filter = args.filter.as_ref().map(|filter| filter.to_lowercase());
    let is_wanted = |flag: &&Stored| {
        let record = flag.record.as_deref().ok();
        let state = record.map(is_on_now);
        filter.as_ref().is_none_or(|filter| flag.name.to_lowercase().contains(filter))
            && (!args.enabled || state == Some(true))
            && (!args.disabled || state == Some(false))
            && args.owner.as_deref().is_none_or(|name| record.and_then(owner) == Some(name))
            && args.tag.as_deref().is_none_or(|tag| record.is_some_and(|record| tags(record).contains(&tag)))
    };
    let wanted: Vec<_> = all.iter().filter(is_wanted).collect();
    if session.out.json() {
        return session.out.value(wanted.into_iter().map(item).collect::<Vec<_>>());
    }
    if wanted.is_empty() {
        let why = if all.is_empty() { "there are no flags" } else { "no flag matches" };
        session.out.message(format_args!("{why} in {}", store.shown));
        return Ok(());
    }
    let rows: Vec<_> = wanted.iter().map(|flag| row(flag)).collect();
    table::write(&mut session.out, ["NAME", "STATE", "TARGETING", "NEXT", "AGE", "OWNER", "DESCRIPTION"], &rows)?;
    if wanted.len() < all.len() {
        session.out.message(format_args!("{} of {}", wanted.len(), count(all.len(), "flag")));
    }
    Ok(())
}

fn row(flag: &Stored) -> [Cell; 7] {
    let name = Cell::new(plain(&flag.name));
    let record = match &flag.record {
        Ok(record) => record,
        Err(why) => {
            let reason = Cell::styled(plain(why.reason()), NOTE);
            let empty = || Cell::new("");
            return [name, Cell::styled("unreadable", NOTE), reason, empty(), empty(), empty(), empty()];
        }
    };
    [
        name,
        state(record),
        Cell::new(targeting(record).unwrap_or_default()),
        Cell::new(next_turn(record).unwrap_or_default()),
        Cell::styled(record.created_date().map(age).unwrap_or_default(), FAINT),
        Cell::new(plain(owner(record).unwrap_or_default())),
        Cell::new(plain(description(record).unwrap_or_default())),
    ]
}

pub(super) fn state(record: &FlagRecord) -> Cell {
    if is_on_now(record) { Cell::styled("on", ON) } else { Cell::styled("off", OFF) }
}

pub(super) fn item(flag: &Stored) -> Object {
    let record = flag.record.as_deref().ok();
    object([
        ("name", flag.name.as_str().into()),
        ("enabled", or_null(record.map(is_on_now))),
        ("targeting", or_null(record.and_then(targeting))),
        ("next_turn", or_null(record.and_then(super::schedule::next))),
        ("created_date", or_null(record.and_then(FlagRecord::created_date))),
        ("description", or_null(record.and_then(description))),
        ("owner", or_null(record.and_then(owner))),
        ("tags", record.map(tags).unwrap_or_default().into_iter().map(Json::from).collect::<Vec<_>>().into()),
        ("expires", or_null(record.and_then(|record| record.client_data().get(EXPIRES)?.as_str()))),
        ("corrupt", or_null(flag.record.as_ref().err().map(|why| why.reason()))),
    ])
}
