//! The listeners: connections within limits, and an end that loses no answer.

mod idle;
mod options;
mod timed;
mod tls;
mod unread;
pub(crate) mod waking;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use futures_util::future::Either;
use hyper::body::{Body as _, Incoming};
use hyper::service::service_fn;
use hyper::{Request, server};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use self::idle::IdleTimer;
pub use self::options::HttpOptions;
use self::timed::Timed;
pub use self::tls::{Accepted, Acceptor, ByteStream};
use self::unread::Unread;
use self::waking::quietly;
use crate::app::App;
use crate::ofrep::{Entry, is_ofrep};

/// After a failed `accept`, as when the process has no file left.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two warnings of failed ones.
const SILENCE: Duration = Duration::from_secs(1);
/// For pending requests, once the listeners are closed.
const FINISH: Duration = Duration::from_secs(10);
/// For the first request of a connection that has just been opened.
const FIRST: Duration = Duration::from_secs(1);
/// Of an HTTP/2 connection.
const MOST_REQUESTS_AT_ONCE: u32 = 100;

/// A running HTTP server. It ends when it is dropped; [`shutdown`](Self::shutdown) ends it in an orderly way.
///
/// ```no_run
/// use std::net::TcpListener;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use flipper::MemoryFeatureFlagStore;
/// use flipper_server::{App, HttpOptions, HttpServer};
///
/// # async fn run() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080")?;
/// let app = App::new(Arc::new(MemoryFeatureFlagStore::new()));
/// let server = HttpServer::start(vec![listener], app, HttpOptions::default()).await?;
/// // ... until the program ends:
/// server.shutdown(Duration::ZERO).await;
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HttpServer {
    app: App,
    addresses: Vec<SocketAddr>,
    stopping: watch::Sender<bool>,
    accepting: Vec<JoinHandle<()>>,
}

impl HttpServer {
    /// Serves on these listeners, in the current tokio runtime. Streams get at most a share of the connections, whatever their own limits
    /// are: five eighths for followers of changes, and a quarter for web pages. The rest stays for requests.
    ///
    /// # Errors
    ///
    /// If a listener cannot be used.
    pub async fn start(listeners: Vec<std::net::TcpListener>, app: App, options: HttpOptions) -> io::Result<Self> {
        let routes = app.clone().sharing(options.max_connections).service();
        Self::serve(listeners, app, routes, options)
    }

    /// As [`start`](Self::start), with `/healthz`, `/readyz` and `/metrics` alone. Both servers of one app, or of its clones, are ready or
    /// not at the same time.
    ///
    /// # Errors
    ///
    /// If a listener cannot be used.
    pub async fn start_operations(
        listeners: Vec<std::net::TcpListener>,
        app: App,
        options: HttpOptions,
    ) -> io::Result<Self> {
        let routes = (app.clone().operations_router(), None);
        Self::serve(listeners, app, routes, options)
    }

    fn serve(
        listeners: Vec<std::net::TcpListener>,
        app: App,
        (router, ofrep): (Router, Option<Entry>),
        options: HttpOptions,
    ) -> io::Result<Self> {
        let (stopping, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(options.max_connections));
        let shared = Arc::new(Shared { router, ofrep, app: app.clone(), options, places, stopped });
        let mut addresses = Vec::with_capacity(listeners.len());
        let mut accepting = Vec::with_capacity(listeners.len());
        for listener in listeners {
            listener.set_nonblocking(true)?;
            // As many may wait to be accepted as the system allows, instead of 128: after a restart all followers come at once.
            socket2::SockRef::from(&listener).listen(i32::MAX)?;
            let listener = TcpListener::from_std(listener)?;
            addresses.push(listener.local_addr()?);
            accepting.push(tokio::spawn(accept(listener, shared.clone())));
        }
        Ok(Self { app, addresses, stopping, accepting })
    }

    /// Of the listeners, in their order.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.app.counts.connections()
    }

    /// `/readyz` is red from now on. After `drain`, in which load balancers notice, the listeners are closed, streams of changes end,
    /// connections without a request yet have a second for one, and pending requests 10 s to finish.
    pub async fn shutdown(mut self, drain: Duration) {
        self.app.drain();
        tokio::time::sleep(drain).await;
        self.app.changes.close();
        self.stopping.send_replace(true);
        for accepting in std::mem::take(&mut self.accepting) {
            // Fails only if the task panicked, and then it has ended too.
            let _ = accepting.await;
        }
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.iter().for_each(JoinHandle::abort);
    }
}

struct Shared {
    router: Router,
    ofrep: Option<Entry>,
    app: App,
    options: HttpOptions,
    places: Arc<Semaphore>,
    stopped: watch::Receiver<bool>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut stopped = shared.stopped.clone();
    // Dropping it ends all connections.
    let mut connections = JoinSet::new();
    let mut warned: Option<Instant> = None;
    loop {
        while connections.try_join_next().is_some() {}
        let next = async {
            // Further connections wait in the system's queue.
            let place = shared.places.clone().acquire_owned().await.ok()?;
            Some((place, listener.accept().await))
        };
        let next = tokio::select! {
            biased;
            _ = stopped.wait_for(|stopped| *stopped) => break,
            next = next => next,
        };
        match next {
            None => break,
            Some((place, Ok((stream, peer)))) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    let _open = shared.app.counts.connection();
                    serve(stream, peer, &shared).await;
                    drop(place);
                });
            }
            Some((_, Err(error))) => {
                if warned.is_none_or(|warned| warned.elapsed() > SILENCE) {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    warned = Some(Instant::now());
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FINISH, finished).await.is_err() {
        tracing::warn!("some connections did not finish, and were closed");
    }
}

async fn serve(stream: TcpStream, peer: SocketAddr, shared: &Shared) {
    let options = &shared.options;
    // Only a delay.
    let _ = stream.set_nodelay(true);
    let accepted = match &options.tls {
        None => Accepted::plain(stream),
        Some(tls) => match tokio::time::timeout(options.header_time, tls.accept(stream)).await {
            Ok(Ok(accepted)) => accepted,
            Ok(Err(error)) => return tracing::debug!(%peer, %error, "a TLS connection could not be opened"),
            Err(_) => return tracing::debug!(%peer, "a TLS connection was opened too slowly"),
        },
    };
    let Accepted { stream, is_http2, extensions } = accepted;
    #[cfg(feature = "page")]
    let extensions = match options.tls.is_some() {
        true => {
            let mut extensions = extensions;
            extensions.insert(crate::page::Encrypted);
            extensions
        }
        false => extensions,
    };
    // The counts of clones are the connection's: all threads would change the server's.
    let ofrep = shared.ofrep.clone().map(Arc::new);
    let is_answering = Arc::new(AtomicBool::new(false));
    let head = (!is_http2).then(|| (options.header_time, is_answering.clone()));
    let io = TokioIo::new(Timed::new(stream, options.write_time, head));
    let answer = move |mut request: Request<Incoming>| {
        request.extensions_mut().extend(extensions.clone());
        match &ofrep {
            Some(ofrep) if is_ofrep(request.uri().path()) => {
                let ofrep = ofrep.clone();
                let mut request = request.map(Body::new);
                // Boxed: hyper keeps the place of an answer as long as the connection, and a follower's would be three times as large.
                Either::Left(Box::pin(async move { Ok(ofrep.answer(peer.ip(), &mut request).await) }))
            }
            _ => {
                request.extensions_mut().insert(ConnectInfo(peer));
                Either::Right(shared.router.clone().oneshot(request))
            }
        }
    };
    let stopped = async {
        // The sender is there as long as the server.
        let _ = shared.stopped.clone().wait_for(|stopped| *stopped).await;
    };
    let served = if is_http2 {
        let mut builder = server::conn::http2::Builder::new(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .max_concurrent_streams(MOST_REQUESTS_AT_ONCE)
            .max_header_list_size(u32::try_from(options.max_head).unwrap_or(u32::MAX))
            .keep_alive_interval(options.header_time)
            .keep_alive_timeout(options.write_time);
        let unread = Unread::default();
        let watched = unread.clone();
        let service = service_fn(move |request| {
            let (answer, unread) = (answer(request), watched.clone());
            async move { answer.await.map(|response| response.map(|body| unread.watch(body))) }
        });
        let connection = builder.serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            served = &mut connection => served,
            () = unread.is_left(options.write_time) => return tracing::debug!(%peer, "a client does not read"),
            () = stopped => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let (idle, has_asked) = (IdleTimer::default(), Arc::new(AtomicBool::new(false)));
        let asked = has_asked.clone();
        let mut builder = server::conn::http1::Builder::new();
        builder.timer(idle.clone()).header_read_timeout(options.idle_time).max_buf_size(options.max_head);
        let service = service_fn(move |request| {
            is_answering.store(true, Ordering::Release);
            asked.store(true, Ordering::Release);
            let (answer, is_answering, idle) = (answer(request), is_answering.clone(), idle.clone());
            async move {
                let answer = answer.await;
                is_answering.store(false, Ordering::Release);
                // A stream takes long, and there are thousands.
                answer.inspect(|response| {
                    if response.body().size_hint().exact().is_none() {
                        idle.clear();
                    }
                })
            }
        });
        let connection = builder.serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        tokio::select! {
            // A request that has come is read before the end.
            biased;
            served = quietly(connection.as_mut()) => served,
            () = stopped => {
                // A client that has just connected is about to ask.
                let first = if has_asked.load(Ordering::Acquire) { Duration::ZERO } else { FIRST };
                match tokio::time::timeout(first, connection.as_mut()).await {
                    Ok(served) => served,
                    Err(_) => {
                        connection.as_mut().graceful_shutdown();
                        connection.await
                    }
                }
            }
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "a connection broke, or its client sent no valid request");
    }
}
