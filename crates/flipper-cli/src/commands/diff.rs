//! `flipper diff`

use flipper::{Json, Object};

use crate::args::Diff;
use crate::failure::{Done, Failure};
use crate::plan::{Plan, Source};
use crate::session::Session;
use crate::store::{Location, Purpose, Store};
use crate::text::{count, plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Diff) -> Done {
    let a = Store::open(&Location::parse(&args.a)?, Purpose::Existing).await?;
    let b = Store::open(&Location::parse(&args.b)?, Purpose::Existing).await?;
    let (old, new) = (a.list().await?, b.list().await?);
    let (source, unreadable_in_b) = Source::of(new);
    let unreadable_in_a =
        old.iter().filter_map(|flag| Some((flag.name.clone(), flag.record.as_ref().err()?.reason().to_owned())));
    let unreadable: Vec<_> =
        unreadable_in_a.map(|flag| (flag, &a)).chain(unreadable_in_b.into_iter().map(|flag| (flag, &b))).collect();
    let plan = Plan::make(&source, old)?;
    let out = &mut session.out;
    let mut changes = Vec::new();
    let mut number = 0;
    plan.each(&source, true, |difference| {
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
    })?;
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
            quoted(&name),
            store.shown,
            plain(&why)
        )))?;
    }
    Ok(())
}
