use std::slice;

use flipper::FlagRecord;
use flipper::targeting::Prerequisite;

use crate::args::{Names, PrerequisiteAdd, PrerequisiteRemove, Prerequisites};
use crate::change::{Messages, change, refuse};
use crate::failure::{Done, Failure};
use crate::output::{object, or_null};
use crate::session::Session;
use crate::store::Store;
use crate::text::{plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Prerequisites) -> Done {
    match args {
        Prerequisites::Add(args) => add(session, args).await,
        Prerequisites::List(args) => list(session, args).await,
        Prerequisites::Remove(args) => remove(session, args).await,
    }
}

/// `CHECKOUT` or `CHECKOUT=red`
fn read(written: &str) -> Done<Prerequisite> {
    match written.split_once('=') {
        Some((flag, variant)) if flag.is_empty() || variant.is_empty() => {
            Err(Failure::usage(format!("{:?} is no prerequisite", plain(written)))
                .hint("write the other flag's name, or OTHER=VARIANT"))
        }
        Some((flag, variant)) => Ok(Prerequisite::new(flag).with_variant(variant)),
        None => Ok(Prerequisite::new(written)),
    }
}

fn shown<'a>(all: impl IntoIterator<Item = &'a Prerequisite>) -> String {
    all.into_iter().map(|each| plain(&each.to_string()).into_owned()).collect::<Vec<_>>().join(" and ")
}

async fn add(session: &mut Session, args: &PrerequisiteAdd) -> Done {
    let wanted: Vec<_> = args.others.iter().map(|other| read(other)).collect::<Done<_>>()?;
    let mut are_known = false;
    let add = async |session: &mut Session, store: &Store, name: &str| {
        if !std::mem::replace(&mut are_known, true) {
            for each in &wanted {
                must_exist(store, each).await?;
            }
        }
        let quoted = quoted(name);
        let messages = |_: &FlagRecord, _: &FlagRecord| Messages {
            done: format!("{quoted} now needs {},", shown(&wanted)),
            already: format!("{quoted} needs {} already,", shown(&wanted)),
        };
        let edit = |record: &mut FlagRecord| {
            let mut all = record.prerequisites().to_vec();
            for each in &wanted {
                match all.iter_mut().find(|there| there.flag == each.flag) {
                    Some(there) => there.clone_from(each),
                    None => all.push(each.clone()),
                }
            }
            record.set_prerequisites(all);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(slice::from_ref(&args.name), add).await
}

async fn must_exist(store: &Store, wanted: &Prerequisite) -> Done {
    let other = store.record(&wanted.flag).await?;
    let Some(variant) = &wanted.variant else { return Ok(()) };
    let name = quoted(&wanted.flag);
    match other.variants() {
        Some(variants) if variants.get(variant).is_some() => Ok(()),
        Some(variants) => {
            let names: Vec<_> = variants.values.iter().map(|variant| plain(&variant.name)).collect();
            Err(Failure::usage(format!("{name} has no variant {variant:?}; it has {}", names.join(", "))))
        }
        None => Err(Failure::usage(format!("{name} has no variants"))),
    }
}

async fn list(session: &mut Session, args: &Names) -> Done {
    let list = async |session: &mut Session, store: &Store, name: &str| {
        let record = store.record(name).await?;
        for each in record.prerequisites() {
            match session.out.json() {
                true => session.out.value(object([
                    ("flag", name.into()),
                    ("needs", each.flag.as_str().into()),
                    ("variant", or_null(each.variant.as_deref())),
                ]))?,
                false => session.out.line(plain(&each.to_string()))?,
            }
        }
        Ok(())
    };
    session.each_given(&args.names, list).await
}

/// Whether this one is meant: by the other flag's name alone, or also by the variant. A name may have a `=` too.
fn is_meant(there: &Prerequisite, written: &str) -> bool {
    let variant = match written.strip_prefix(there.flag.as_str()) {
        Some("") => return true,
        rest => rest.and_then(|rest| rest.strip_prefix('=')),
    };
    variant.is_some() && variant == there.variant.as_deref()
}

async fn remove(session: &mut Session, args: &PrerequisiteRemove) -> Done {
    let remove = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, after: &FlagRecord| {
            let gone = before.prerequisites().iter().filter(|each| !after.prerequisites().contains(each));
            Messages {
                done: format!("{quoted} no longer needs {},", shown(gone)),
                already: format!("{quoted} has no prerequisites"),
            }
        };
        let edit = |record: &mut FlagRecord| {
            let mut all = record.prerequisites().to_vec();
            for other in &args.others {
                let Some(place) = all.iter().position(|each| is_meant(each, other)) else {
                    return Err(refuse(format!(
                        "it does not need {other:?}; `flipper prerequisite list` prints the flags that it needs"
                    )));
                };
                all.remove(place);
            }
            if args.all {
                all.clear();
            }
            record.set_prerequisites(all);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(slice::from_ref(&args.name), remove).await
}
