//! Who of some users gets a flag, and why.

use std::collections::HashSet;

use flipper::__words::{attribute, hashed, plain, value};
use flipper::evaluation::Evaluation;
use flipper::json::Json;
use flipper::store::Precondition;
use flipper::targeting::{Serve, When};
use flipper::{Condition, Context, FeatureFlagClient, FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use http::StatusCode;
use maud::{Markup, html};

use super::layout::sentence;
use super::targeting::linked;
use crate::app::App;
use crate::problem::Problem;

/// Lines of one preview.
const MOST: usize = 500;
/// Users of an example.
const EXAMPLES: usize = 20;
/// Of each of these users, from conditions.
const ATTRIBUTES: usize = 20;

/// What a preview asks: a user a line, such as `user_id=7 plan=pro`, or a JSON object.
pub(super) fn examples(record: &FlagRecord) -> String {
    let by = choosing(record);
    let conditions = record.conditions().iter().chain(record.deny_conditions());
    let mut known: HashSet<&str> = by.iter().copied().collect();
    let mut given: Vec<(&str, String)> = Vec::new();
    for (variable, _, value) in conditions.flat_map(Condition::checks) {
        if given.len() < ATTRIBUTES && known.insert(variable) {
            // The first of a list.
            let value = value.as_array().and_then(|values| values.first()).unwrap_or(value);
            given.push((variable, value.to_string()));
        }
    }
    for (attribute, value) in record.rules().iter().filter_map(|rule| rule.when.as_ref()).flat_map(asked) {
        if given.len() < ATTRIBUTES && known.insert(attribute) {
            given.push((attribute, value));
        }
    }
    let rest = given.iter().map(|(key, value)| format!(" {key}={value}")).collect::<String>();
    let line = |number: usize| match &by[..] {
        [] if given.is_empty() => format!("user_id={number}"),
        by => {
            let by = by.iter().map(|key| format!("{key}={number}")).collect::<Vec<_>>().join(" ");
            format!("{by}{rest}").trim().to_owned()
        }
    };
    let lines = if by.is_empty() && !given.is_empty() { 1 } else { EXAMPLES };
    (1..=lines).map(line).collect::<Vec<_>>().join("\n")
}

/// The attributes that choose callers.
fn choosing(record: &FlagRecord) -> Vec<&str> {
    let shares = record.rules().iter().filter_map(|rule| match &rule.serve {
        Serve::Share { by, .. } => Some(by.as_str()),
        _ => None,
    });
    let steps = record.schedule().map(|schedule| schedule.by.as_str()).filter(|by| !by.is_empty());
    let others = shares.chain(record.variants().map(|variants| variants.by.as_str())).chain(steps);
    let mut all = hashed(record.bucketer());
    others.for_each(|by| {
        if !all.contains(&by) {
            all.push(by);
        }
    });
    all
}

/// The attributes of a rule, each with a value that it may have.
fn asked(when: &When) -> Vec<(&str, String)> {
    match when {
        When::All(parts) | When::Any(parts) => parts.iter().flat_map(asked).collect(),
        When::Not(part) => asked(part),
        When::Check { attribute, test } => {
            let value = test.value();
            let first = value.as_ref().and_then(Json::as_array).and_then(|values| values.first());
            vec![(attribute, first.or(value.as_ref()).map_or_else(|| "1".to_owned(), ToString::to_string))]
        }
        _ => Vec::new(),
    }
}

/// The answers for these users, if the flag were on.
pub(super) async fn answers(app: &App, record: &FlagRecord, users: String) -> Result<Markup, Problem> {
    let client = {
        let store = MemoryFeatureFlagStore::new();
        // As they are, while this flag is as the form has it.
        for other in linked(app, record) {
            store.put(&other, Precondition::Any.into()).await?;
        }
        let mut record = record.clone();
        record.set_enabled(true);
        store.put(&record, Precondition::Any.into()).await?;
        FeatureFlagClient::new(store)
    };
    let (name, is_enabled) = (record.name().to_owned(), record.is_enabled());
    // Hundreds of users times thousands of conditions would hold up other requests.
    let answers = tokio::task::spawn_blocking(move || evaluated(&client, &name, is_enabled, &users));
    answers.await.map_err(|error| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed", error.to_string())
    })
}

fn evaluated(client: &FeatureFlagClient, name: &str, is_enabled: bool, users: &str) -> Markup {
    let lines: Vec<_> = users.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let read: Vec<_> = lines.iter().take(MOST).map(|line| (*line, context(line))).collect();
    let answers: Vec<(&str, Result<Evaluation, String>)> = read
        .into_iter()
        .map(|(line, context)| (line, context.map(|context| client.evaluate(name, &context))))
        .collect();
    let asked = answers.iter().filter(|(_, answer)| answer.is_ok()).count();
    let on = answers.iter().filter(|(_, answer)| answer.as_ref().is_ok_and(|answer| answer.is_enabled)).count();
    html! {
        p.result { (summary(asked, on)) @if !is_enabled { " The flag is off: this is how it would be on." } }
        @if lines.len() > MOST { p.hint { "Only the first " (MOST) " lines are evaluated." } }
        ul.answers {
            @for (line, answer) in &answers {
                li {
                    @match answer {
                        Ok(answer) => {
                            span.badge.on[answer.is_enabled] { @if answer.is_enabled { "On" } @else { "Off" } }
                            code { (plain(line)) }
                            @if let Some(variant) = &answer.variant { span.badge { (plain(variant.name())) } code { (plain(&value(variant.value()))) } }
                            span { (why(answer)) }
                        }
                        Err(what) => { span.badge.bad { "?" } code { (plain(line)) } span { (sentence(what)) } }
                    }
                }
            }
        }
    }
}

fn summary(asked: usize, on: usize) -> String {
    match (asked, on) {
        (0, _) => "No user to ask for.".to_owned(),
        (1, 1) => "This user gets it.".to_owned(),
        (1, _) => "This user does not get it.".to_owned(),
        (asked, on) => format!("Of these {asked} users {on} get it."),
    }
}

fn why(answer: &Evaluation) -> String {
    let mut text = sentence(&answer.reason.to_string());
    if answer.bucket.as_ref().is_some_and(|bucket| bucket.is_shared) {
        text.push_str(" All users who give nothing to choose by share this score.");
    }
    if !answer.not_given.is_empty() {
        let names: Vec<_> = answer.not_given.iter().map(|name| plain(name)).collect();
        text.push_str(&format!(" Not given: {}.", names.join(", ")));
    }
    text
}

fn context(line: &str) -> Result<Context, String> {
    if line.starts_with('{') {
        let json = Json::parse_strict(line).map_err(|error| error.to_string())?;
        let object = json.as_object().ok_or("it is no object")?;
        return Ok(object.iter().map(|(key, value)| (key.to_owned(), value.clone())).collect());
    }
    let mut context = Context::new();
    for word in words(line)? {
        let (key, written) = word.split_once('=').ok_or_else(|| format!("{word:?} is no attribute=value"))?;
        if key.is_empty() {
            return Err(format!("{word:?} has no attribute before the ="));
        }
        let (key, value) = attribute(key, written);
        context.insert(key, &value);
    }
    Ok(context)
}

/// Parts between spaces, of which quotes and brackets may have some.
fn words(line: &str) -> Result<Vec<&str>, String> {
    let (mut words, mut start, mut depth) = (Vec::new(), None, 0_usize);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, letter) in line.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '[' | '{' if !is_quoted => depth += 1,
            ']' | '}' if !is_quoted => depth = depth.saturating_sub(1),
            letter if letter.is_whitespace() && !is_quoted && depth == 0 => {
                words.extend(start.take().map(|start| &line[start..at]));
                continue;
            }
            _ => {}
        }
        start.get_or_insert(at);
    }
    if is_quoted {
        return Err("a quote is not closed".to_owned());
    }
    words.extend(start.map(|start| &line[start..]));
    Ok(words)
}

#[cfg(test)]
mod tests {
    use flipper::bucketing::ConsistentHashPercentageBucketer;
    use flipper::context::Attributes;
    use flipper::targeting::Rule;

    use super::*;

    #[test]
    fn users_are_lines() {
        let read = |line: &str| context(line).map(|context| context.len());
        assert_eq!(read("user_id=7 plan=pro"), Ok(2));
        assert_eq!(read(r#"name="two words" list=[1, 2] o={"a": "b c"}"#), Ok(3));
        assert_eq!(read(r#"{"user_id": 7, "plan": "pro"}"#), Ok(2));
        for wrong in ["user_id", "=7", "name=\"x", "{", "{\"a\": }"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn examples_have_what_the_flag_looks_at() {
        let mut record = FlagRecord::new("F", 1);
        assert!(examples(&record).starts_with("user_id=1\nuser_id=2\n"));
        record.add_condition(Condition::new().one_of("plan", ["pro", "team"]).gt("horses", 9));
        assert_eq!(examples(&record), "plan=\"pro\" horses=9");
        for number in 0..30 {
            record.add_condition(Condition::new().eq(&format!("a{number}"), 1));
        }
        assert_eq!(examples(&record).split(' ').count(), ATTRIBUTES);
        record.set_conditions(vec![Condition::new().one_of("plan", ["pro", "team"]).gt("horses", 9)]);
        record.set_bucketer(ConsistentHashPercentageBucketer::new(0.5).key_whitelist(["id"]).into());
        assert!(examples(&record).starts_with("id=1 plan=\"pro\" horses=9\nid=2 "));
        let when: When = "plan = team and (country in de, fr or not in segment beta)".parse().unwrap();
        record.set_rules(vec![Rule::new(Serve::share(0.5, "session")).when(when)]);
        assert!(examples(&record).starts_with("id=1 session=1 plan=\"pro\" horses=9 country=\"de\"\n"));
    }

    #[tokio::test]
    async fn answers_are_those_of_the_library() {
        let mut record = FlagRecord::new("F", 1);
        record.set_bucketer(ConsistentHashPercentageBucketer::new(0.25).key_whitelist(["user_id"]).into());
        let app = App::new(std::sync::Arc::new(MemoryFeatureFlagStore::new()));
        let page = answers(&app, &record, examples(&record)).await.ok().unwrap().into_string();
        let client = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
        record.set_enabled(true);
        client.put(&record, Precondition::Any).await.unwrap();
        let on = (1..=20).filter(|id| client.is_enabled_with("F", &Context::new().with("user_id", *id))).count();
        assert!((1..20).contains(&on));
        assert!(page.contains(&format!("Of these 20 users {on} get it.")), "{page}");
    }
}
