//! Properties of the answer to any request of the JSON API, and of the flags that it leaves. Run by the fuzzer, and by a test over the corpus.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, LazyLock};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, HOST, IF_MATCH};
use axum::http::{Method, Request, StatusCode};
use flipper::store::Precondition;
use flipper::{FeatureFlagStore, FlagRecord, MemoryFeatureFlagStore};
use flipper_server::App;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::runtime::Runtime;
use tower::ServiceExt;

const CALLER: ConnectInfo<SocketAddr> = ConnectInfo(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1));

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap());

/// The method and the path after `/api/v1/`, `If-Match` if any, and the body; each but the last up to a line break.
pub(crate) fn check(bytes: &[u8]) {
    let mut parts = bytes.splitn(3, |byte| *byte == b'\n');
    let mut part = || parts.next().unwrap_or_default();
    let (line, tag, body) = (part(), part(), part().to_vec());
    let at = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (method, path) = (&line[..at], line.get(at + 1..).unwrap_or_default());
    // A stream does not end.
    if path.starts_with(b"changes") {
        return;
    }
    let Ok(method) = Method::from_bytes(method) else { return };
    let uri = [b"/api/v1/", path].concat();
    let mut request = Request::builder().method(method).uri(&*uri).header(HOST, "localhost").extension(CALLER);
    request = request.header(CONTENT_TYPE, "application/json");
    if !tag.is_empty() {
        request = request.header(IF_MATCH, tag);
    }
    // No path or header that hyper would refuse.
    let Ok(request) = request.body(Body::from(body)) else { return };
    RUNTIME.block_on(async {
        let store = Arc::new(MemoryFeatureFlagStore::new());
        for name in ["A", "a/b"] {
            store.put(&FlagRecord::new(name, 1), Precondition::Any.into()).await.unwrap();
        }
        let answer = App::new(store.clone()).router().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert!(!parts.status.is_server_error() && parts.status != StatusCode::REQUEST_TIMEOUT, "{}", parts.status);
        let content = parts.headers.get(CONTENT_TYPE).map(|content| content.as_bytes()).unwrap_or_default();
        // Records are one in a line, and an export has numbers as Python writes them, such as NaN. To HEAD there is no body.
        if content != b"application/x-ndjson"
            && content.ends_with(b"json")
            && !path.starts_with(b"export")
            && !body.is_empty()
        {
            let answer: Value = serde_json::from_slice(&body).unwrap();
            if content == b"application/problem+json" {
                assert!(["type", "title", "detail", "code"].iter().all(|field| answer[*field].is_string()), "{answer}");
                assert_eq!(answer["status"], parts.status.as_u16());
            }
        }
        for flag in store.list().await.unwrap() {
            let record = flag.record.unwrap();
            assert_eq!(FlagRecord::from_json(record.to_json()).unwrap(), *record, "it is read as it was written");
        }
    });
}
