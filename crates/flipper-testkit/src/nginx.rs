//! nginx before an HTTP server, as teams have it: it keeps connections to the server, buffers answers, and compresses them, streams too. Its path
//! `/team/` is the server's `/`; all other paths are passed on as they are, with the headers that a server may trust.

#![expect(clippy::unwrap_used, reason = "a panic is a test's report")]

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::process::Process;
use crate::{free_port, program, skip, wait_until};

/// A running nginx, killed when dropped.
#[derive(Debug)]
pub struct Nginx {
    port: u16,
    _process: Process,
    _folder: TempDir,
}

impl Nginx {
    /// Starts it; prints `SKIP` and returns `None` without nginx.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn before(server: SocketAddr) -> Option<Self> {
        Self::start(server, None)
    }

    /// The same by TLS, with the `server.crt` and `server.key` of this folder.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn with_tls_before(server: SocketAddr, certificates: &Path) -> Option<Self> {
        Self::start(server, Some(certificates))
    }

    fn start(server: SocketAddr, certificates: Option<&Path>) -> Option<Self> {
        // Debian has it outside of the usual path.
        let debian = Path::new("/usr/sbin/nginx");
        let Some(program) = program("nginx").or_else(|| debian.exists().then(|| debian.to_owned())) else {
            skip("nginx", "it is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let place = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let tls = certificates.map(|folder| {
            let file = |name: &str| folder.join(name).display().to_string();
            let (certificate, key) = (file("server.crt"), file("server.key"));
            format!(" ssl;\nssl_certificate {certificate};\nssl_certificate_key {key}")
        });
        let tls = tls.unwrap_or_default();
        // With a path in `proxy_pass`, nginx decodes and merges what the client sent.
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\n\
             events {{ worker_connections 256; }}\n\
             http {{\naccess_log off;\n{temporary}\
             gzip on;\ngzip_proxied any;\ngzip_min_length 20;\ngzip_types application/json text/event-stream;\n\
             proxy_http_version 1.1;\nproxy_buffering on;\nproxy_buffers 8 64k;\n\
             upstream flags {{\nserver {server};\nkeepalive 16;\n}}\n\
             server {{\nlisten 127.0.0.1:{port}{tls};\n\
             location /team/ {{\nproxy_pass http://flags/;\nproxy_set_header Host {server};\nproxy_set_header Connection \"\";\n}}\n\
             location / {{\nproxy_pass http://flags;\nproxy_set_header Host $http_host;\nproxy_set_header Connection \"\";\n\
             proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\nproxy_set_header X-Forwarded-Proto $scheme;\n}}\n}}\n}}\n"
        );
        let (file, log) = (folder.path().join("nginx.conf"), folder.path().join("error.log"));
        fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program);
        command.arg("-e").arg(&log).arg("-c").arg(&file);
        let mut process = Process::start(&mut command, &folder.path().join("output"));
        wait_until("nginx listens", || {
            assert!(!process.has_ended(), "nginx ended: {}", fs::read_to_string(&log).unwrap_or_default());
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(Self { port, _process: process, _folder: folder })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Of the server, through it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/team", self.port)
    }
}
