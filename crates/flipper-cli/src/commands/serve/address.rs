use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};

use crate::args::Serve;
use crate::failure::{Done, Failure};

/// What a port needs before other machines may reach it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Http,
    Thrift,
    /// It shows no flags and changes nothing.
    Admin,
}

impl Port {
    pub(super) const ALL: [Self; 3] = [Self::Http, Self::Admin, Self::Thrift];

    pub(super) fn option(self) -> &'static str {
        match self {
            Self::Http => "--http",
            Self::Thrift => "--thrift",
            Self::Admin => "--admin",
        }
    }

    /// Whether callers are known and cannot be overheard, or the user has said that it does not matter.
    fn is_protected(self, args: &Serve) -> bool {
        let (tls, clients) = (args.tls_cert.is_some(), args.tls_client_ca.is_some());
        args.listen_everywhere
            || match self {
                Self::Admin => true,
                Self::Thrift => tls && clients,
                Self::Http => knows_callers(args) && (tls || args.plaintext_behind_proxy),
            }
    }

    /// What is missing, and what to add.
    fn missing(self, args: &Serve) -> (String, String) {
        let is_encrypted = args.tls_cert.is_some() || (self == Self::Http && args.plaintext_behind_proxy);
        let add_tls = (!is_encrypted).then_some("--tls-cert FILE --tls-key FILE");
        let mut add: Vec<_> = add_tls.into_iter().collect();
        if self == Self::Thrift {
            add.push("--tls-client-ca FILE");
            let what = "anyone who reaches the port could change all flags";
            let hint = format!("listen on 127.0.0.1, or add {}, or --listen-everywhere", add.join(" "));
            return (what.to_owned(), hint);
        }
        let what = match (knows_callers(args), is_encrypted) {
            (false, true) => "without tokens anyone could change all flags",
            (false, false) => "without tokens and TLS anyone could change all flags",
            (true, _) => "without TLS tokens could be overheard",
        };
        if !knows_callers(args) {
            add.insert(0, "--tokens FILE");
        }
        let behind = if add_tls.is_some() { "; --plaintext-behind-proxy is enough if a proxy encrypts" } else { "" };
        (
            what.to_owned(),
            format!("listen on 127.0.0.1, or add {}{behind}; --listen-everywhere takes the risk", add.join(" ")),
        )
    }
}

fn knows_callers(args: &Serve) -> bool {
    args.tokens.is_some() || args.tls_client_ca.is_some() || args.proxy_header.is_some()
}

/// Resolves `HOST:PORT`, and refuses addresses that other machines can reach unless the port is protected.
pub(super) fn resolve(text: &str, port: Port, args: &Serve) -> Done<Vec<SocketAddr>> {
    let option = port.option();
    let resolved = text.to_socket_addrs().map_err(|error| {
        Failure::usage(format!("{option} {text}: {error}")).hint("write HOST:PORT, such as 127.0.0.1:9090")
    })?;
    let addresses: Vec<_> = resolved.collect();
    addresses.iter().try_for_each(|address| check(*address, &format!("{option} {text}"), port, args))?;
    Ok(addresses)
}

pub(super) fn check(address: SocketAddr, what: &str, port: Port, args: &Serve) -> Done {
    if address.ip().to_canonical().is_loopback() || port.is_protected(args) {
        return Ok(());
    }
    let (missing, hint) = port.missing(args);
    Err(Failure::usage(format!("{what}: other machines can reach {}, and {missing}", address.ip())).hint(hint))
}

fn cannot_listen(option: &str, text: &str, error: &io::Error) -> Failure {
    let failure = Failure::store(format!("{option} {text}: {error}"));
    match error.kind() {
        io::ErrorKind::AddrInUse => failure.hint("another program has the port: end it, or take another port"),
        io::ErrorKind::AddrNotAvailable => failure.hint("this machine has no such address"),
        io::ErrorKind::PermissionDenied => failure.hint("take a port from 1024 up"),
        _ => failure,
    }
}

/// The sockets that were passed in, else one at this address.
pub(super) fn listen(text: Option<&str>, passed: Vec<TcpListener>, port: Port, args: &Serve) -> Done<Vec<TcpListener>> {
    let option = port.option();
    if !passed.is_empty() {
        for listener in &passed {
            let address = listener.local_addr();
            let address =
                address.map_err(|error| Failure::usage(format!("socket of systemd for {option}: {error}")))?;
            check(address, &format!("socket of systemd for {option}"), port, args)?;
        }
        return Ok(passed);
    }
    let Some(text) = text else { return Ok(Vec::new()) };
    let addresses = resolve(text, port, args)?;
    let listener = TcpListener::bind(&addresses[..]);
    let listener = listener.map_err(|error| cannot_listen(option, text, &error))?;
    Ok(vec![listener])
}
