//! A certificate authority for tests.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::fs;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Writes `server.crt` and `server.key` for `localhost` and `127.0.0.1`, `client.crt` and `client.key`, and `ca.crt`. Returns the
/// authority's certificate as PEM.
pub fn write(dir: &Path) -> String {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    // With the same name as its certificates, OpenSSL would take those for their own authorities.
    authority.distinguished_name.push(DnType::CommonName, "an authority for tests");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    for (name, names) in [("server", vec!["localhost", "127.0.0.1"]), ("client", vec!["client"])] {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
        fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
        fs::write(dir.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
    fs::write(dir.join("ca.crt"), authority.pem()).unwrap();
    authority.pem()
}
