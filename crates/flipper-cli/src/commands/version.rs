use crate::failure::Done;
use crate::output::object;
use crate::session::Session;

const VERSION: &str = env!("CARGO_PKG_VERSION");

pub(crate) fn run(session: &mut Session) -> Done {
    if !session.out.json() {
        return session.out.line(format_args!("flipper {VERSION}"));
    }
    session.out.value(object([("version", VERSION.into())]))
}
