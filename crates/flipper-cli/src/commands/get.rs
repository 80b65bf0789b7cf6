use flipper::FlagRecord;
use flipper::json::Json;

use crate::args::Names;
use crate::describe::{self, targeting};
use crate::failure::Done;
use crate::output::{FAINT, OFF, ON, STRONG, styled};
use crate::session::Session;
use crate::store::Store;
use crate::text::{age, date, plain, value};

pub(crate) async fn run(session: &mut Session, args: &Names) -> Done {
    let get = async |session: &mut Session, store: &Store, name: &str| {
        let record = store.record(name).await?;
        if session.out.json() { session.out.line(record.to_json()) } else { show(session, name, &record) }
    };
    session.each_given(&args.names, get).await
}

fn show(session: &mut Session, name: &str, record: &FlagRecord) -> Done {
    let out = &mut session.out;
    out.line(styled(STRONG, plain(name)))?;
    let mut line =
        |what: &str, how: String| out.line(format_args!("  {}  {how}", styled(FAINT, format_args!("{what:<12}"))));
    let on_for = targeting(record).unwrap_or_else(|| "everybody".to_owned());
    if record.is_enabled() {
        line("state", styled(ON, "on"))?;
        line("for", on_for)?;
    } else {
        line("state", styled(OFF, "off"))?;
        line("when on, for", on_for)?;
    }
    if let Some(created) = record.created_date() {
        line("created", format!("{} ({})", date(created), age(created)))?;
    }
    match record.client_data() {
        Json::Object(data) => {
            for (key, data) in data {
                line("data", format!("{} = {}", plain(key), value(data)))?;
            }
        }
        other => line("data", value(other))?,
    }
    for (what, how) in describe::unknown(record) {
        line("also", format!("{what} = {how}"))?;
    }
    Ok(())
}
