//! A client behind pointers.

use std::rc::Rc;
use std::sync::{Arc, Mutex, OnceLock};

use flipper::{FeatureFlag, FeatureFlagClient, MemoryFeatureFlagStore};

#[flipper::is_enabled(features, "MY_FEATURE")]
fn in_arc(features: &Arc<FeatureFlagClient>) {}

#[flipper::is_enabled(features.lock().unwrap(), "MY_FEATURE")]
async fn in_mutex(features: Mutex<FeatureFlagClient>) {
    std::future::ready(()).await;
}

static FEATURES: OnceLock<FeatureFlagClient> = OnceLock::new();

#[flipper::is_enabled(FEATURES.get_or_init(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new())), "MY_FEATURE")]
fn in_once_lock() {}

#[flipper::is_enabled(*flag)]
fn handle_in_rc(flag: Rc<FeatureFlag>) {}

#[flipper::is_enabled(flag)]
fn handle_in_arc(flag: Arc<FeatureFlag>) {}

fn assert_send(_: impl Send) {}

fn main() {
    let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    in_arc(&Arc::new(features.clone()));
    in_once_lock();
    handle_in_rc(Rc::new(features.get("MY_FEATURE")));
    handle_in_arc(Arc::new(features.get("MY_FEATURE")));
    assert_send(in_mutex(Mutex::new(features)));
}
