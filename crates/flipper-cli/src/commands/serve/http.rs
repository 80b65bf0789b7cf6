use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use flipper_thrift::Server;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::metrics;
use super::ready;
use super::served::Served;
use crate::failure::{Done, Failure};

/// Enough for all monitors of one process.
const MOST_CONNECTIONS: usize = 64;
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(60);
const LARGEST_HEAD: usize = 16 * 1024;

pub(super) fn serve(
    listener: TcpListener,
    served: Arc<Served>,
    server: Arc<Server>,
) -> Done<(SocketAddr, JoinHandle<()>)> {
    let failed = |error: std::io::Error| Failure::store(format!("--http: {error}"));
    let address = listener.local_addr().map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    let serving = tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        loop {
            // Further connections wait in the system's queue.
            let Ok(place) = places.clone().acquire_owned().await else { return };
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let (served, server) = (served.clone(), server.clone());
            tokio::spawn(async move {
                let answer = service_fn(move |request| {
                    let answer = answer(&request, &served, &server);
                    async move { Ok::<_, Infallible>(answer) }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIMEOUT)
                    .max_buf_size(LARGEST_HEAD)
                    .serve_connection(TokioIo::new(stream), answer);
                // The client closed the connection, or sent no valid request.
                let _ = tokio::time::timeout(CONNECTION_TIMEOUT, connection).await;
                drop(place);
            });
        }
    });
    Ok((address, serving))
}

fn answer(request: &Request<Incoming>, served: &Served, server: &Server) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "it runs\n".to_owned()),
        "/readyz" => {
            let (status, body) = ready::answer(served, request.uri().query());
            text(status, body)
        }
        "/metrics" => {
            let mut response = text(StatusCode::OK, metrics::text(served, server));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(metrics::CONTENT_TYPE));
            response
        }
        _ => text(StatusCode::NOT_FOUND, "there are /healthz, /readyz and /metrics\n".to_owned()),
    }
}

fn text(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
