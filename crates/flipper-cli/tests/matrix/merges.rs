//! Eight writers increment one number, each over its own connection: no increment is lost.

use std::sync::Arc;
use std::time::Instant;

use flipper::client::Remote;
use flipper::history::{Entry, FlagState};
use flipper::json::{Json, Object};
use flipper::{FeatureFlagClient, FeatureFlagStore, FlagRecord};
use futures_util::{StreamExt, TryStreamExt};

use crate::backends::{Backend, futures_executor};
use crate::cells::{Layer, Scene, Store};
use crate::layers::attach;
use crate::scene::{Report, Size};

const WRITERS: u64 = 8;
const NAME: &str = "COUNTER";

pub(crate) fn run(scene: Scene, layers: &[Layer], size: Size) -> Option<Vec<Report>> {
    let backend = Backend::start(scene)?;
    Some(layers.iter().map(|layer| add(scene, &backend, *layer, size.merges)).collect())
}

fn add(scene: Scene, backend: &Backend, layer: Layer, each: u64) -> Report {
    let attached = attach(backend, layer);
    let direct = FeatureFlagClient::remote(backend.direct());
    futures_executor(async { direct.create(NAME).replace().await.map(|_| ()) }).unwrap();
    let threads: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store: Arc<dyn FeatureFlagStore> = match (&attached.url, layer) {
                (Some(url), _) => flipper::open(url).unwrap(),
                (None, Layer::Mirror) => Arc::new(backend.mirror()),
                (None, _) => backend.direct(),
            };
            std::thread::spawn(move || (0..each).filter_map(|_| add_one(store.clone()).err()).collect::<Vec<_>>())
        })
        .collect();
    let began = Instant::now();
    let mut wrong: Vec<String> = threads.into_iter().flat_map(|thread| thread.join().unwrap()).take(5).collect();
    let kept = futures_executor(direct.fetch(NAME)).unwrap().map_or(0, |record| number(&record));
    let all = usize::try_from(WRITERS * each).unwrap();
    if kept != all {
        wrong.push(format!("{kept} of {all} are there"));
    }
    if scene.store != Store::S3 {
        wrong.extend(futures_executor(in_order(&direct, all)).err());
    }
    let took = vec![began.elapsed() / u32::try_from(all).unwrap_or(1).max(1)];
    Report { cell: scene.cell(layer), seen: kept, of: all, took, wrong }
}

fn number(record: &FlagRecord) -> usize {
    let number = record.client_data().get("n").and_then(Json::as_i64);
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(0)
}

fn add_one(store: Arc<dyn FeatureFlagStore>) -> Result<(), String> {
    let client = FeatureFlagClient::remote(store);
    let add = |record: &mut FlagRecord| {
        let next = i64::try_from(number(record)).unwrap_or(0) + 1;
        record.merge_client_data(&[("n", next)].into_iter().collect::<Object>())
    };
    futures_executor(client.update(NAME, add)).map_err(|error| error.to_string())
}

/// The newest entries of the history are the increments, one each.
async fn in_order(features: &FeatureFlagClient<Remote>, all: usize) -> Result<(), String> {
    let entries: Vec<Entry> =
        features.history(NAME).take(all).try_collect().await.map_err(|error| format!("history: {error}"))?;
    let count = |state: &FlagState| state.as_ref().and_then(|record| record.as_ref().ok()).map(|record| number(record));
    let found: Vec<_> = entries.iter().rev().map(|entry| (count(&entry.before), count(&entry.after))).collect();
    let wanted: Vec<_> = (1..=all).map(|next| (Some(next - 1), Some(next))).collect();
    let place = found.iter().zip(&wanted).position(|(found, wanted)| found != wanted).unwrap_or(found.len());
    match found == wanted {
        true => Ok(()),
        false => Err(format!("history: entry {place} of {all} is {:?}", found.get(place))),
    }
}
