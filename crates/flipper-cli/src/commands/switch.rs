//! `flipper enable`, `flipper disable` and `flipper toggle`

use flipper::FlagRecord;

use crate::args::Switch;
use crate::change::{Words, change};
use crate::failure::Done;
use crate::names;
use crate::session::Session;
use crate::store::Purpose;
use crate::text::quoted;

/// What flags become.
#[derive(Clone, Copy)]
pub(crate) enum To {
    On,
    Off,
    Other,
}

pub(crate) async fn run(session: &mut Session, args: &Switch, to: To) -> Done {
    let store = session.open(Purpose::Existing)?;
    let names = names::all(&args.names.names)?;
    let switch = async |session: &mut Session, name: &str| {
        let quoted = quoted(name);
        let words = |_: &FlagRecord, record: &FlagRecord| {
            let (verb, state) = if record.is_enabled() { ("enabled", "on") } else { ("disabled", "off") };
            Words { done: format!("{verb} {quoted}"), already: format!("{quoted} is {state} already") }
        };
        let edit = |record: &mut FlagRecord| {
            record.set_enabled(match to {
                To::On => true,
                To::Off => false,
                To::Other => !record.is_enabled(),
            });
            Ok(())
        };
        change(session, &store, name, args.dry.dry_run, words, edit).await
    };
    session.each(names, switch).await
}
