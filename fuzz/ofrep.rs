//! Properties of the answer to any OFREP request. Run by the fuzzer, and by a test over the corpus.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{HOST, IF_NONE_MATCH};
use axum::http::{Request, StatusCode};
use flipper::bucketing::{ConsistentHashPercentageBucketer, PercentageBucketer, SaltedPercentageBucketer};
use flipper::targeting::{Prerequisite, Rule, Serve, Variant, Variants, When};
use flipper::{Condition, FeatureFlagClient, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::App;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const CALLER: ConnectInfo<SocketAddr> = ConnectInfo(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));
const REASONS: [&str; 5] = ["STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"];

static SERVER: LazyLock<(Runtime, Router)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let store = Arc::new(MemoryFeatureFlagStore::new());
    let features = FeatureFlagClient::new(store.clone());
    let flag = |name: &str, change: &(dyn Fn(&mut FlagRecord) + Sync)| {
        let mut record = FlagRecord::new(name, 1);
        record.set_enabled(true);
        change(&mut record);
        let data = serde_json::json!({ "a": 1.0, "b": { "c": [null, "\u{e9}"] }, "d": null });
        let create = features.create(name).enabled(true).client_data(data);
        runtime.block_on(async {
            create.await.unwrap();
            let change = |stored: &mut FlagRecord| {
                change(stored);
                Ok(())
            };
            features.update(name, change).await.unwrap();
        });
    };
    flag("a", &|_| {});
    flag("off", &|flag| flag.set_enabled(false));
    flag("%", &|flag| flag.add_condition(Condition::new().eq("a", "x").gt("n", 1).one_of("l", [1, 2])));
    flag("deny", &|flag| flag.set_deny_conditions(vec![Condition::new().lt("n", 2)]));
    flag("hash", &|flag| flag.set_bucketer(ConsistentHashPercentageBucketer::new(0.5).into()));
    flag("salted", &|flag| flag.set_bucketer(SaltedPercentageBucketer::new("targeting_key", 0.5).into()));
    flag("random", &|flag| flag.set_bucketer(PercentageBucketer::new(0.5).into()));
    let rule = |text: &str, serve| Rule::new(serve).when(text.parse::<When>().unwrap());
    flag("rules", &|flag| {
        flag.set_rules(vec![
            rule("at < date 2026-12-01 and v >= semver 1.2.0", Serve::Off),
            rule("a matches '^x+$' or a in network 10.0.0.0/8, fd00::/8", Serve::On),
            rule("not (a exists) or l contains ignoring case b", Serve::share(0.5, "id")),
        ]);
    });
    flag("variants", &|flag| {
        let values = Variants::new("id").with(Variant::new("red", 50.0).value("#f00"));
        flag.set_variants(Some(values.with(Variant::new("blue", 50.0).value("#00f"))));
        flag.set_rules(vec![rule("a = x", Serve::Variant("red".to_owned())), rule("a = y", Serve::Off)]);
    });
    flag("needs", &|flag| flag.set_prerequisites(vec![Prerequisite::new("rules")]));
    (runtime, App::new(store).router())
});

/// The path after `/ofrep/v1/`, `If-None-Match`, and the body; each but the last up to a line break.
pub(crate) fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (path, tag, body) = (part(), part(), part().to_vec());
    // No path or header that hyper would refuse.
    let uri = [b"/ofrep/v1/", path].concat();
    let request = Request::post(&*uri)
        .header(IF_NONE_MATCH, tag)
        .header(HOST, "localhost")
        .extension(CALLER)
        .body(Body::from(body));
    let Ok(request) = request else { return };
    let (runtime, router) = &*SERVER;
    let (parts, body) = runtime.block_on(async {
        let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
        (parts, body.collect().await.unwrap().to_bytes())
    });
    match parts.status {
        StatusCode::OK => {
            let answer: Value = serde_json::from_slice(&body).unwrap();
            match answer.get("flags") {
                Some(flags) => flags.as_array().unwrap().iter().for_each(is_answer_or_error),
                None => is_answer(&answer),
            }
        }
        StatusCode::NOT_MODIFIED => assert!(body.is_empty()),
        StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => {
            is_error(&serde_json::from_slice(&body).unwrap());
        }
        status => panic!("{status}"),
    }
}

fn is_answer_or_error(flag: &Value) {
    if flag.get("errorCode").is_some() { is_error(flag) } else { is_answer(flag) }
}

fn is_answer(answer: &Value) {
    let key = answer["key"].as_str().unwrap();
    match (answer["variant"].as_str(), answer.get("value")) {
        (Some("on" | "off"), Some(value)) => assert!(!value.is_null(), "{answer}"),
        (Some("red" | "blue"), Some(Value::String(_))) | (Some("off") | None, None) => assert_eq!(key, "variants"),
        _ => panic!("{answer}"),
    }
    assert!(REASONS.contains(&answer["reason"].as_str().unwrap()), "{answer}");
    assert!(answer["metadata"].as_object().unwrap().values().all(|value| !value.is_null() && !value.is_object()));
}

fn is_error(answer: &Value) {
    for member in ["key", "errorCode", "errorDetails"] {
        assert!(answer[member].is_string(), "{answer}");
    }
}
