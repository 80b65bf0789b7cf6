//! The store's URL.

use std::time::Duration;

use super::ThriftRpcOptions;
use crate::error::{Error, Result};

const DEFAULT_PORT: u16 = 9090;

pub(super) fn parse(url: &str) -> Result<(String, u16, ThriftRpcOptions)> {
    let rest =
        url.strip_prefix("thrift://").ok_or_else(|| Error::invalid_input("URL does not begin with `thrift://`"))?;
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let place = place.strip_suffix('/').unwrap_or(place);
    if place.contains('@') {
        return Err(Error::invalid_input("`thrift:` URLs have no user or password: the protocol knows none"));
    }
    if place.contains('/') {
        return Err(Error::invalid_input("`thrift:` URLs have no path"));
    }
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) =
                bracketed.split_once(']').ok_or_else(|| Error::invalid_input("address in the URL has no `]`"))?;
            let port = match port.strip_prefix(':') {
                Some(port) => Some(port),
                None if port.is_empty() => None,
                None => return Err(Error::invalid_input("`]` in the URL is followed by something else than a port")),
            };
            (host, port)
        }
        None if place.matches(':').count() > 1 => {
            return Err(Error::invalid_input("an IPv6 address stands in brackets: `thrift://[::1]:9090`"));
        }
        None => match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    if host.is_empty() {
        return Err(Error::invalid_input("URL names no host: `thrift://HOST:PORT`"));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(port) => number(port, "port")?,
    };
    let mut options = ThriftRpcOptions::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        set(&mut options, pair)?;
    }
    Ok((host.to_owned(), port, options))
}

fn set(options: &mut ThriftRpcOptions, pair: &str) -> Result<()> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    match name {
        "transport" => options.wire.transport = value.parse().map_err(Error::invalid_input)?,
        "protocol" => options.wire.protocol = value.parse().map_err(Error::invalid_input)?,
        "connect_timeout_ms" => options.connect_timeout = Duration::from_millis(positive(value, name)?),
        "timeout_ms" => options.timeout = Duration::from_millis(positive(value, name)?),
        "max_connections" => options.max_connections = positive(value, name)?.try_into().unwrap_or(usize::MAX),
        _ => return Err(Error::invalid_input(format!("`thrift:` URLs have no option {name:?}"))),
    }
    Ok(())
}

fn positive(value: &str, name: &str) -> Result<u64> {
    // A year of milliseconds; more would overflow the clock.
    match number(value, name)? {
        0 => Err(Error::invalid_input(format!("{name} must not be 0"))),
        value @ 1..=31_536_000_000 => Ok(value),
        _ => Err(Error::invalid_input(format!("{name} is too large"))),
    }
}

fn number<T: std::str::FromStr>(value: &str, name: &str) -> Result<T> {
    value.parse().map_err(|_| Error::invalid_input(format!("{name} is no number in range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says() {
        let (host, port, options) =
            parse("thrift://flags:1234/?transport=framed&protocol=compact&timeout_ms=5").unwrap();
        assert_eq!((host.as_str(), port), ("flags", 1234));
        assert_eq!(options.wire.to_string(), "framed compact");
        assert_eq!(options.timeout, Duration::from_millis(5));
        let (host, port, options) = parse("thrift://[::1]").unwrap();
        assert_eq!((host.as_str(), port, options.wire.to_string()), ("::1", 9090, "buffered binary".to_owned()));
    }

    #[test]
    fn what_is_no_url_of_a_store() {
        for (url, why) in [
            ("http://h", "begin with"),
            ("thrift:h", "begin with"),
            ("thrift://", "no host"),
            ("thrift://:9090", "no host"),
            ("thrift://h:0x1", "port is no number"),
            ("thrift://h:99999", "port is no number"),
            ("thrift://::1", "in brackets"),
            ("thrift://[::1", "no `]`"),
            ("thrift://[::1]9090", "something else"),
            ("thrift://user:secret@h", "no user or password"),
            ("thrift://h/path", "no path"),
            ("thrift://h?transport=http", "neither `buffered` nor `framed`"),
            ("thrift://h?protocol=json", "neither `binary` nor `compact`"),
            ("thrift://h?timeout_ms=0", "must not be 0"),
            ("thrift://h?timeout_ms=99999999999999", "too large"),
            ("thrift://h?speed=9", "no option \"speed\""),
        ] {
            let error = parse(url).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"));
        }
    }
}
