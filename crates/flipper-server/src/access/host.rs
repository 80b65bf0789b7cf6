//! Web pages of others, which a browser on this machine could send requests for, although the port is on loopback.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Uri};
use std::net::IpAddr;

/// Whether all names that the request has for this server are of loopback. A page whose own name was rebound to 127.0.0.1 has that name
/// here.
pub(super) fn is_loopback(uri: &Uri, headers: &HeaderMap) -> bool {
    let of_uri = uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut names = of_uri.into_iter().chain(headers.get_all(HOST).iter().map(|host| host.as_bytes())).peekable();
    names.peek().is_some() && names.all(|name| std::str::from_utf8(name).is_ok_and(is_loopback_name))
}

fn is_loopback_name(authority: &str) -> bool {
    let host = without_port(authority);
    if matches!(host, "localhost" | "127.0.0.1") {
        return true;
    }
    let address = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.to_ascii_lowercase().ends_with(".localhost"),
    }
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|c| c.is_ascii_digit()) && !host.is_empty() => host,
        _ => authority,
    }
}

/// The page that the request is of, if it is of another origin and not of an allowed one. A browser sends a form of any page without asking.
pub(crate) fn foreign_origin<'a>(headers: &'a HeaderMap, uri: &Uri, allowed: &[HeaderValue]) -> Option<&'a [u8]> {
    let authority = uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = || authority.or_else(|| headers.get(HOST).map(|host| host.as_bytes()));
    headers.get_all(ORIGIN).iter().map(|origin| origin.as_bytes()).find(|origin| {
        let is_own = [&b"http://"[..], b"https://"].iter().any(|scheme| {
            origin.strip_prefix(*scheme).is_some_and(|rest| host().is_some_and(|host| host.eq_ignore_ascii_case(rest)))
        });
        !is_own && !allowed.iter().any(|allowed| allowed.as_bytes() == *origin)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_loopback() {
        for name in ["localhost", "LocalHost:8080", "app.localhost:1", "127.0.0.1", "127.8.8.8:80", "[::1]:80", "[::1]"]
        {
            assert!(is_loopback_name(name), "{name}");
        }
        for name in
            ["", "example.com", "localhost.example.com", "127.0.0.1.example.com", "10.0.0.1", "[::2]", "x@localhost:1"]
        {
            assert!(!is_loopback_name(name), "{name}");
        }
    }

    #[test]
    fn every_name_counts() {
        let uri = |text: &str| text.parse::<Uri>().unwrap();
        let hosts = |hosts: &[&'static str]| {
            hosts.iter().map(|host| (HOST, http::HeaderValue::from_static(host))).collect::<HeaderMap>()
        };
        assert!(is_loopback(&uri("/"), &hosts(&["localhost"])));
        assert!(is_loopback(&uri("http://localhost/"), &hosts(&[])));
        assert!(!is_loopback(&uri("/"), &hosts(&[])), "HTTP/1.0 without a host");
        assert!(!is_loopback(&uri("/"), &hosts(&["localhost", "example.com"])));
        assert!(!is_loopback(&uri("http://example.com/"), &hosts(&["localhost"])));
    }
}
