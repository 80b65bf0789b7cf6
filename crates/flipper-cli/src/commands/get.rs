use flipper::__words::{self as words, brief, is_on_now, last_rule, turns, variant};
use flipper::FlagRecord;
use flipper::json::Json;

use crate::args::Names;
use crate::describe::{self, callers, rules};
use crate::failure::Done;
use crate::output::{FAINT, OFF, ON, STRONG, styled};
use crate::session::Session;
use crate::store::Store;
use crate::text::{age, date, now, plain, value};
use crate::time::until;

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
    if let Some(segment) = record.segment() {
        line("segment", words::segment(segment))?;
    } else {
        let off = record.is_enabled() && !is_on_now(record);
        line(
            "state",
            match (record.is_enabled(), off) {
                (true, false) => styled(ON, "on"),
                (true, true) => format!("{}, by its schedule", styled(OFF, "off")),
                (false, _) => styled(OFF, "off"),
            },
        )?;
        for (at, what) in record.schedule().map(turns).unwrap_or_default() {
            line("schedule", format!("{what} from {} ({})", date(at), until(at, now())))?;
        }
        for prerequisite in record.prerequisites() {
            line("needs", plain(&prerequisite.to_string()).into_owned())?;
        }
        for (index, rule) in rules(record).iter().enumerate() {
            line(&format!("rule {index}"), brief(rule))?;
        }
        if last_rule(record).is_none() {
            let rest = if record.rules().is_empty() { "for" } else { "else for" };
            let what = if record.is_enabled() { rest.to_owned() } else { format!("when on, {rest}") };
            line(&what, callers(record).unwrap_or_else(|| "everybody".to_owned()))?;
        }
        if let Some(variants) = record.variants() {
            for each in &variants.values {
                let off = if variants.off.as_ref() == Some(&each.name) { ", when off" } else { "" };
                line("variant", format!("{}: {}{off}", plain(&each.name), variant(each)))?;
            }
            line("variants by", plain(&variants.by).into_owned())?;
        }
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
