//! What a flag has, in sentences.

use flipper::__words::{date, percent, plain, turns, value};
use flipper::FlagRecord;
use maud::{Markup, html};

use super::super::link;
use super::super::list::breakable;
use super::super::views::{until, utc};
use super::lines::WHOLE;
use crate::api::now;

/// Letters of a rule or a value. What is longer is in the form.
const LONGEST: usize = 300;

/// Items of a list of facts.
pub(in super::super) fn facts(record: &FlagRecord) -> Markup {
    html! {
        @if !record.rules().is_empty() {
            div.wide {
                dt { "Rules" }
                dd { ol.rules start="0" {
                    @for rule in record.rules() {
                        li { @if let Some(name) = &rule.name { strong { (plain(name)) } ": " } (brief(&rule.to_string())) }
                    }
                    li.rest { "otherwise as below" }
                } }
            }
        }
        @if let Some(variants) = record.variants() {
            div.wide {
                dt { "Variants by " (plain(&variants.by)) }
                dd { ul.variants {
                    @for variant in &variants.values {
                        li {
                            strong { (plain(&variant.name)) } " " (percent(f64::from(variant.weight) / WHOLE)) " "
                            code { (brief(&value(&variant.value))) }
                            @if variants.off.as_ref() == Some(&variant.name) { " also when off" }
                        }
                    }
                } }
            }
        }
        @if !record.prerequisites().is_empty() {
            div.wide {
                dt { "Needs" }
                dd { ul.needs {
                    @for needed in record.prerequisites() {
                        li {
                            a href=(link::flag(&needed.flag)) { (breakable(&needed.flag)) }
                            @if let Some(variant) = &needed.variant { " = " (plain(variant)) }
                        }
                    }
                } }
            }
        }
        @if let Some(schedule) = record.schedule() {
            div.wide {
                dt { "Schedule" }
                dd {
                    ul.turns { @for (at, what) in turns(schedule) { li { (what) " from " time datetime=(date(at)) { (utc(at)) } } } }
                    @if !record.is_enabled() { "The flag is off, so it waits for its switch." }
                    @else if let Some(next) = schedule.next_turn(now()) { span data-turn=(next) { "The next turn is " (until(next)) "." } }
                    @else { "No turn is left." }
                }
            }
        }
    }
}

fn brief(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", plain(&text[..end])),
        None => plain(text).into_owned(),
    }
}
