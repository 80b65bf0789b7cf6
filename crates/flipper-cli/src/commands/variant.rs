use std::slice;

use flipper::__words::{chosen_by, json_or_text, moved, share, variants, weight};
use flipper::json::{Json, Object};
use flipper::targeting::{Variant, Variants};
use flipper::{FlagRecord, Result};

use super::check::{Checked, each};
use crate::args::{self, Check, Names, VariantRemove, VariantSet};
use crate::change::{Messages, change, refuse};
use crate::failure::{Code, Done, Failure};
use crate::output::{object, or_null};
use crate::session::Session;
use crate::store::Store;
use crate::table::{self, Cell};
use crate::text::{plain, quoted, value};

pub(crate) async fn run(session: &mut Session, args: &args::Variants) -> Done {
    match args {
        args::Variants::Set(args) => set(session, args).await,
        args::Variants::Get(args) => get(session, args).await,
        args::Variants::List(args) => list(session, args).await,
        args::Variants::Remove(args) => remove(session, args).await,
    }
}

/// Variants and values, as they were written.
struct Wanted<'a> {
    /// With shares in percent; all or none have one.
    variants: Vec<(&'a str, Option<f64>)>,
    values: Vec<(&'a str, Json)>,
}

fn read<'a>(args: &'a VariantSet) -> Done<Wanted<'a>> {
    let variants: Vec<_> = args.variants.iter().map(|word| variant(word)).collect::<Done<_>>()?;
    if let Some((without, _)) = variants.iter().find(|(_, share)| share.is_none())
        && variants.iter().any(|(_, share)| share.is_some())
    {
        return Err(Failure::usage(format!("{:?} has no share, and others have", plain(without)))
            .hint("write one after each variant, like red=50%, or after none for equal shares"));
    }
    let value = |word: &'a String| -> Done<_> {
        let missing = || Failure::usage(format!("--value {}: the value is missing", plain(word)));
        let (name, value) =
            word.split_once('=').ok_or_else(|| missing().hint("write it like --value red='\"#f00\"'"))?;
        Ok((name, json_or_text(value)))
    };
    let values: Vec<_> = args.value.iter().map(value).collect::<Done<_>>()?;
    if let Some((name, _)) =
        values.iter().find(|(name, _)| !variants.is_empty() && variants.iter().all(|(known, _)| known != name))
    {
        return Err(Failure::usage(format!("--value names {:?}, and there is no such variant", plain(name))));
    }
    Ok(Wanted { variants, values })
}

fn variant(word: &str) -> Done<(&str, Option<f64>)> {
    let Some((name, written)) = word.rsplit_once('=') else { return Ok((word, None)) };
    let share = share(written).map_err(|what| {
        Failure::usage(format!("variant {:?}: {what}", plain(name)))
            .hint("write its share like red=50% or red=12.5%, and its value as --value red=VALUE")
    })?;
    Ok((name, Some(share * 100.0)))
}

impl Wanted<'_> {
    /// The flag's variants afterwards.
    fn next(&self, args: &VariantSet, record: &FlagRecord) -> Result<Variants> {
        let before = record.variants();
        if before.is_none() && self.variants.is_empty() {
            return Err(refuse("it has no variants yet; write them after its name, like red=50% blue=50%"));
        }
        let by = args.by.clone().or_else(|| before.map(|before| before.by.clone())).or_else(|| chosen_by(record));
        let by =
            by.ok_or_else(|| refuse("variants need the attribute that identifies callers; say which: --by user_id"))?;
        let mut next = Variants::new(by);
        next.off = args.off.clone().or_else(|| before?.off.clone().filter(|_| !args.no_off));
        let known = |name: &str| before.and_then(|before| before.get(name));
        next.values = match (&self.variants[..], before) {
            ([], None) => {
                return Err(refuse("it has no variants yet; write them after its name, like red=50% blue=50%"));
            }
            // The buckets follow from the callers that the variants had before.
            ([], Some(before)) => {
                before.values.iter().map(|each| Variant { buckets: Vec::new(), ..each.clone() }).collect()
            }
            (named, _) => named
                .iter()
                .map(|(name, percent)| {
                    let new = Variant::new(*name, percent.unwrap_or_default());
                    match known(name) {
                        Some(known) => new.value(known.value.clone()),
                        None => new,
                    }
                })
                .collect(),
        };
        for (name, value) in &self.values {
            let Some(variant) = next.values.iter_mut().find(|variant| variant.name == *name) else {
                return Err(refuse(format!("--value names {name:?}, and it has no such variant")));
            };
            variant.value = value.clone();
        }
        let is_even = !self.variants.is_empty() && self.variants.iter().all(|(_, percent)| percent.is_none());
        Ok(if is_even { next.even() } else { next })
    }
}

async fn set(session: &mut Session, args: &VariantSet) -> Done {
    let wanted = read(args)?;
    let set = async |session: &mut Session, store: &Store, name: &str| {
        let quoted = quoted(name);
        let messages = |before: &FlagRecord, after: &FlagRecord| {
            let now = variants(after).unwrap_or_default();
            let moved = moved_text(before, after, "get").map(|moved| format!("; {moved}")).unwrap_or_default();
            Messages {
                done: format!("{quoted} now has the variants {now}{moved},"),
                already: format!("{quoted} has the variants {now} already,"),
            }
        };
        let (mut is_off, mut would_move) = (false, None);
        let edit = |record: &mut FlagRecord| {
            let before = record.clone();
            let next = wanted.next(args, record)?;
            record.set_variants(Some(next));
            is_off = !record.is_enabled();
            would_move = moved_text(&before, record, "would get").filter(|_| before != *record);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await?;
        if let Some(would_move) = would_move.filter(|_| args.write.dry_run && !session.out.json()) {
            session.out.message(would_move);
        }
        if is_off && !session.out.json() {
            session.out.note(format_args!("{quoted} is off, and stays so until `flipper enable {quoted}`"));
        }
        Ok(())
    };
    session.each_given(slice::from_ref(&args.name), set).await
}

/// How many callers have another variant afterwards; `None` if there were none before.
fn moved_text(before: &FlagRecord, after: &FlagRecord, get: &str) -> Option<String> {
    before.variants()?;
    Some(match moved(before, after) {
        0 => "all callers keep theirs".to_owned(),
        moved => format!("{} of callers {get} another one than before", weight(moved)),
    })
}

async fn get(session: &mut Session, args: &Check) -> Done {
    let show = async |session: &mut Session, checked: &Checked<'_>| {
        let Checked { name, evaluation, .. } = checked;
        if evaluation.variant.is_none() {
            session.exit_with(Code::Off);
        }
        if session.out.json() {
            return session.out.value(object([
                ("name", (*name).into()),
                ("variant", or_null(evaluation.variant.as_ref().map(|chosen| chosen.name()))),
                ("value", or_null(evaluation.variant.as_ref().map(|chosen| chosen.value().clone()))),
                ("enabled", evaluation.is_enabled.into()),
                ("rule", evaluation.reason.code().into()),
                ("reason", checked.reason().into()),
            ]));
        }
        match &evaluation.variant {
            Some(chosen) => {
                session.out.line(plain(chosen.name()))?;
                checked.warn(&mut session.out);
            }
            None if checked.record.variants().is_none() => {
                session.out.message(format_args!("{} has no variants", quoted(name)));
            }
            None if evaluation.is_enabled => {
                let by = checked.record.variants().map(|variants| plain(&variants.by)).unwrap_or_default();
                session.out.message(format_args!("{} has no variant for this caller: {by} is not given", quoted(name)));
            }
            None => {
                session.out.message(format_args!(
                    "{} has no variant for this caller, as it is off: {}",
                    quoted(name),
                    checked.reason()
                ));
            }
        }
        Ok(())
    };
    each(session, args, show).await
}

async fn list(session: &mut Session, args: &Names) -> Done {
    let list = async |session: &mut Session, store: &Store, name: &str| {
        let record = store.record(name).await?;
        let Some(variants) = record.variants() else {
            if !session.out.json() {
                session.out.message(format_args!("{} has no variants", quoted(name)));
            }
            return Ok(());
        };
        if session.out.json() {
            return variants.values.iter().try_for_each(|each| session.out.value(to_json(name, variants, each)));
        }
        let is_off = |each: &Variant| variants.off.as_ref() == Some(&each.name);
        let row = |each: &Variant| {
            let off = if is_off(each) { "yes" } else { "" };
            [plain(&each.name).into_owned(), weight(each.weight), value(&each.value), off.to_owned()].map(Cell::new)
        };
        let rows: Vec<_> = variants.values.iter().map(row).collect();
        table::write(&mut session.out, ["VARIANT", "SHARE", "VALUE", "WHEN OFF"], &rows)?;
        session.out.message(format_args!("chosen by {}", plain(&variants.by)));
        Ok(())
    };
    session.each_given(&args.names, list).await
}

fn to_json(flag: &str, variants: &Variants, each: &Variant) -> Object {
    let percent = f64::from(each.weight) / 1000.0;
    object([
        ("flag", flag.into()),
        ("variant", each.name.as_str().into()),
        ("percent", Json::try_from(percent).unwrap_or_default()),
        ("value", each.value.clone()),
        ("by", variants.by.as_str().into()),
        ("when_off", (variants.off.as_ref() == Some(&each.name)).into()),
    ])
}

async fn remove(session: &mut Session, args: &VariantRemove) -> Done {
    let remove = async |session: &mut Session, store: &Store, name: &str| {
        let messages = |before: &FlagRecord, _: &FlagRecord| Messages {
            done: format!("removed the variants {} of {}", variants(before).unwrap_or_default(), quoted(name)),
            already: format!("{} has no variants", quoted(name)),
        };
        let edit = |record: &mut FlagRecord| {
            record.set_variants(None);
            Ok(())
        };
        change(session, store, name, args.write.dry_run, messages, edit).await
    };
    session.each_given(&args.names.names, remove).await
}
