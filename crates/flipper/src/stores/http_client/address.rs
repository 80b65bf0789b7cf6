use std::net::IpAddr;
use std::path::PathBuf;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::InvalidUri;

use crate::error::{Error, Result};

const FORM: &str = "a Consul address is `HOST[:PORT]`, `http://HOST[:PORT]`, `https://HOST[:PORT]` or `unix:///PATH`";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Tcp { tls: bool, authority: String, path: String },
    Unix(PathBuf),
}

impl Address {
    /// As Consul's own tools. `tls`: asked for, or forbidden. `configured`: there are TLS settings, which ask for TLS if the address has no
    /// scheme; Consul's tools would send the token in the clear.
    pub(crate) fn parse(text: &str, tls: Option<bool>, configured: bool) -> Result<Self> {
        let text = text.trim();
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "" => tls.unwrap_or(configured),
            "http" => tls == Some(true),
            "https" => true,
            "unix" if rest.is_empty() => return Err(Error::invalid_input(FORM)),
            "unix" => return Ok(Self::Unix(rest.into())),
            _ => return Err(Error::invalid_input(FORM)),
        };
        let (authority, path) = match rest.split_once('/') {
            Some((authority, path)) => (authority, format!("/{}", path.trim_end_matches('/'))),
            None => (rest, String::new()),
        };
        let path = if path == "/" { String::new() } else { path };
        if authority.contains('@') {
            return Err(Error::invalid_input("a Consul address holds no user or password: give a token instead"));
        }
        let uri: Uri = format!("http://{authority}{path}/").parse().map_err(invalid)?;
        let host = uri.host().unwrap_or_default();
        let port = authority.strip_prefix(host).map(|rest| rest.strip_prefix(':').unwrap_or(rest));
        let usable = port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok());
        if host.is_empty() || !usable || path.contains(['?', '#']) {
            return Err(Error::invalid_input(FORM));
        }
        // As in Consul's own tools, the scheme has a default port.
        Ok(Self::Tcp { tls, authority: authority.trim_end_matches(':').to_owned(), path })
    }

    pub(crate) fn base(&self) -> String {
        match self {
            Self::Tcp { tls, authority, path } => {
                format!("{}://{authority}{path}", if *tls { "https" } else { "http" })
            }
            Self::Unix(path) => format!("unix://{}", path.display()),
        }
    }

    /// Nothing on the network can read what is sent.
    pub(crate) fn is_private(&self) -> bool {
        match self {
            Self::Unix(_) | Self::Tcp { tls: true, .. } => true,
            Self::Tcp { .. } => self.uri().is_ok_and(|uri| uri.host().is_some_and(is_loopback)),
        }
    }

    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Tcp { path, .. } => path,
            Self::Unix(_) => "",
        }
    }

    pub(crate) fn uri(&self) -> Result<Uri> {
        self.base().parse().map_err(invalid)
    }

    pub(crate) fn host(&self) -> Result<HeaderValue> {
        let host = match self {
            Self::Tcp { authority, .. } => authority,
            Self::Unix(_) => "localhost",
        };
        HeaderValue::from_str(host).map_err(|error| Error::invalid_input(FORM).with_source(error))
    }
}

fn invalid(error: InvalidUri) -> Error {
    Error::invalid_input(FORM).with_source(error)
}

/// Also of an address that another one replaces.
pub(crate) fn is_https(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| scheme.trim().eq_ignore_ascii_case("https"))
}

fn is_loopback(host: &str) -> bool {
    match host.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_consul_reads_them() {
        let base = |text: &str, tls, configured| Address::parse(text, tls, configured).unwrap().base();
        assert_eq!(base("127.0.0.1:8500", None, false), "http://127.0.0.1:8500");
        assert_eq!(base("consul.example", Some(true), false), "https://consul.example");
        // No setting takes back TLS that was asked for.
        assert_eq!(base("http://consul.example:1", Some(true), false), "https://consul.example:1");
        assert_eq!(base("HTTPS://[::1]:8501/", Some(false), false), "https://[::1]:8501");
        // Settings for TLS ask for it, unless the address or the caller decides.
        assert_eq!(base("consul.example:1", None, true), "https://consul.example:1");
        assert_eq!(base("consul.example:1", Some(false), true), "http://consul.example:1");
        assert_eq!(base("http://proxy.example:80/consul/", None, true), "http://proxy.example:80/consul");
        let socket = Address::parse("unix:///run/consul.sock", Some(true), false).unwrap();
        assert_eq!(socket, Address::Unix("/run/consul.sock".into()));
    }

    #[test]
    fn private_addresses() {
        let is_private = |text: &str| Address::parse(text, None, false).unwrap().is_private();
        for private in ["127.1.2.3:1", "localhost", "[::1]:1", "[::ffff:127.0.0.1]:1", "https://h", "unix:///s"] {
            assert!(is_private(private), "{private}");
        }
        for public in ["10.0.0.1:8500", "http://h", "localhost.example", "127.0.0.1.example", "[::2]", "0.0.0.0:1"] {
            assert!(!is_private(public), "{public}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in
            ["", "http://", "ftp://h", "unix://", "http://h:notaport", "http://u:s3cr3t@h", "h/a?token=s3cr3t", "a b"]
        {
            let error = Address::parse(text, None, false).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
        }
    }
}
