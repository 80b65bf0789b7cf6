//! Unleash's own specification of clients: its flags, imported, answer as its cases say.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use flipper::evaluation::{Evaluation, Reason};
use flipper::store::{FeatureFlagStore, Precondition};
use flipper::{Context, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};
use flipper_testkit::skip;
use serde_json::Value;
use support::{flipper, succeed};

const INSTALLED: &str = "../../.cache/clients/unleash/node_modules/@unleash/client-specification/specifications";

#[derive(Default)]
struct Counts {
    agreed: usize,
    variants_agreed: usize,
    /// A hash or chance decides.
    by_hash: usize,
    other_format: usize,
    /// By reason.
    left_out: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

#[test]
fn cases_of_the_specification() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(INSTALLED);
    if !folder.exists() {
        return skip("unleash", "there is no .cache/clients/unleash; scripts/setup makes it");
    }
    let mut counts = Counts::default();
    let files: Vec<String> = serde_json::from_str(&fs::read_to_string(folder.join("index.json")).unwrap()).unwrap();
    for file in &files {
        wait(run(&folder.join(file), &mut counts));
    }
    let left_out: usize = counts.left_out.values().sum();
    let reasons: Vec<String> = counts.left_out.iter().map(|(reason, count)| format!("{count}: {reason}")).collect();
    let report = format!(
        "unleash: {} files: {} cases agree, {} of variants agree; {} are decided by a hash, {left_out} cannot be said, {} have another format\n  {}\n",
        files.len(),
        counts.agreed,
        counts.variants_agreed,
        counts.by_hash,
        counts.other_format,
        reasons.join("\n  ")
    );
    // The test harness captures prints.
    io::stderr().write_all(report.as_bytes()).unwrap();
    assert!(counts.wrong.is_empty(), "{}", counts.wrong.join("\n"));
    let numbers = [files.len(), counts.agreed, counts.variants_agreed, counts.by_hash, left_out, counts.other_format];
    assert_eq!(numbers, [22, 197, 25, 35, 18, 4]);
    assert_eq!(
        reasons,
        [
            "1: constraint NOT_A_VALID_OPERATOR: the operator is unknown",
            "2: it needs a flag: the file does not have it",
            "4: its dependency: that one has a dependency too, with which this one is off there for all callers",
            "2: its dependency: the other flag may have one of several variants, and a prerequisite has one",
            "6: its dependency: the other flag must be off, and a prerequisite must be on",
            "3: its dependency: the other flag must have no variant, and a prerequisite is on or has one",
        ]
    );
}

fn wait(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work);
}

async fn run(path: &PathBuf, counts: &mut Counts) {
    let specification: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let state = &specification["state"];
    let none = Vec::new();
    let cases = |key: &str| specification[key].as_array().unwrap_or(&none).clone();
    if state.get("features").is_none() {
        counts.other_format += cases("tests").len() + cases("variantTests").len();
        return;
    }
    let (client, left_out) = imported(state).await;
    let numbers = numeric(state);
    for (case, is_variant) in
        cases("tests").iter().map(|case| (case, false)).chain(cases("variantTests").iter().map(|case| (case, true)))
    {
        let flag = case["toggleName"].as_str().unwrap();
        if let Some(reason) = left_out.get(flag) {
            *counts.left_out.entry(reason.clone()).or_default() += 1;
            continue;
        }
        let context = context(&case["context"], &numbers);
        let answer = client.evaluate(flag, &context);
        let expected = &case["expectedResult"];
        let is_chosen = is_variant && chooses_variant(&client, flag, &answer);
        if is_chosen || matches!(answer.reason, Reason::Rule { share: Some(_), .. } | Reason::Random { .. }) {
            counts.by_hash += 1;
            continue;
        }
        let (agrees, counter) = if is_variant {
            (same_variant(&answer, expected), &mut counts.variants_agreed)
        } else {
            (answer.is_enabled == expected.as_bool().unwrap(), &mut counts.agreed)
        };
        *counter += usize::from(agrees);
        if !agrees {
            counts.wrong.push(format!("{}: {case}\n  {answer:?}", path.file_name().unwrap().display()));
        }
    }
}

/// The flags in a memory store, and what was left out, with the reason.
async fn imported(state: &Value) -> (FeatureFlagClient, BTreeMap<String, String>) {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("state.json"), state.to_string()).unwrap();
    let command = |arguments: &[&str]| succeed(flipper(home.path(), "sqlite:flags.db").args(arguments));
    let report: Value =
        serde_json::from_str(&command(&["import", "--from", "unleash", "state.json", "--json"])).unwrap();
    let mut left_out = BTreeMap::new();
    for each in report["left_out"].as_array().unwrap() {
        let text = |key: &str| each[key].as_str().unwrap().to_owned();
        // Without names, to count alike what is alike.
        let what = text("what").split(" on ").next().unwrap().to_owned();
        let what = if what.starts_with("it needs flag") { "it needs a flag".to_owned() } else { what };
        left_out.insert(text("name"), format!("{what}: {}", text("why")));
    }
    let store = MemoryFeatureFlagStore::new();
    let flags: Vec<Value> = serde_json::from_str(&command(&["export"])).unwrap();
    for flag in flags {
        let record = FlagRecord::from_json(flag.to_string()).unwrap();
        store.put(&record, Precondition::Any.into()).await.unwrap();
    }
    let client = FeatureFlagClient::new(store);
    client.ready().await.unwrap();
    (client, left_out)
}

/// The attributes that a constraint compares as numbers, which programs give as numbers.
fn numeric(state: &Value) -> BTreeSet<String> {
    let mut numbers = BTreeSet::new();
    let mut open = vec![state];
    while let Some(value) = open.pop() {
        if value["operator"].as_str().is_some_and(|operator| operator.starts_with("NUM_")) {
            numbers.insert(value["contextName"].as_str().unwrap().to_owned());
        }
        match value {
            Value::Array(items) => open.extend(items),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    numbers
}

/// Fields and properties are attributes alike.
fn context(json: &Value, numbers: &BTreeSet<String>) -> Context {
    let mut context = Context::new();
    let fields = json.as_object().unwrap().iter().filter(|(name, _)| *name != "properties");
    for (name, value) in fields.chain(json["properties"].as_object().into_iter().flatten()) {
        let number = value.as_str().filter(|_| numbers.contains(name)).and_then(|text| text.parse::<f64>().ok());
        match (number, value.as_str()) {
            (Some(number), _) => context.insert(name, number),
            (None, Some(text)) => context.insert(name, text),
            (None, None) => context.insert(name, None::<&str>),
        }
    }
    context
}

/// Whether the weights of several variants decide.
fn chooses_variant(client: &FeatureFlagClient, flag: &str, answer: &Evaluation) -> bool {
    let Ok(record) = client.record(flag) else { return false };
    let several =
        record.variants().is_some_and(|variants| variants.values.iter().filter(|each| each.weight > 0).count() > 1);
    let by_rule = match &answer.reason {
        Reason::Rule { index, .. } => matches!(record.rules()[*index].serve, flipper::targeting::Serve::Variant(_)),
        _ => false,
    };
    several && answer.is_enabled && !by_rule
}

fn same_variant(answer: &Evaluation, expected: &Value) -> bool {
    let is_on = expected["feature_enabled"].as_bool().unwrap_or_default() == answer.is_enabled;
    let variant = answer.variant.as_ref();
    let is_same = match expected["enabled"].as_bool().unwrap_or_default() {
        true => variant.is_some_and(|variant| {
            let value = variant.value().as_str().map_or_else(|| variant.value().to_string(), str::to_owned);
            expected["name"] == variant.name() && expected["payload"]["value"].as_str().is_none_or(|text| text == value)
        }),
        false => variant.is_none(),
    };
    is_on && is_same
}
