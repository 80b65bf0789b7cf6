use flipper::json::Json;

use crate::args::Diff;
use crate::diff::Difference;
use crate::failure::{Done, Failure};
use crate::output::object;
use crate::plan::Plan;
use crate::records::Records;
use crate::session::Session;
use crate::store::{Location, Purpose, Store};
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Diff) -> Done {
    let a = Store::open(&Location::parse(&args.a)?, Purpose::Existing)?;
    let b = Store::open(&Location::parse(&args.b)?, Purpose::Existing)?;
    let source = Records::of(&b).await?;
    let plan = Plan::make(&source, &a).await?;
    let unreadable_in_a = plan.unreadable.iter().map(|flag| (flag, &a));
    let unreadable: Vec<_> = unreadable_in_a.chain(source.unreadable.iter().map(|flag| (flag, &b))).collect();
    let out = &mut session.out;
    let mut changes = Vec::new();
    let mut number = 0;
    let report = |difference: Difference<'_>| {
        // Unreadable flags are reported below.
        if !difference.is_any() {
            return Ok(());
        }
        number += 1;
        if out.json() {
            changes.push(Json::from(difference.to_json()));
            return Ok(());
        }
        difference.lines().into_iter().try_for_each(|line| out.line(line))
    };
    plan.each(&source, &a, true, report).await?;
    if out.json() {
        out.value(object([
            ("a", a.shown.as_str().into()),
            ("b", b.shown.as_str().into()),
            ("equal", (number == 0 && unreadable.is_empty()).into()),
            ("changes", changes.into()),
        ]))?;
    } else if number == 0 {
        out.message(format_args!("no difference: {} in both", count(plan.unchanged, "flag")));
    } else {
        let differ = if number == 1 { "differs" } else { "differ" };
        out.message(format_args!("{} {differ}, {} the same", count(number, "flag"), plan.unchanged));
    }
    for ((name, why), store) in unreadable {
        let (name, why) = (quoted(name), plain(why));
        session.go_on_after(Failure::store(format!("{name} in {} cannot be read: {why}", store.shown)))?;
    }
    Ok(())
}
