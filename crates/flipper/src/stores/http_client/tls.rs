use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};

use super::renewal::{Stamp, unusable};
use crate::error::{Error, Result};
use crate::stores::lenient::Lenient;

#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) ca_path: Option<PathBuf>,
    pub(crate) client_cert: Option<PathBuf>,
    pub(crate) client_key: Option<PathBuf>,
    pub(crate) server_name: Option<String>,
    pub(crate) no_verify: bool,
}

/// The type of connections without TLS needs a configuration too.
pub(crate) fn unused() -> Result<ClientConfig> {
    Ok(start(Arc::new(ring::default_provider()))?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn start(provider: Arc<CryptoProvider>) -> Result<ConfigBuilder<ClientConfig, WantsVerifier>> {
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    config.map_err(|error| Error::invalid_input("TLS cannot be set up").with_source(error))
}

impl Tls {
    pub(crate) fn is_set(&self) -> bool {
        let Self { ca_file, ca_path, client_cert, client_key, server_name, no_verify } = self;
        [ca_file, ca_path, client_cert, client_key].into_iter().any(Option::is_some)
            || server_name.is_some()
            || *no_verify
    }

    pub(crate) fn stamps(&self) -> Vec<Stamp> {
        let mut files: Vec<_> =
            [&self.ca_file, &self.client_cert, &self.client_key].into_iter().flatten().cloned().collect();
        let folder = self.ca_path.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten().flatten();
        files.extend(folder.map(|entry| entry.path()));
        files.iter().map(|file| Stamp::of(file)).collect()
    }

    pub(crate) fn config(&self) -> Result<ClientConfig> {
        let provider = Arc::new(ring::default_provider());
        let config = start(provider.clone())?;
        let config = if self.no_verify {
            tracing::warn!(
                "the certificate of the store's server is not verified: another host can impersonate the server"
            );
            config.dangerous().with_custom_certificate_verifier(Arc::new(Lenient { provider, authorities: None }))
        } else {
            let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(self.roots()?), provider).build();
            let verifier = verifier.map_err(|error| {
                Error::invalid_input("there is no authority that could vouch for the server").with_source(error)
            })?;
            config.with_webpki_verifier(verifier)
        };
        match (&self.client_cert, &self.client_key) {
            (None, None) => Ok(config.with_no_client_auth()),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("client key", key, error))?;
                config
                    .with_client_auth_cert(chain, secret)
                    .map_err(|error| unusable("client certificate", certificate, error))
            }
            _ => Err(Error::invalid_input("a client certificate and its key are given together or not at all")),
        }
    }

    fn roots(&self) -> Result<RootCertStore> {
        let mut roots = RootCertStore::empty();
        let mut add = |file: &PathBuf| -> Result<()> {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| unusable("certificate file", file, error))?;
            }
            Ok(())
        };
        if let Some(file) = &self.ca_file {
            add(file)?;
        } else if let Some(folder) = &self.ca_path {
            let entries = std::fs::read_dir(folder).map_err(|error| unusable("certificate folder", folder, error))?;
            let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file()).collect();
            files.sort_unstable();
            files.iter().try_for_each(add)?;
        } else {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        Ok(roots)
    }
}

fn certificates(file: &PathBuf) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable("certificate file", file, error))?;
    if read.is_empty() {
        return Err(unusable("certificate file", file, "it holds no certificate as PEM"));
    }
    Ok(read)
}
