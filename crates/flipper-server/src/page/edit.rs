//! The form of a flag: who gets it, and its client data.

use std::borrow::Cow;

use flipper::FlagRecord;
use maud::{Markup, html};

use super::State;
use super::draft::{Draft, Fault};
use super::layout::{csrf, sentence};
use super::link;
use super::reason;
use super::rollout::Kind;
use super::targeting::{self, Targeting};
use super::viewer::Viewer;

pub(super) struct Edit<'a> {
    pub(super) name: &'a str,
    pub(super) version: &'a str,
    /// The flag in that version.
    pub(super) base: &'a FlagRecord,
    pub(super) draft: &'a Draft,
    pub(super) faults: &'a [Fault],
    pub(super) users: &'a str,
    pub(super) preview: Option<&'a Markup>,
    pub(super) reason: &'a str,
}

impl Edit<'_> {
    pub(super) fn form(&self, state: &State, viewer: &Viewer) -> Markup {
        let Self { draft, .. } = self;
        let writes = viewer.writes(self.name);
        html! {
            form #edit.edit method="post" action=(link::CHANGE) data-version=(self.version) data-draft[self.is_draft()] {
                (csrf(state, viewer))
                input type="hidden" name="name" value=(link::written(self.name));
                input type="hidden" name="version" value=(self.version);
                input type="hidden" name="base" value=(self.base.to_json());
                section aria-labelledby="who" {
                    h2 #who { "Who gets it" }
                    fieldset disabled[!writes] {
                        legend.hidden { "Who gets it" }
                        (self.rollout())
                        (self.lines("conditions", "Conditions", &draft.conditions, &html! {
                            "One a line, and all must hold: " code { "plan in pro,team" } " or " code { "country = CH and age >= 18" } "."
                        }))
                        (self.lines("deny", "Never for", &draft.deny, &html! {
                            "One a line. Where one holds the flag is off, whatever else holds. Python ignores these lines, and drops them when it writes the flag."
                        }))
                        div.check {
                            input #strict type="checkbox" name="strict" checked[draft.is_strict] aria-describedby="strict-hint";
                            label for="strict" { "Strict" }
                            p.hint #strict-hint { "A condition on an attribute that a program does not give fails. Without this it is skipped." }
                        }
                        @if !draft.conditions.trim().is_empty() && draft.rollout.kind != Kind::Everybody {
                            p.hint { "In checks that give attributes the conditions decide alone, and the rollout is not used." }
                        }
                    }
                }
                (targeting::fields(self, writes, &self.targeting()))
                section aria-labelledby="data-title" {
                    h2 #data-title { "Client data" }
                    fieldset disabled[!writes] {
                        legend.hidden { "Client data" }
                        div.field {
                            label for="data" { "JSON for programs" }
                            p.hint #data-hint { "The page shows " code { "description" } ", " code { "owner" } ", " code { "tags" } " and " code { "link" } "; it asks twice where " code { "protected" } " is true." }
                            textarea #data.code name="data" rows=(rows(&draft.data, 4)) spellcheck="false"
                                aria-invalid=[self.is_wrong("data")] aria-describedby={ "data-hint " (self.fault_id("data")) } { (draft.data) }
                            (self.fault("data"))
                        }
                    }
                }
                @if writes {
                    div.actions.save {
                        (reason::field(state, "reason-save", self.reason, None))
                        button name="do" value="save" { "Save changes" }
                        span.hint #unsaved hidden { "Not saved yet" }
                    }
                }
                section.try aria-labelledby="try" {
                    h2 #try { "Try it" }
                    div.field {
                        label for="users" { "Users" }
                        p.hint #users-hint { "One a line: " code { "user_id=7 plan=pro" } ". Numbers are numbers; " code { "user_id:text=7" } " is text. It takes the form as it is, saved or not." }
                        textarea #users.code name="users" rows=(rows(self.users, 4).min(10)) spellcheck="false" aria-describedby="users-hint" { (self.users) }
                    }
                    div.actions { button.plain name="do" value="preview" { "Who of these gets it?" } }
                    div #preview role="status" { @if let Some(preview) = self.preview { (preview) } }
                }
            }
        }
    }

    /// A form without these fields changes none of them.
    fn targeting(&self) -> Cow<'_, Targeting> {
        self.draft.targeting.as_ref().map_or_else(|| Cow::Owned(Targeting::of(self.base)), Cow::Borrowed)
    }

    fn is_draft(&self) -> bool {
        let targeting = Some(self.targeting().into_owned());
        Draft { targeting, ..self.draft.clone() } != Draft::of(self.base)
    }

    fn rollout(&self) -> Markup {
        let rollout = &self.draft.rollout;
        let choice = |kind: Kind, label: &str| {
            html! {
                div.check {
                    input id={ "to-" (kind.code()) } type="radio" name="rollout" value=(kind.code()) checked[rollout.kind == kind];
                    label for={ "to-" (kind.code()) } { (label) }
                }
            }
        };
        html! {
            div.rollout role="radiogroup" aria-label="Rollout" {
                (choice(Kind::Everybody, "Everybody for whom the conditions hold"))
                (choice(Kind::Share, "A share of users, always the same ones"))
                (choice(Kind::Random, "A share of checks, at random each time"))
                @if self.base.bucketer() != &flipper::Bucketer::NoOp && (rollout.kind == Kind::Other || super::rollout::Rollout::of(self.base.bucketer()).kind == Kind::Other) {
                    (choice(Kind::Other, &format!("As it is stored: {}", self.base.bucketer().bucketer_type())))
                }
                div.fields {
                    (self.text("share", "Share", &rollout.share, "25%, or 0..100% for a ramp", "25%"))
                    (self.text("over", "Over", &rollout.over, "Of a ramp, which begins now: 30min, 2h, 3d", ""))
                    div.of-users {
                        (self.text("by", "By", &rollout.by, "Attributes that choose the users, with commas. None: all that a program gives", "user_id"))
                        div.check {
                            input #salted type="checkbox" name="salted" checked[rollout.is_salted] aria-describedby="salted-hint";
                            label for="salted" { "Salted" }
                            p.hint #salted-hint { "Other users than in other flags. Python cannot load the flag then." }
                        }
                    }
                }
            }
        }
    }

    pub(super) fn text(&self, name: &str, label: &str, value: &str, hint: &str, example: &str) -> Markup {
        html! {
            div.field {
                label for=(name) { (label) }
                input id=(name) name=(name) value=(value) placeholder=(example) autocomplete="off" spellcheck="false"
                    aria-invalid=[self.is_wrong(name)] aria-describedby={ (name) "-hint " (self.fault_id(name)) };
                p.hint id={ (name) "-hint" } { (hint) }
                (self.fault(name))
            }
        }
    }

    pub(super) fn lines(&self, name: &str, label: &str, value: &str, hint: &Markup) -> Markup {
        html! {
            div.field {
                label for=(name) { (label) }
                p.hint id={ (name) "-hint" } { (hint) }
                textarea.code id=(name) name=(name) rows=(rows(value, 2)) spellcheck="false"
                    aria-invalid=[self.is_wrong(name)] aria-describedby={ (name) "-hint " (self.fault_id(name)) } { (value) }
                (self.fault(name))
            }
        }
    }

    pub(super) fn is_wrong(&self, name: &str) -> Option<&'static str> {
        self.faults.iter().any(|fault| fault.field == name).then_some("true")
    }

    pub(super) fn fault_id(&self, name: &str) -> String {
        self.is_wrong(name).map(|_| format!("{name}-fault")).unwrap_or_default()
    }

    pub(super) fn fault(&self, name: &str) -> Markup {
        html! {
            @for fault in self.faults.iter().filter(|fault| fault.field == name) {
                p.fault id={ (name) "-fault" } { (sentence(&fault.message)) }
            }
        }
    }
}

fn rows(text: &str, least: usize) -> usize {
    (text.lines().count() + 1).clamp(least, 24)
}
