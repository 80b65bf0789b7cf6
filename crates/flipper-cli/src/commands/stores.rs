use std::time::Instant;

use flipper::json::Json;

use crate::failure::{Code, Done};
use crate::output::{NOTE, OFF, ON, or_null, styled};
use crate::session::Session;
use crate::store::{Purpose, Store, label};
use crate::text::{count, thousands};

pub(crate) async fn run(session: &mut Session) -> Done {
    let choice = session.choice()?;
    let started = Instant::now();
    let mut identity = None;
    let listed = match Store::open(&choice.location, Purpose::Existing) {
        Ok(store) => {
            let listed = store.flags().await;
            // Some stores know the epoch only after the first answer.
            identity = Some(store.inner.identity());
            listed
        }
        Err(failure) => Err(failure),
    };
    let milliseconds = (started.elapsed().as_secs_f64() * 10_000.0).round() / 10.0;
    let corrupt = |flags: &Vec<flipper::store::Stored>| flags.iter().filter(|flag| flag.record.is_err()).count();
    let out = &mut session.out;
    if out.json() {
        let mut object = choice.to_json(identity.as_ref());
        object.insert("answers", listed.is_ok());
        let known = listed.as_ref().ok();
        object.insert("milliseconds", or_null(known.and_then(|_| Json::try_from(milliseconds).ok())));
        object.insert("flags", or_null(known.map(Vec::len)));
        object.insert("corrupt", or_null(known.map(corrupt)));
        object.insert("error", or_null(listed.as_ref().err().map(ToString::to_string)));
        out.value(object)?;
    } else {
        choice.lines(identity.as_ref()).into_iter().try_for_each(|line| out.line(line))?;
        match &listed {
            Ok(flags) => {
                let yes = styled(ON, "yes");
                out.line(format_args!("{} {yes}, all flags within {milliseconds} ms", label("answers")))?;
                let unreadable = match corrupt(flags) {
                    0 => String::new(),
                    number => styled(NOTE, format_args!(", of which {} cannot be read", thousands(number))),
                };
                out.line(format_args!("{} {}{unreadable}", label("flags"), count(flags.len(), "flag")))?;
            }
            Err(failure) => out.line(format_args!("{} {}: {failure}", label("answers"), styled(OFF, "no")))?,
        }
    }
    if let Err(failure) = listed {
        session.exit_with(failure.code.max(Code::Usage));
    }
    Ok(())
}
