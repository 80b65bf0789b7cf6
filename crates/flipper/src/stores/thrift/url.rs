use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::ThriftRpcFeatureFlagStore;
#[cfg(not(feature = "thrift-tls"))]
use crate::error::ErrorKind;
use crate::error::{Error, Result};
use crate::stores::kinds::THRIFT;
use crate::stores::url_parts::{Parameters, Parts, set};

const FORM: &str = "a Thrift store's URL is `thrift://HOST[:PORT][?transport=framed&protocol=compact]`";
const LOGIN: &str = "a Thrift store's URL has no user or password: the protocol knows none";
const DEFAULT_PORT: u16 = 9090;
/// A year; much more would overflow the clock.
const MOST_MILLISECONDS: u64 = 31_536_000_000;

pub(super) fn parse(url: &str) -> Result<ThriftRpcFeatureFlagStore> {
    let mut parts = Parts::parse(url, THRIFT.schemes, FORM)?;
    parts.refuse_login(LOGIN)?;
    if !parts.decoded_path()?.is_empty() {
        return Err(Error::invalid_input("a Thrift store's URL has no path"));
    }
    let host = parts.host(DEFAULT_PORT)?;
    let store = ThriftRpcFeatureFlagStore::new(host.name, host.port);
    let parameters = &mut parts.parameters;
    let files = ["ca", "cert", "key"].map(|name| parameters.take(name).map(PathBuf::from));
    let store = if parts.scheme == "thrifts" { encrypted(store, files)? } else { plain(store, &files)? };
    let store = set(store, named(parameters, "transport")?, ThriftRpcFeatureFlagStore::transport);
    let store = set(store, named(parameters, "protocol")?, ThriftRpcFeatureFlagStore::protocol);
    let time = parameters.take_number("connect_timeout_ms", MOST_MILLISECONDS)?.map(Duration::from_millis);
    let store = set(store, time, ThriftRpcFeatureFlagStore::connect_timeout);
    let time = parameters.take_number("timeout_ms", MOST_MILLISECONDS)?.map(Duration::from_millis);
    let store = set(store, time, ThriftRpcFeatureFlagStore::timeout);
    let connections = parameters.take_number("max_connections", usize::MAX)?;
    let store = set(store, connections, ThriftRpcFeatureFlagStore::max_connections);
    parts.parameters.refuse_rest(THRIFT.parameters)?;
    Ok(store)
}

#[cfg(feature = "thrift-tls")]
fn encrypted(store: ThriftRpcFeatureFlagStore, files: [Option<PathBuf>; 3]) -> Result<ThriftRpcFeatureFlagStore> {
    let [ca, cert, key] = files;
    let files = super::tls::TlsFiles::new(ca, cert, key)?;
    Ok(store.with(|target| target.tls = Some(files)))
}

#[cfg(not(feature = "thrift-tls"))]
fn encrypted(_: ThriftRpcFeatureFlagStore, _: [Option<PathBuf>; 3]) -> Result<ThriftRpcFeatureFlagStore> {
    Err(Error::new(ErrorKind::Unsupported).with_message("thrifts:// needs the feature `thrift-tls` of flipper-client"))
}

fn plain(store: ThriftRpcFeatureFlagStore, files: &[Option<PathBuf>]) -> Result<ThriftRpcFeatureFlagStore> {
    match files.iter().all(Option::is_none) {
        true => Ok(store),
        false => Err(Error::invalid_input("`ca`, `cert` and `key` are for TLS: the URL begins with `thrifts://` then")),
    }
}

fn named<T: FromStr<Err: Into<String>>>(parameters: &mut Parameters, name: &str) -> Result<Option<T>> {
    parameters
        .take(name)
        .map(|value| value.parse().map_err(|error: T::Err| Error::invalid_input(error.into())))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_url_says() {
        let store = parse("thrift://flags:1234/?transport=framed&protocol=compact&timeout_ms=5").unwrap();
        assert_eq!(store.to_string(), "ThriftRpc(flags:1234)");
        assert_eq!(store.target().wire.to_string(), "framed compact");
        assert_eq!(store.target().timeout, Duration::from_millis(5));
        let store = parse("thrift://[::1]").unwrap();
        assert_eq!((store.to_string().as_str(), store.target().port), ("ThriftRpc([::1]:9090)", 9090));
        assert_eq!(store.target().wire.to_string(), "buffered binary");
    }

    #[test]
    fn what_is_no_url_of_a_store() {
        for (url, why) in [
            ("http://h", "URL is `thrift://"),
            ("thrift:h", "URL is `thrift://"),
            ("thrift://", "the host of"),
            ("thrift://:9090", "the host of"),
            ("thrift://h:0x1", "the host of"),
            ("thrift://h:99999", "the host of"),
            ("thrift://a,b", "one host"),
            ("thrift://::1", "in brackets"),
            ("thrift://[::1", "in brackets"),
            ("thrift://[::1]9090", "in brackets"),
            ("thrift://user:secret@h", "no user or password"),
            ("thrift://h/path", "no path"),
            ("thrift://h?transport=http", "neither `buffered` nor `framed`"),
            ("thrift://h?protocol=json", "neither `binary` nor `compact`"),
            ("thrift://h?timeout_ms=0", "no number in range"),
            ("thrift://h?timeout_ms=99999999999999", "no number in range"),
            ("thrift://h?speed=9", "no parameter `speed`"),
            ("thrift://h?ca=/x", "begins with `thrifts://`"),
            #[cfg(feature = "thrift-tls")]
            ("thrifts://h?cert=/x", "given together"),
            #[cfg(not(feature = "thrift-tls"))]
            ("thrifts://h", "needs the feature `thrift-tls`"),
        ] {
            let error = parse(url).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(why), "{url}: {error}");
            assert!(!error.contains("secret"));
        }
    }
}
