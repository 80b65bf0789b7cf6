use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::place::Tls;
use crate::error::{Error, Result};
use crate::stores::lenient::Lenient;

/// Reads the files.
pub(super) fn connector(tls: &Tls) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let config = config.map_err(|error| Error::invalid_input("TLS cannot be set up").with_source(error))?;
    let authorities = match tls.verified {
        true => {
            let roots = Arc::new(roots(tls.authorities.as_deref())?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build();
            Some(verifier.map_err(|error| {
                Error::invalid_input("there is no authority that could vouch for the PostgreSQL server")
                    .with_source(error)
            })?)
        }
        false => None,
    };
    let config = match authorities {
        Some(verifier) if tls.named => config.with_webpki_verifier(verifier),
        authorities => config.dangerous().with_custom_certificate_verifier(Arc::new(Lenient { provider, authorities })),
    };
    let config = match &tls.identity {
        None => config.with_no_client_auth(),
        Some((certificate, key)) => {
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable("client key", key, &error))?;
            config
                .with_client_auth_cert(certificates(certificate)?, secret)
                .map_err(|error| unusable("client certificate", certificate, &error))?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn roots(file: Option<&Path>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match file.filter(|file| *file != Path::new("system")) {
        None => _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        Some(file) => {
            for certificate in certificates(file)? {
                roots.add(certificate).map_err(|error| unusable("certificate file", file, &error))?;
            }
        }
    }
    Ok(roots)
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable("certificate file", file, &error))?;
    if read.is_empty() {
        return Err(unusable("certificate file", file, &"it holds no certificate as PEM"));
    }
    Ok(read)
}

fn unusable(what: &str, file: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::invalid_input(format!("the {what} {} cannot be used: {why}", file.display()))
}
