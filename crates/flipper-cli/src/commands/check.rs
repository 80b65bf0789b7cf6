use std::sync::Arc;

use flipper::__words::{self as words, brief};
use flipper::evaluation::{Evaluation, Reason};
use flipper::json::{Json, Object};
use flipper::{Context, FlagRecord};

use crate::args::Check;
use crate::caller::{Attribute, Caller, warning};
use crate::failure::{Code, Done, Failure};
use crate::linked::Links;
use crate::missing::{Missing, missing, note};
use crate::output::{OFF, ON, Output, object, or_null, styled};
use crate::session::Session;
use crate::store::Store;
use crate::text::{plain, quoted};

pub(crate) async fn run(session: &mut Session, args: &Check) -> Done {
    let show = async |session: &mut Session, checked: &Checked<'_>| {
        let Checked { name, evaluation, .. } = checked;
        if !evaluation.is_enabled {
            session.exit_with(Code::Off);
        }
        if session.out.json() {
            return session.out.value(checked.to_json());
        }
        let (state, types) = (state(evaluation.is_enabled), checked.caller.types());
        session.out.line(format_args!(
            "{} is {state}: {}{}{types}",
            quoted(name),
            checked.reason(),
            checked.variant()
        ))?;
        checked.warn(&mut session.out);
        if let Some(note) = note(name, &checked.missing()).filter(|_| checked.record.is_enabled()) {
            session.out.note(note);
        }
        Ok(())
    };
    each(session, args, show).await
}

pub(super) struct Checked<'a> {
    pub(super) name: &'a str,
    pub(super) record: Arc<FlagRecord>,
    /// What the flag's answer depends on.
    pub(super) links: Links,
    pub(super) caller: &'a Caller<'a>,
    pub(super) context: &'a Context,
    pub(super) evaluation: Evaluation,
    /// The attributes with which the answer would be another one if they were text, and that answer.
    type_decides: Vec<(&'a Attribute<'a>, String)>,
}

/// Checks each flag of the arguments, and shows the result.
pub(super) async fn each(
    session: &mut Session,
    args: &Check,
    mut show: impl AsyncFnMut(&mut Session, &Checked<'_>) -> Done,
) -> Done {
    let (given, caller) = Caller::read(args)?;
    let context = caller.context();
    let mut is_first = true;
    let check = async |session: &mut Session, store: &Store, name: &str| {
        let is_first = std::mem::take(&mut is_first);
        let record = store.record(name).await.map_err(|failure| or_attribute(failure, is_first, name))?;
        if record.segment().is_some() {
            return Err(Failure::usage(format!("{} is a segment, not a flag", quoted(name))));
        }
        let links = Links::read(store, &record).await?;
        let evaluation = links.evaluate(name, &record, &context).await?;
        let type_decides = caller.type_decides(name, &record, &links, &evaluation).await?;
        let checked = Checked { name, record, links, caller: &caller, context: &context, evaluation, type_decides };
        show(session, &checked).await
    };
    session.each_given(given, check).await
}

/// An attribute without a value looks like one more flag.
fn or_attribute(failure: Failure, is_first: bool, name: &str) -> Failure {
    match failure.code {
        Code::NoSuchFlag if !is_first => failure.hint(format!("if it is an attribute, write {name}=VALUE")),
        _ => failure,
    }
}

pub(super) fn state(enabled: bool) -> String {
    if enabled { styled(ON, "on") } else { styled(OFF, "off") }
}

impl Checked<'_> {
    pub(super) fn missing(&self) -> Vec<Missing<'_>> {
        missing(&self.record, &self.evaluation, &self.caller.keys())
    }

    /// Why it is on or off; of a rule with what it says.
    pub(super) fn reason(&self) -> String {
        let reason = plain(&self.evaluation.reason.to_string()).into_owned();
        let Reason::Rule { index, .. } = self.evaluation.reason else { return reason };
        match self.record.rules().get(index) {
            Some(rule) => format!("{reason}, `{}`", brief(&words::rule(rule))),
            None => reason,
        }
    }

    /// `; variant red`
    fn variant(&self) -> String {
        let variant = self.evaluation.variant.as_ref();
        variant.map(|chosen| format!("; variant {}", plain(chosen.name()))).unwrap_or_default()
    }

    pub(super) fn warn(&self, out: &mut Output) {
        self.type_decides.iter().for_each(|(attribute, other)| out.note(warning(attribute, other)));
    }

    pub(super) fn to_json(&self) -> Object {
        let Self { name, evaluation, .. } = self;
        let bucket = evaluation.bucket.as_ref().map(|bucket| {
            let score = Json::try_from(bucket.score).unwrap_or_default();
            object([("score", score), ("percentage", bucket.percentage.clone())])
        });
        let type_decides: Vec<_> = self.type_decides.iter().map(|(attribute, _)| attribute.key).collect();
        let variant = evaluation.variant.as_ref();
        let variant = variant.map(|chosen| object([("name", chosen.name().into()), ("value", chosen.value().clone())]));
        let mut object = object([
            ("name", (*name).into()),
            ("enabled", evaluation.is_enabled.into()),
            ("rule", evaluation.reason.code().into()),
            ("reason", self.reason().into()),
            ("bucket", or_null(bucket)),
            ("variant", or_null(variant)),
            ("not_given", evaluation.not_given.clone().into()),
            ("type_decides", type_decides.into()),
        ]);
        match &evaluation.reason {
            Reason::Rule { index, .. } => object.insert("rule_index", *index),
            Reason::Prerequisite { flag, .. } => object.insert("prerequisite", flag.as_str()),
            Reason::Scheduled { at, .. } => object.insert("scheduled_at", *at),
            _ => None,
        };
        object
    }
}
