#!/usr/bin/env bash
# OpenFeature for Rust: while a provider is being replaced, evaluations wait, or another provider answers them.
# Versions: crate open-feature 0.3.0, tokio 1.
# Expected: the old provider answers until the new one is ready, or PROVIDER_NOT_READY comes at once, as in other languages.
# Seen: `set_provider` holds the lock of the providers while it awaits `initialize`. Each evaluation by each client, even of other
# providers, waits for that long. `set_named_provider` removes the old provider first: until the new one is
# ready, the default provider answers clients of that name, without an error.
# Consequence: an `initialize` that waits for a server blocks all requests that check a flag, for as long as the server takes; with
# named providers they get the flags of another part. Keep `initialize` empty: make the provider ready before passing it.
source "$(dirname "$0")/support/common.sh"

rust_probe 'async-trait = "0.1"' 'open-feature = "=0.3.0"' \
  'tokio = { version = "1", features = ["macros", "rt-multi-thread", "time"] }' <<'RUST'
use open_feature::provider::{FeatureProvider, ProviderMetadata, ResolutionDetails};
use open_feature::{Client, EvaluationContext, EvaluationResult, OpenFeature, StructValue};
use std::time::{Duration, Instant};

struct Provider(&'static str, Duration, ProviderMetadata);

fn provider(name: &'static str, millis: u64) -> Provider {
    Provider(name, Duration::from_millis(millis), ProviderMetadata::new(name))
}

#[async_trait::async_trait]
impl FeatureProvider for Provider {
    async fn initialize(&mut self, _: &EvaluationContext) {
        tokio::time::sleep(self.1).await;
    }
    fn metadata(&self) -> &ProviderMetadata {
        &self.2
    }
    async fn resolve_bool_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<bool>> {
        Ok(ResolutionDetails::new(true))
    }
    async fn resolve_int_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<i64>> {
        Ok(ResolutionDetails::new(1))
    }
    async fn resolve_float_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<f64>> {
        Ok(ResolutionDetails::new(1.0))
    }
    async fn resolve_string_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<String>> {
        Ok(ResolutionDetails::new(self.0))
    }
    async fn resolve_struct_value(&self, _: &str, _: &EvaluationContext) -> EvaluationResult<ResolutionDetails<StructValue>> {
        Ok(ResolutionDetails::new(StructValue::default()))
    }
}

/// Who answers, 300 ms after a replacement began that takes 2 s, and whether at once.
async fn ask(client: &Client) -> String {
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = Instant::now();
    let answer = client.get_string_value("flag", None, None).await.unwrap_or_else(|error| format!("{:?}", error.code));
    format!("{answer} {}", if asked.elapsed() < Duration::from_millis(800) { "at once" } else { "late" })
}

#[tokio::main]
async fn main() {
    let mut api = OpenFeature::singleton_mut().await;
    api.set_provider(provider("default", 0)).await;
    api.set_named_provider("shop", provider("shop", 0)).await;
    let (client, shop) = (api.create_client(), api.create_named_client("shop"));
    let ((), answer) = tokio::join!(api.set_provider(provider("default", 2000)), ask(&client));
    println!("set_provider, its own client: {answer}");
    let ((), answer) = tokio::join!(api.set_provider(provider("default", 2000)), ask(&shop));
    println!("set_provider, the client of \"shop\": {answer}");
    let ((), answer) = tokio::join!(api.set_named_provider("shop", provider("shop", 2000)), ask(&shop));
    println!("set_named_provider, the client of \"shop\": {answer}");
}
RUST
timeout 30 "$probe" >"$home/out"
expected "\"default\" or \"shop\" of the client's own, or an error, at once"
while read -r line; do seen "$line"; done <"$home/out"
[ "$(cat "$home/out")" = 'set_provider, its own client: default late
set_provider, the client of "shop": shop late
set_named_provider, the client of "shop": default at once' ] || changed "the answers"
