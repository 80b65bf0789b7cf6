//! Why a change is made: a field of each form that writes.

use flipper::FeatureFlagClient;
use flipper::history::Cause;
use maud::{Markup, html};

use super::State;
use super::draft::Fault;
use super::form::Form;
use super::history;
use super::layout::sentence;
use super::viewer::Viewer;

pub(super) const FIELD: &str = "reason";
/// In bytes, as `Cause` has it: no browser need send more.
const LONGEST: usize = 4096;

fn given(form: &Form) -> &str {
    form.text(FIELD).trim()
}

/// The viewer's client, for writes with the reason that this form has.
pub(super) fn features(state: &State, viewer: &Viewer, form: &Form) -> Result<FeatureFlagClient, Fault> {
    let features = viewer.features(state);
    match given(form) {
        "" if state.page.requires_reason() => {
            Err(Fault::new(FIELD, "this server asks for a reason of each change, such as the number of a ticket"))
        }
        "" => Ok(features),
        reason => match Cause::default().with_reason(reason) {
            Ok(_) => Ok(features.because(reason)),
            Err(error) => Err(Fault::new(FIELD, format!("the {error}"))),
        },
    }
}

pub(super) fn is_given(form: &Form) -> bool {
    !given(form).is_empty()
}

/// What was typed, to be shown again.
pub(super) fn typed(form: &Form) -> &str {
    Some(given(form)).filter(|text| text.len() <= LONGEST).unwrap_or_default()
}

/// Within a form.
pub(super) fn field(state: &State, id: &str, typed: &str, fault: Option<&Fault>) -> Markup {
    let is_required = state.page.requires_reason();
    html! {
        @if is_asked_for(state) {
            div.field.reason {
                label for=(id) { "Reason" @if !is_required { " " span.optional { "optional" } } }
                (input(id, typed, None, is_required, fault))
                @if let Some(fault) = fault { p.fault id={ (id) "-fault" } role="alert" { (sentence(&fault.message)) } }
            }
        }
    }
}

/// Without a history a reason would go nowhere.
fn is_asked_for(state: &State) -> bool {
    state.page.requires_reason() || history::is_kept(state)
}

/// For switches, which are buttons of that form. Where a reason is missing the page asks, so it is not required here.
pub(super) fn beside_switches(state: &State, form: &str) -> Markup {
    html! {
        @if is_asked_for(state) {
            details.because {
                summary { "Give a reason" }
                div.field.reason {
                    label for="because" { "Reason for what you switch here" }
                    (input("because", "", Some(form), false, None))
                }
            }
        }
    }
}

fn input(id: &str, typed: &str, form: Option<&str>, is_required: bool, fault: Option<&Fault>) -> Markup {
    html! {
        input id=(id) name=(FIELD) value=(typed) form=[form] maxlength=(LONGEST) required[is_required] autocomplete="off"
            aria-invalid=[fault.map(|_| "true")] aria-describedby=[fault.map(|_| format!("{id}-fault"))];
    }
}
