//! `#[flipper::is_enabled]` on handlers of axum and actix-web, over real sockets.

#![expect(clippy::unwrap_used, reason = "a test fails by it")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use flipper::{Condition, FeatureFlagClient, MemoryFeatureFlagStore, context};

/// One client for all handlers; each has flags of its own.
static FEATURES: LazyLock<FeatureFlagClient> = LazyLock::new(|| FeatureFlagClient::new(MemoryFeatureFlagStore::new()));

fn set(name: &str, enabled: bool) {
    futures_executor::block_on(FEATURES.create(name).enabled(enabled).replace().into_future()).unwrap();
}

/// Status and body of the response. Called outside the server's runtime.
fn ask(address: SocketAddr, request: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(10)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let length = body.len();
    write!(
        stream,
        "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// The responses with the flag off, and on.
fn answers(flag: &str, address: SocketAddr, request: &str, body: &str) -> [(u16, String); 2] {
    [false, true].map(|enabled| {
        set(flag, enabled);
        ask(address, request, body)
    })
}

fn answer(status: u16, body: &str) -> (u16, String) {
    (status, body.to_owned())
}

#[flipper::is_enabled(features, "AXUM_ORDER", context = context! { user_id: user }, redirect = old_order)]
async fn order(
    State(features): State<FeatureFlagClient>,
    Path(user): Path<u64>,
    Json(lines): Json<Vec<String>>,
) -> (StatusCode, String) {
    tokio::task::yield_now().await;
    (StatusCode::CREATED, format!("new order of {user}: {} {}", lines.join(", "), features.exists("AXUM_ORDER")))
}

async fn old_order(
    _: State<FeatureFlagClient>,
    Path(user): Path<u64>,
    Json(lines): Json<Vec<String>>,
) -> (StatusCode, String) {
    tokio::task::yield_now().await;
    (StatusCode::OK, format!("old order of {user}: {}", lines.len()))
}

#[flipper::is_enabled(FEATURES, "AXUM_SOUND", otherwise = (StatusCode::NOT_FOUND, "no such page"))]
async fn sound() -> impl IntoResponse {
    tokio::task::yield_now().await;
    (StatusCode::OK, "whinny")
}

#[test]
fn axum_handlers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let routes = Router::new()
        .route("/orders/{user}", post(order))
        .route("/sound", get(sound))
        .with_state(FeatureFlagClient::clone(&FEATURES));
    runtime.spawn(async move { axum::serve(listener, routes).await });

    let orders = answers("AXUM_ORDER", address, "POST /orders/7", "[\"a\", \"b\"]");
    assert_eq!(orders, [answer(200, "old order of 7: 2"), answer(201, "new order of 7: a, b true")]);
    futures_executor::block_on(FEATURES.add_condition("AXUM_ORDER", Condition::new().eq("user_id", 7))).unwrap();
    assert_eq!(ask(address, "POST /orders/8", "[]"), answer(200, "old order of 8: 0"));
    assert_eq!(ask(address, "POST /orders/7", "[]").0, 201);

    let sounds = answers("AXUM_SOUND", address, "GET /sound", "");
    assert_eq!(sounds, [answer(404, "no such page"), answer(200, "whinny")]);
}

mod with_actix {
    use actix_web::{App, HttpResponse, HttpServer, Responder, web};

    use super::{FEATURES, FeatureFlagClient, answer, answers, context};

    #[flipper::is_enabled(features, "ACTIX_ORDER", context = context! { user_id: *user }, redirect = old_order)]
    #[actix_web::post("/orders/{user}")]
    async fn order(
        features: web::Data<FeatureFlagClient>,
        user: web::Path<u64>,
        web::Json(lines): web::Json<Vec<String>>,
    ) -> HttpResponse {
        tokio::task::yield_now().await;
        let exists = features.exists("ACTIX_ORDER");
        HttpResponse::Created().body(format!("new order of {user}: {} {exists}", lines.join(", ")))
    }

    async fn old_order(
        _: web::Data<FeatureFlagClient>,
        user: web::Path<u64>,
        lines: web::Json<Vec<String>>,
    ) -> HttpResponse {
        tokio::task::yield_now().await;
        HttpResponse::Ok().body(format!("old order of {user}: {}", lines.len()))
    }

    #[actix_web::get("/sound")]
    #[flipper::is_enabled(FEATURES, "ACTIX_SOUND", redirect = old_sound)]
    async fn sound() -> impl Responder {
        tokio::task::yield_now().await;
        "whinny"
    }

    async fn old_sound() -> &'static str {
        tokio::task::yield_now().await;
        "neigh"
    }

    #[test]
    fn actix_handlers() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let server = HttpServer::new(|| {
                App::new().app_data(web::Data::new(FeatureFlagClient::clone(&FEATURES))).service(order).service(sound)
            });
            let server = server.workers(1).disable_signals().listen(listener).unwrap();
            actix_web::rt::System::new().block_on(server.run())
        });

        let orders = answers("ACTIX_ORDER", address, "POST /orders/7", "[\"a\", \"b\"]");
        assert_eq!(orders, [answer(200, "old order of 7: 2"), answer(201, "new order of 7: a, b true")]);
        let sounds = answers("ACTIX_SOUND", address, "GET /sound", "");
        assert_eq!(sounds, [answer(200, "neigh"), answer(200, "whinny")]);
    }
}
