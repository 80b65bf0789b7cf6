//! `flipper version`

use flipper::json::Object;

use crate::failure::Done;
use crate::session::Session;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(session: &mut Session) -> Done {
    if !session.out.json() {
        return session.out.line(format_args!("flipper {VERSION}"));
    }
    let object: Object = [("version", VERSION)].into_iter().collect();
    session.out.value(object)
}
