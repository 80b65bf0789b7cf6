//! `flipper enable`, `flipper disable` and `flipper toggle`

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
    for name in names::all(&args.names.names)? {
        let quoted = quoted(&name);
        let words = |record: &flipper::FlagRecord| {
            let (verb, state) = if record.is_enabled() { ("enabled", "on") } else { ("disabled", "off") };
            Words { done: format!("{verb} {quoted}"), already: format!("{quoted} is {state} already") }
        };
        let done = change(session, &store, &name, args.dry.dry_run, words, |record| {
            record.set_enabled(match to {
                To::On => true,
                To::Off => false,
                To::Other => !record.is_enabled(),
            });
            Ok(())
        });
        done.await?;
    }
    Ok(())
}
