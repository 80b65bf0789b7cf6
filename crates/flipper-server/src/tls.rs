//! TLS by certificates in files, which are read again when they change.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use http::Extensions;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

use crate::access::ClientCertificate;
use crate::access::private::{self, Stamp};
use crate::server::{Accepted, Acceptor};

const POLL: Duration = Duration::from_secs(1);

/// Bytes of a PEM file: hundreds of certificates.
const LARGEST: u64 = 4 << 20;

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {what}", path.display())]
pub struct TlsError {
    path: PathBuf,
    what: String,
}

/// The files of a server's certificate. All are PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    cert: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// The server's certificate, followed by those of its issuers, and its private key.
    #[must_use]
    pub fn new(cert: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self { cert: cert.into(), key: key.into(), client_ca: None }
    }

    /// Accepts only clients with a certificate of one of these authorities.
    #[must_use]
    pub fn client_ca(mut self, file: impl Into<PathBuf>) -> Self {
        self.client_ca = Some(file.into());
        self
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        [&*self.cert, &*self.key].into_iter().chain(self.client_ca.as_deref())
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.all().map(Stamp::of_path).collect()
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.cert)?;
        let key =
            PrivateKeyDer::from_pem_slice(&read(&self.key)?).map_err(|error| failed(&self.key, no_key(&error)))?;
        let provider: Arc<CryptoProvider> = ring::default_provider().into();
        let versions = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let builder = versions.map_err(|error| failed(&self.cert, error.to_string()))?;
        let builder = match &self.client_ca {
            None => builder.with_no_client_auth(),
            Some(file) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| failed(file, error.to_string()))?;
                }
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build();
                builder.with_client_cert_verifier(verifier.map_err(|error| failed(file, error.to_string()))?)
            }
        };
        // Refuses a key of another certificate: a renewal may have replaced only one of the files yet.
        let mut config = builder.with_single_cert(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                failed(&self.key, format!("it is not the key of the certificate in {}", self.cert.display()))
            }
            error => failed(&self.cert, error.to_string()),
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Certificates as of the files' last consistent state. [`follow`](Self::follow) keeps them up to date.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    config: RwLock<Arc<ServerConfig>>,
    /// While the files are read: an older state must not replace a newer one.
    reloading: Mutex<()>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    /// Of the last attempt to read the files, also of a failed one.
    stamps: Vec<Option<Stamp>>,
    error: Option<String>,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// If one cannot be read, has no certificate or key, or the key is not that of the certificate.
    pub fn open(files: TlsFiles) -> Result<Arc<Self>, TlsError> {
        let stamps = files.stamps();
        let config = RwLock::new(files.read()?);
        if let Ok(metadata) = fs::metadata(&files.key)
            && let Some(what) = private::exposure(&metadata)
        {
            tracing::warn!(key = %files.key.display(), "the private key {what}");
        }
        Ok(Arc::new(Self {
            files,
            config,
            reloading: Mutex::default(),
            seen: Mutex::new(Seen { stamps, error: None }),
        }))
    }

    /// Reads the files whenever they change, until this is dropped. Files that do not fit together leave the certificate as it is, with a
    /// warning. Open connections keep theirs. Must be called within a tokio runtime.
    pub fn follow(self: &Arc<Self>) {
        let tls = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(POLL).await;
                let Some(tls) = tls.upgrade() else { return };
                let looked = tokio::task::spawn_blocking(move || {
                    let stamps = tls.files.stamps();
                    if tls.seen().stamps != stamps {
                        tls.reload();
                    }
                });
                if let Err(error) = looked.await {
                    tracing::error!(%error, "looking for changes of the certificates failed");
                }
            }
        });
    }

    /// Reads the files now.
    pub fn reload(&self) {
        let _alone = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        // Before reading: a change in between is seen by the next look.
        let stamps = self.files.stamps();
        let error = match self.files.read() {
            Ok(config) => {
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
                tracing::info!(cert = %self.files.cert.display(), "certificates are read again");
                None
            }
            Err(error) => Some(error.to_string()),
        };
        let mut seen = self.seen();
        seen.stamps = stamps;
        if let Some(error) = &error
            && seen.error.as_ref() != Some(error)
        {
            tracing::warn!(%error, "certificates cannot be read again; those of before stay");
        }
        seen.error = error;
    }

    /// Why the files could not be used the last time, if so.
    #[must_use]
    pub fn error(&self) -> Option<String> {
        self.seen().error.clone()
    }

    /// For the next connection.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acceptor for Tls {
    fn accept(&self, stream: TcpStream) -> Pin<Box<dyn Future<Output = io::Result<Accepted>> + Send + '_>> {
        Box::pin(async {
            let stream = TlsAcceptor::from(self.config()).accept(stream).await?;
            let session = stream.get_ref().1;
            let is_http2 = session.alpn_protocol() == Some(b"h2");
            let mut extensions = Extensions::new();
            if let Some(certificate) = session.peer_certificates().and_then(|chain| chain.first()) {
                extensions.insert(ClientCertificate::of(certificate));
            }
            Ok(Accepted { stream: Box::new(stream), is_http2, extensions })
        })
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match found.map_err(|error| failed(path, error.to_string()))? {
        found if found.is_empty() => Err(failed(path, "it has no certificate in PEM".to_owned())),
        found => Ok(found),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let cannot = |error: io::Error| failed(path, format!("it cannot be read: {error}"));
    let file = private::open(path).map_err(cannot)?;
    if file.metadata().map_err(cannot)?.len() > LARGEST {
        return Err(failed(path, "it is too large for a file of certificates".to_owned()));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn no_key(error: &rustls::pki_types::pem::Error) -> String {
    match error {
        rustls::pki_types::pem::Error::NoItemsFound => {
            "it has no private key in PEM; one with a password has to be decrypted first".to_owned()
        }
        error => error.to_string(),
    }
}

fn failed(path: &Path, what: String) -> TlsError {
    TlsError { path: path.to_owned(), what }
}
