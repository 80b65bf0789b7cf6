use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use flipper::client::Remote;
use flipper::{Error, ErrorKind, FeatureFlagClient, FeatureFlagStore, Result};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::sync::oneshot;

use crate::connection;
use crate::options::ServerOptions;
use crate::service::Service;

/// Only used pages take memory. JSON nested 512 deep needs most.
const STACK: usize = 1 << 20;

/// When it is full a client retries after a second; 128 are too few for a fleet that starts.
const BACKLOG: i32 = 1024;

/// For an error that would repeat at once, such as a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A Thrift server over a store, until [`shutdown`](Self::shutdown) or drop. It has its own threads, and needs no runtime. The first bytes
/// of a connection select buffered or framed transport, and the binary or compact protocol.
pub struct Server {
    inner: Arc<Inner>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    accept: JoinHandle<()>,
    runtime: JoinHandle<()>,
    end_runtime: oneshot::Sender<()>,
}

struct Inner {
    service: Service,
    options: ServerOptions,
    address: SocketAddr,
    closing: AtomicBool,
    connections: Mutex<Connections>,
    /// A connection ended while the server closes.
    ended: Condvar,
}

#[derive(Default)]
struct Connections {
    last: u64,
    open: HashMap<u64, Arc<TcpStream>>,
}

impl Server {
    /// Serves the flags on a loopback address, with the default options. Port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// As [`start_with`](Self::start_with).
    pub fn start(address: impl ToSocketAddrs, store: impl FeatureFlagStore) -> Result<Self> {
        Self::start_with(address, store, ServerOptions::new())
    }

    /// As [`start`](Self::start), with these options.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for an address that other machines can reach, unless [`allow_remote`](ServerOptions::allow_remote) is set;
    /// `Unavailable` if it cannot be listened on.
    pub fn start_with(
        address: impl ToSocketAddrs,
        store: impl FeatureFlagStore,
        options: ServerOptions,
    ) -> Result<Self> {
        Self::on(listen(address, &options)?, store, options)
    }

    /// Serves the flags on this listener, such as one that systemd passed in. Other machines may reach it: the caller decides.
    ///
    /// # Errors
    ///
    /// `Unavailable` if its address is unknown, or the system has no more threads.
    pub fn on(listener: TcpListener, store: impl FeatureFlagStore, options: ServerOptions) -> Result<Self> {
        let address = listener.local_addr().map_err(|error| failed("address cannot be listened on", error))?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| failed("runtime cannot be started", error))?;
        let service = Service::new(Arc::new(store), runtime.handle().clone(), &options);
        let inner = Arc::new(Inner {
            service,
            options,
            address,
            closing: AtomicBool::new(false),
            connections: Mutex::default(),
            ended: Condvar::new(),
        });
        let (end_runtime, ended) = oneshot::channel();
        let runtime = spawn("flipper-thrift-runtime", move || {
            // Also ends when the sender is dropped.
            let _ = runtime.block_on(ended);
        })?;
        let accepting = inner.clone();
        let accept = spawn("flipper-thrift-accept", move || accepting.accept(&listener))?;
        tracing::info!(%address, "serving flags over Thrift");
        Ok(Self { inner, threads: Mutex::new(Some(Threads { accept, runtime, end_runtime })) })
    }

    /// The address it listens on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.address
    }

    /// The client of all calls: its subscribers receive every write, and may veto it.
    #[must_use]
    pub fn features(&self) -> &FeatureFlagClient<Remote> {
        &self.inner.service.features
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.inner.lock().open.len()
    }

    /// Stops accepting, closes idle connections, and blocks until pending calls finish, for at most
    /// [`shutdown_timeout`](ServerOptions::shutdown_timeout).
    pub fn shutdown(&self) {
        let Some(threads) = self.threads.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        self.inner.close();
        // A thread that panicked has ended too.
        let _ = threads.accept.join();
        self.inner.drain();
        let _ = threads.end_runtime.send(());
        let _ = threads.runtime.join();
        tracing::info!(address = %self.inner.address, "server has shut down");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

fn listen(address: impl ToSocketAddrs, options: &ServerOptions) -> Result<TcpListener> {
    let addresses: Vec<_> =
        address.to_socket_addrs().map_err(|error| failed("address cannot be resolved", error))?.collect();
    if let Some(remote) = addresses.iter().find(|address| !address.ip().is_loopback())
        && !options.allow_remote
    {
        return Err(Error::new(ErrorKind::InvalidInput).with_message(format!(
            "{remote} can be reached from other machines, and the protocol has no passwords; allow_remote(true) serves there anyhow"
        )));
    }
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "name has no address");
    for address in addresses {
        match bind(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failure = error,
        }
    }
    Err(failed("address cannot be listened on", failure))
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // For a restart on the same port; elsewhere the option has another meaning.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn failed(message: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Unavailable)
        .with_transient(false)
        .with_message(format!("{message}: {error}"))
        .with_source(error)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(run).map_err(|error| failed("thread cannot be started", error))
}

impl Inner {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        let mut refused = Refused::default();
        loop {
            let accepted = listener.accept();
            if self.closing.load(Ordering::SeqCst) {
                return;
            }
            let error = match accepted {
                Ok((stream, peer)) => match self.admit(stream, peer) {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Err(error) => {
                    std::thread::sleep(ACCEPT_PAUSE);
                    error
                }
            };
            refused.log(&error);
        }
    }

    fn admit(self: &Arc<Self>, stream: TcpStream, peer: SocketAddr) -> io::Result<()> {
        let options = &self.options;
        let open = self.lock().open.len();
        if open >= options.max_connections {
            return Err(io::Error::other(format!("all {open} connections are in use")));
        }
        stream.set_nodelay(true)?;
        stream.set_read_timeout(options.idle_timeout)?;
        stream.set_write_timeout(Some(options.write_timeout))?;
        let keepalive = TcpKeepalive::new().with_time(options.keepalive).with_interval(options.keepalive / 4);
        SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        let stream = Arc::new(stream);
        let number = {
            let mut connections = self.lock();
            connections.last += 1;
            let number = connections.last;
            connections.open.insert(number, stream.clone());
            number
        };
        let leave = Leave { inner: self.clone(), number };
        std::thread::Builder::new().name("flipper-thrift".to_owned()).stack_size(STACK).spawn(move || {
            let inner = leave.inner.clone();
            let _runtime = inner.service.enter();
            let closing = || inner.closing.load(Ordering::SeqCst);
            match connection::serve(&stream, &inner.service, &inner.options, closing) {
                Ok(()) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::TimedOut) => {
                    tracing::warn!(%peer, %error, "connection is closed");
                }
                Err(error) => tracing::debug!(%peer, %error, "connection ended"),
            }
        })?;
        Ok(())
    }

    fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.service.hub.close();
        // Wakes the accepting thread, unless another connection does.
        let ip = match self.address.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        let _ = TcpStream::connect_timeout(&(ip, self.address.port()).into(), Duration::from_secs(1));
    }

    /// Idle connections at once, after the timeout all.
    fn drain(&self) {
        let mut connections = self.lock();
        for stream in connections.open.values() {
            // Fails if it is already closed.
            let _ = stream.shutdown(Shutdown::Read);
        }
        let deadline = Instant::now() + self.options.shutdown_timeout;
        while !connections.open.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let open = connections.open.len();
                tracing::warn!(open, "connections with pending calls are cut off");
                for stream in connections.open.values() {
                    let _ = stream.shutdown(Shutdown::Both);
                }
                return;
            }
            connections = self.ended.wait_timeout(connections, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        // No code that can panic leaves it half changed.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Removes the connection, even if its thread panicked or never started.
struct Leave {
    inner: Arc<Inner>,
    number: u64,
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.inner.lock().open.remove(&self.number);
        self.inner.ended.notify_all();
    }
}

#[derive(Default)]
struct Refused {
    logged: Option<Instant>,
    since: u64,
}

impl Refused {
    fn log(&mut self, error: &io::Error) {
        self.since += 1;
        if self.logged.is_none_or(|logged| logged.elapsed() >= Duration::from_secs(1)) {
            tracing::warn!(%error, refused = self.since, "connection is refused");
            self.logged = Some(Instant::now());
            self.since = 0;
        }
    }
}
