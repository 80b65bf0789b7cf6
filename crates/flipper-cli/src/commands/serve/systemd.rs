//! What systemd wants to learn about a service of `Type=notify`, and the sockets that it passes in.

use std::convert::Infallible;
use std::env;
#[cfg(unix)]
use std::io;
use std::net::TcpListener;
use std::time::Duration;

#[cfg(unix)]
use listenfd::ListenFd;

use super::address::Port;
use crate::failure::{Done, Failure};

/// Sends to the socket that `NOTIFY_SOCKET` names; without it, as outside of systemd, nothing happens.
pub(super) struct Notify {
    #[cfg(unix)]
    socket: Option<std::os::unix::net::UnixDatagram>,
}

impl Notify {
    pub(super) fn new() -> Self {
        #[cfg(unix)]
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|name| match connect(&name) {
            Ok(socket) => Some(socket),
            Err(error) => {
                tracing::warn!(%error, "systemd cannot be notified");
                None
            }
        });
        Self {
            #[cfg(unix)]
            socket,
        }
    }

    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// A `ready` must follow.
    pub(super) fn reloading(&self) {
        #[cfg(unix)]
        {
            let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
            let microseconds = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
            self.send(&format!("RELOADING=1\nMONOTONIC_USEC={microseconds}"));
        }
    }

    /// Returns never: systemd restarts the service when these signs of life stop. They come from the runtime that serves.
    pub(super) async fn watchdog(&self) -> Infallible {
        let Some(interval) = watchdog_interval() else { return std::future::pending().await };
        let mut ticks = tokio::time::interval(interval / 2);
        loop {
            ticks.tick().await;
            self.send("WATCHDOG=1");
        }
    }

    fn send(&self, state: &str) {
        #[cfg(unix)]
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(state.as_bytes())
        {
            tracing::warn!(%error, state, "systemd cannot be notified");
        }
        #[cfg(not(unix))]
        let _ = state;
    }
}

#[cfg(unix)]
fn connect(name: &std::ffi::OsStr) -> io::Result<std::os::unix::net::UnixDatagram> {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let socket = UnixDatagram::unbound()?;
    match name.as_bytes() {
        #[cfg(target_os = "linux")]
        [b'@', abstract_name @ ..] => {
            use std::os::linux::net::SocketAddrExt;
            socket.connect_addr(&SocketAddr::from_abstract_name(abstract_name)?)?;
        }
        _ => socket.connect_addr(&SocketAddr::from_pathname(name)?)?,
    }
    Ok(socket)
}

fn watchdog_interval() -> Option<Duration> {
    let is_ours = env::var("WATCHDOG_PID").map_or(true, |id| id == std::process::id().to_string());
    let microseconds = env::var("WATCHDOG_USEC").ok()?.parse().ok().filter(|time| *time > 0)?;
    is_ours.then_some(Duration::from_micros(microseconds))
}

/// Passed in, by their `FileDescriptorName=`. One without such a name is for HTTP.
#[derive(Default)]
pub(super) struct Sockets {
    http: Vec<TcpListener>,
    admin: Vec<TcpListener>,
    thrift: Vec<TcpListener>,
    pub(super) are_passed: bool,
}

impl Sockets {
    pub(super) fn of(&mut self, port: Port) -> Vec<TcpListener> {
        let listeners = match port {
            Port::Http => &mut self.http,
            Port::Admin => &mut self.admin,
            Port::Thrift => &mut self.thrift,
        };
        std::mem::take(listeners)
    }

    #[cfg(unix)]
    pub(super) fn take() -> Done<Self> {
        // Read before they are taken, which removes the variables.
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut passed = ListenFd::from_env();
        let count = passed.len();
        let names: Vec<_> = names.split(':').collect();
        let mut sockets = Self { are_passed: count > 0, ..Self::default() };
        for index in 0..count {
            let name = names.get(index).copied().unwrap_or_default();
            let wrong = |what: String| Failure::usage(format!("socket {} of systemd, {name:?}: {what}", index + 1));
            let listener = passed.take_tcp_listener(index).map_err(|error| wrong(error.to_string()))?;
            let listener = listener.ok_or_else(|| wrong("it is not there".to_owned()))?;
            match name {
                "http" => sockets.http.push(listener),
                "admin" => sockets.admin.push(listener),
                "thrift" => sockets.thrift.push(listener),
                _ if count == 1 => sockets.http.push(listener),
                _ => {
                    let names = "of several sockets, each needs FileDescriptorName=http, admin or thrift";
                    return Err(wrong(names.to_owned()));
                }
            }
        }
        Ok(sockets)
    }

    #[cfg(not(unix))]
    pub(super) fn take() -> Done<Self> {
        Ok(Self::default())
    }
}
