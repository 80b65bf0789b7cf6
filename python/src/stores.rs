//! Stores at the address that a client object of Python has, or at a URL.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use flipper::store::{Precondition, Version};
use flipper::stores::ConsulConsistency;
use flipper::{
    ConsulClient, ConsulFeatureFlagStore, Error, ErrorKind, FeatureFlagStore, RedisFeatureFlagStore, Result, blocking,
};
use pyo3::prelude::*;
use redis::{Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisResult, TlsCertificates};

use crate::errors::OrRaise;
use crate::flags::Flags;

/// The store that a URL names.
#[pyfunction]
pub(crate) fn open_url(py: Python<'_>, url: &str) -> PyResult<Flags> {
    let address = url.to_owned();
    Flags::of_store(py, move || flipper::open(&address), url, None)
}

/// A Redis store at a URL; an `UnauthorizedError` if its user lacks what the store needs to read, and with `writes` to write.
#[pyfunction]
pub(crate) fn open_redis(py: Python<'_>, url: &str, base_key: Option<&str>, writes: bool) -> PyResult<Flags> {
    let (address, base_key) = (url.to_owned(), base_key.map(str::to_owned));
    let open = move || {
        let store = RedisFeatureFlagStore::from_url(&address)?;
        Ok(match &base_key {
            Some(base_key) => store.base_key(base_key),
            None => store,
        })
    };
    of_redis(py, open, url, writes)
}

/// A Redis store with TLS, at a URL without the files, that does not look at all that a certificate says. `certificate`: whether an
/// authority must vouch for it; its name does not matter.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "what a client of Redis has")]
#[pyo3(signature = (url, base_key, writes, *, certificate, ca = None, cert = None, key = None))]
pub(crate) fn open_lax_redis(
    py: Python<'_>,
    url: &str,
    base_key: &str,
    writes: bool,
    certificate: bool,
    ca: Option<&str>,
    cert: Option<&str>,
    key: Option<&str>,
) -> PyResult<Flags> {
    let read = |file: &str| fs::read(file).map_err(PyErr::from);
    let root_cert = ca.map(read).transpose()?;
    let client_tls = match (cert, key) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        _ => None,
    };
    let client = lax_client(url, certificate, TlsCertificates { client_tls, root_cert });
    // The driver's message could hold a part of the URL.
    let refused = |_| Error::new(ErrorKind::InvalidInput).with_message("not a Redis server with TLS, or not its files");
    let client = client.map_err(refused).or_raise(py)?;
    let base_key = base_key.to_owned();
    of_redis(py, move || Ok(RedisFeatureFlagStore::new(client.clone()).base_key(&base_key)), url, writes)
}

/// A user who may only do what the original library does, `GET` and `SET`, is for the caller to serve.
fn of_redis(
    py: Python<'_>,
    open: impl Fn() -> Result<RedisFeatureFlagStore> + Send + Sync + 'static,
    url: &str,
    writes: bool,
) -> PyResult<Flags> {
    let store = py.detach(&open).or_raise(py)?;
    // No flag has this version, so that nothing is deleted.
    let none = Precondition::Unchanged(Version::opaque(*b"none"));
    let asked = py.detach(|| match writes {
        true => blocking::wait(store.delete("flipper", none.into())).map(drop),
        false => blocking::wait(store.get("flipper")).map(drop),
    });
    let is_away = match asked {
        Err(error) if error.kind() == ErrorKind::Unauthorized => return Err(error).or_raise(py),
        Err(error) => error.kind() == ErrorKind::Unavailable,
        Ok(()) => false,
    };
    // One that is away is not waited for any longer, and may be back later.
    let opened = move || Ok(Arc::new(open()?) as Arc<dyn FeatureFlagStore>);
    let flags = Flags::of_store(py, opened, url, is_away.then_some(Duration::ZERO))?;
    if !is_away && flags.is_behind() {
        match py.detach(|| blocking::wait(store.list())) {
            Err(error) if error.kind() == ErrorKind::Unauthorized => return Err(error).or_raise(py),
            _ => {}
        }
    }
    Ok(flags)
}

fn lax_client(url: &str, certificate: bool, files: TlsCertificates) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let mut address = info.addr().clone();
    if let ConnectionAddr::TcpTls { insecure, .. } = &mut address {
        *insecure = !certificate;
    }
    let info = Client::build_with_tls(info.set_addr(address), files)?.get_connection_info().clone();
    let mut address = info.addr().clone();
    address.set_danger_accept_invalid_hostnames(true);
    Client::open(info.set_addr(address))
}

/// A Consul store at the address `http://HOST:PORT` or `https://HOST:PORT`. Nothing is taken from the environment.
#[pyfunction]
#[pyo3(signature = (
    address, base_key, *, token = None, datacenter = None, consistency = None, verify = true, ca = None, cert = None, key = None
))]
#[expect(clippy::too_many_arguments, reason = "what a client of Consul has")]
pub(crate) fn open_consul(
    py: Python<'_>,
    address: &str,
    base_key: &str,
    token: Option<&str>,
    datacenter: Option<&str>,
    consistency: Option<&str>,
    verify: bool,
    ca: Option<&str>,
    cert: Option<&str>,
    key: Option<&str>,
) -> PyResult<Flags> {
    let mut client = ConsulClient::builder().address(address).tls_verify(verify);
    if !address.starts_with("https:") {
        // As the object does, whose token goes to any host.
        client = client.tls(false);
    }
    if let Some(token) = token {
        client = client.token(token);
    }
    if let Some(datacenter) = datacenter {
        client = client.datacenter(datacenter);
    }
    match consistency {
        Some("consistent") => client = client.consistency(ConsulConsistency::Consistent),
        Some("stale") => client = client.consistency(ConsulConsistency::Stale),
        _ => {}
    }
    if let Some(ca) = ca {
        client = if Path::new(ca).is_dir() { client.ca_path(ca) } else { client.ca_file(ca) };
    }
    if let Some(cert) = cert {
        client = client.client_cert(cert);
    }
    if let Some(key) = key {
        client = client.client_key(key);
    }
    let base_key = base_key.to_owned();
    let open = move || -> Result<Arc<dyn FeatureFlagStore>> {
        Ok(Arc::new(ConsulFeatureFlagStore::new(client.clone().build()?).base_key(&base_key)?))
    };
    Flags::of_store(py, open, address, None)
}
