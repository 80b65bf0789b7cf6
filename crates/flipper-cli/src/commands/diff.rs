//! `flipper diff`

use flipper::json::{Json, Object};

use crate::args::Diff;
use crate::diff::Difference;
use crate::failure::{Done, Failure};
use crate::plan::Plan;
use crate::records::Records;
use crate::session::Session;
use crate::store::{Location, Purpose, Store};
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Diff) -> Done {
    let a = Store::open(&Location::parse(&args.a)?, Purpose::Existing)?;
    let b = Store::open(&Location::parse(&args.b)?, Purpose::Existing)?;
    let (source, unreadable_in_b) = Records::of(&b).await?;
    let plan = Plan::make(&source, &a).await?;
    let unreadable_in_a = plan.unreadable.iter().map(|flag| (flag, &a));
    let unreadable: Vec<_> = unreadable_in_a.chain(unreadable_in_b.iter().map(|flag| (flag, &b))).collect();
    let out = &mut session.out;
    let mut changes = Vec::new();
    let mut number = 0;
    let tell = |difference: Difference<'_>| {
        // One that cannot be read is told below.
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
    plan.each(&source, &a, true, tell).await?;
    if out.json() {
        let mut object = Object::new();
        object.insert("a", a.shown.as_str());
        object.insert("b", b.shown.as_str());
        object.insert("equal", number == 0 && unreadable.is_empty());
        object.insert("changes", changes);
        out.value(object)?;
    } else if number == 0 {
        out.message(format_args!("no difference: {} in both", count(plan.unchanged, "flag")));
    } else {
        out.message(format_args!(
            "{} {}, {} the same",
            count(number, "flag"),
            if number == 1 { "differs" } else { "differ" },
            plan.unchanged
        ));
    }
    for ((name, why), store) in unreadable {
        session.go_on_after(Failure::store(format!(
            "{} in {} cannot be read: {}",
            quoted(name),
            store.shown,
            plain(why)
        )))?;
    }
    Ok(())
}
