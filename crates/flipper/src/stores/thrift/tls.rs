//! TLS of a blocking connection.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::tcp::Tcp;
use crate::error::{Error, Result};

/// Read for each connection, so that they can be replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct TlsFiles {
    /// Instead of the system's authorities.
    pub(super) ca: Option<PathBuf>,
    pub(super) client: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    pub(super) fn new(ca: Option<PathBuf>, cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Self> {
        match (cert, key) {
            (None, None) => Ok(Self { ca, client: None }),
            (Some(cert), Some(key)) => Ok(Self { ca, client: Some((cert, key)) }),
            _ => Err(Error::invalid_input("`cert` and `key` are given together or not at all")),
        }
    }

    fn config(&self) -> io::Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        match &self.ca {
            None => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Some(file) => {
                for certificate in certificates(file)? {
                    roots.add(certificate).map_err(|error| unusable(file, error))?;
                }
            }
        }
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
        let config =
            config.with_safe_default_protocol_versions().map_err(io::Error::other)?.with_root_certificates(roots);
        let Some((cert, key)) = &self.client else { return Ok(config.with_no_client_auth()) };
        let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| unusable(key, error))?;
        config.with_client_auth_cert(certificates(cert)?, secret).map_err(|error| unusable(cert, error))
    }
}

fn certificates(file: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unusable(file, error))?;
    if read.is_empty() {
        return Err(unusable(file, "it holds no certificate as PEM"));
    }
    Ok(read)
}

fn unusable(file: &Path, why: impl std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{} cannot be used: {why}", file.display()))
}

/// The encryption of a connection, whose bytes are elsewhere.
pub(super) struct Session(Box<ClientConnection>);

impl Session {
    pub(super) fn begin(files: &TlsFiles, host: &str, tcp: &mut Tcp) -> io::Result<Self> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let connection = ClientConnection::new(Arc::new(files.config()?), name).map_err(io::Error::other)?;
        let mut this = Self(Box::new(connection));
        // A message is encrypted as a whole, however large it is.
        this.0.set_buffer_limit(None);
        while this.0.is_handshaking() {
            match this.0.wants_write() {
                true => this.flush(tcp)?,
                false => this.receive(tcp)?,
            }
        }
        this.flush(tcp)?;
        Ok(this)
    }

    pub(super) fn read(&mut self, tcp: &mut Tcp, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.receive(tcp)?,
                read => return read,
            }
            self.flush(tcp)?;
        }
    }

    pub(super) fn send(&mut self, tcp: &mut Tcp, message: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(message)?;
        self.flush(tcp)
    }

    /// Whether a socket that does not block has nothing but what belongs to TLS, such as tickets for later sessions.
    pub(super) fn is_idle(&mut self, mut stream: impl Read) -> bool {
        loop {
            match self.0.read_tls(&mut stream) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
                Ok(1..) => {}
                _ => return false,
            }
            let state = self.0.process_new_packets();
            if !state.is_ok_and(|state| state.plaintext_bytes_to_read() == 0 && !state.peer_has_closed()) {
                return false;
            }
        }
    }

    fn flush(&mut self, tcp: &mut Tcp) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes)?;
        }
        tcp.send(&bytes)
    }

    fn receive(&mut self, tcp: &mut Tcp) -> io::Result<()> {
        if self.0.read_tls(tcp)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Err(error) = self.0.process_new_packets() {
            // An alert, from which the server learns the reason.
            let _ = self.flush(tcp);
            return Err(io::Error::new(io::ErrorKind::InvalidData, error));
        }
        Ok(())
    }
}
