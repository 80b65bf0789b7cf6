//! The engines of other tools, beside our rules.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use flipper::store::{FeatureFlagStore, Precondition};
use flipper::{Context, FeatureFlagClient, MemoryFeatureFlagStore};
use serde_json::{Value, json};

use super::*;

/// Repeatable: a linear congruence.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    pub(super) fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }
}

/// What the tool's engine answers: a row for each caller. Prints `SKIP` and returns `None` where it is not installed.
fn answers(tool: &str, file: &Value, flags: &[(String, Value)], callers: &[Value]) -> Option<Vec<Vec<Value>>> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = here.join("../../.cache/clients/engines/node_modules");
    if !modules.exists() {
        flipper_testkit::skip(tool, "there is no .cache/clients/engines; scripts/setup makes it");
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flags.json");
    std::fs::write(&path, file.to_string()).unwrap();
    let question = json!({"tool": tool, "file": path, "flags": flags, "callers": callers});
    let mut node = Command::new("node");
    node.arg(here.join("tests/engines/answers.js")).env("NODE_PATH", modules);
    Some(serde_json::from_value(ask(&mut node, &question)).unwrap())
}

/// What a program answers.
pub(super) fn ask(program: &mut Command, question: &Value) -> Value {
    let mut running = program.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    running.stdin.take().unwrap().write_all(question.to_string().as_bytes()).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{program:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Runs this with a client that has the flags.
pub(super) fn with_client(records: &[FlagRecord], run: impl FnOnce(&FeatureFlagClient)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = MemoryFeatureFlagStore::new();
        for record in records {
            store.put(record, Precondition::Any.into()).await.unwrap();
        }
        let client = FeatureFlagClient::new(store);
        client.ready().await.unwrap();
        run(&client);
    });
}

pub(super) fn context(caller: &Value) -> Context {
    Context::from(Json::parse(&caller.to_string()).unwrap().as_object().unwrap().clone())
}

/// The test harness captures prints.
pub(super) fn print(line: &str) {
    std::io::stderr().write_all(format!("{line}\n").as_bytes()).unwrap();
}

/// Imports the flags, and compares all answers. `flags`: each with what is the answer without one, `false` or a text. Returns how often each
/// value was the answer, and what was left out.
pub(super) fn compare(
    tool: Tool,
    name: &str,
    file: &Value,
    flags: &[(String, Value)],
    callers: &[Value],
) -> Option<(BTreeMap<String, usize>, Vec<String>)> {
    let expected = answers(name, file, flags, callers)?;
    let read = json(tool, &file.to_string());
    let left_out: BTreeSet<_> = read.elsewhere.left_out.iter().map(|left_out| left_out.flag.clone()).collect();
    let (mut counts, mut wrong) = (BTreeMap::<_, usize>::new(), Vec::new());
    with_client(&read.records, |client| {
        for (caller, expected) in callers.iter().zip(expected) {
            let context = context(caller);
            for ((flag, fallback), expected) in
                flags.iter().zip(expected).filter(|((flag, _), _)| !left_out.contains(flag))
            {
                let answer = match fallback {
                    Value::String(text) => client.variant(flag, &context, text.clone()).into(),
                    _ => Value::from(client.is_enabled_with(flag, &context)),
                };
                if answer != expected {
                    let shown = format!("{}\n{:#?}", file["flags"][flag], read.shown(flag));
                    wrong.push(format!("{flag} {caller}: {answer}, not {expected}\n{shown}"));
                }
                *counts.entry(answer.to_string()).or_default() += 1;
            }
        }
    });
    assert!(wrong.is_empty(), "{} answers differ, first:\n{}", wrong.len(), wrong[..wrong.len().min(5)].join("\n"));
    let agree = counts.values().sum::<usize>();
    print(&format!("{name}: {agree} answers agree; {} flags and segments cannot be said", left_out.len()));
    Some((counts, read.left_out()))
}
