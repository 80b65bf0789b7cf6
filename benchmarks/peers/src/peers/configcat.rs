//! ConfigCat's SDK, with flags from a file instead of its server.

use std::any::Any;
use std::sync::Arc;

use configcat::{Client, FileDataSource, OverrideBehavior, User};
use serde_json::{Map, Value, json};

use crate::Result;
use crate::peer::{Batch, Peer, batch_async};
use crate::scenario::{PERCENT, Rule, Scenario, VARIANTS};

pub(super) struct ConfigCat;

/// `UserComparator::Eq` of its format: a plain text, no hash of it.
const EQUALS: u32 = 28;
const BOOL: u32 = 0;
const STRING: u32 = 1;

impl Peer for ConfigCat {
    fn name(&self) -> &'static str {
        "ConfigCat"
    }

    fn package(&self) -> &'static str {
        "configcat"
    }

    fn prepare(&self, scenario: &Arc<Scenario>) -> Result<Option<Batch>> {
        let source = Box::new(source(scenario)?);
        let client = Client::builder("none").overrides(source, OverrideBehavior::LocalOnly).build();
        let client = client.map_err(|error| error.to_string())?;
        let contexts = scenario.users.iter().map(|user| {
            user.attributes.iter().fold(User::new(user.id), |user, (name, value)| user.custom(name, *value))
        });
        let contexts = contexts.collect();
        Ok(Some(if scenario.rule == Rule::Variants {
            batch_async(scenario, contexts, async move |name, user: &User| {
                client.get_value(name, String::new(), Some(user.clone())).await.len()
            })
        } else {
            batch_async(scenario, contexts, async move |name, user: &User| {
                usize::from(client.get_value(name, false, Some(user.clone())).await)
            })
        }))
    }

    fn scaffolding(&self, scenario: &Arc<Scenario>) -> Result<Box<dyn Any>> {
        Ok(Box::new(source(scenario)?))
    }
}

fn source(scenario: &Scenario) -> Result<FileDataSource> {
    let file = tempfile::NamedTempFile::new()?;
    serde_json::to_writer(&file, &config(scenario))?;
    let path = file.path().to_str().ok_or("the path is no text")?;
    Ok(FileDataSource::new(path)?)
}

fn config(scenario: &Scenario) -> Value {
    let conditions: Vec<_> = scenario
        .conditions()
        .iter()
        .map(|(name, value)| json!({ "u": { "a": name, "c": EQUALS, "s": value } }))
        .collect();
    let setting = |on: bool| match scenario.rule {
        Rule::None => json!({ "t": BOOL, "v": { "b": on } }),
        Rule::One | Rule::Twenty => {
            let rule = json!({ "c": conditions, "s": { "v": { "b": true } } });
            json!({ "t": BOOL, "v": { "b": false }, "r": [rule] })
        }
        Rule::Percentage => {
            let options = [(PERCENT, true), (100 - PERCENT, false)];
            let options = options.map(|(percent, on)| json!({ "p": percent, "v": { "b": on } }));
            json!({ "t": BOOL, "v": { "b": false }, "p": options })
        }
        Rule::Variants => {
            let options = VARIANTS.iter().zip([33, 33, 34]);
            let options: Vec<_> =
                options.map(|(variant, percent)| json!({ "p": percent, "v": { "s": variant } })).collect();
            json!({ "t": STRING, "v": { "s": "" }, "p": options })
        }
    };
    let settings: Map<_, _> = scenario.flags.iter().map(|flag| (flag.name.clone(), setting(flag.on))).collect();
    json!({ "p": { "u": "http://localhost", "r": 0, "s": "salt" }, "f": settings })
}
