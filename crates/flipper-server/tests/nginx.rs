//! A mirror over a server behind nginx, which buffers answers and changes paths.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};

use flipper::store::{LocalFeatureFlagStore, Precondition};
use flipper::{FeatureFlagStore, FlagRecord, HttpFeatureFlagStore, MirroredFeatureFlagStore};
use flipper_testkit::{block_on, free_port, skip, wait_until};
use support::Running;

struct Nginx {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// `None`, with a printed line, if it is not installed.
    fn before(server: &Running) -> Option<Self> {
        // Debian has it outside of the usual path.
        let program = flipper_testkit::program("nginx").or_else(|| {
            let program = Path::new("/usr/sbin/nginx");
            program.exists().then(|| program.to_owned())
        });
        let Some(program) = program else {
            skip("nginx", "it is not installed");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let place = folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|kind| format!("{kind}_temp_path {place}/{kind};\n"))
            .concat();
        let configuration = format!(
            "daemon off;\nmaster_process off;\npid {place}/pid;\nerror_log {place}/error.log;\n\
             events {{ worker_connections 64; }}\n\
             http {{\naccess_log off;\n{temporary}\
             server {{\nlisten 127.0.0.1:{port};\nlocation /team/ {{\nproxy_pass http://{};\n\
             proxy_http_version 1.1;\nproxy_set_header Connection \"\";\nproxy_buffering on;\nproxy_buffers 8 64k;\n}}\n}}\n}}\n",
            // With a path, nginx decodes and merges what the client sent.
            format_args!("{}/", server.address)
        );
        let file = folder.path().join("nginx.conf");
        std::fs::write(&file, configuration).unwrap();
        let error_log = folder.path().join("error.log");
        let process = Command::new(program).arg("-e").arg(&error_log).arg("-c").arg(&file).stdin(Stdio::null()).spawn();
        let mut nginx = Self { process: process.unwrap(), port, _folder: folder };
        wait_until("nginx listens", || {
            if let Some(ended) = nginx.process.try_wait().unwrap() {
                panic!("nginx ended ({ended}): {}", std::fs::read_to_string(&error_log).unwrap_or_default());
            }
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Some(nginx)
    }

    fn store(&self) -> HttpFeatureFlagStore {
        HttpFeatureFlagStore::builder(format!("http://127.0.0.1:{}/team", self.port)).build().unwrap()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn flips_arrive_at_once_and_names_as_they_are() {
    let server = Running::memory();
    let Some(nginx) = Nginx::before(&server) else { return };
    let store = nginx.store();
    for name in ["a/b", "/", "..", "a//b", "%2F", "é b", ""] {
        let record = FlagRecord::new(name, 7);
        let version = block_on(store.put(&record, Precondition::Absent)).unwrap();
        let read = block_on(store.get(name)).unwrap().unwrap();
        assert_eq!((read.version.clone(), read.name.as_str()), (version.clone(), name));
        assert_eq!(**read.readable().unwrap(), record);
        if name != "a/b" {
            block_on(store.delete(name, Precondition::Unchanged(version))).unwrap();
        }
    }
    let mirror = MirroredFeatureFlagStore::new(store);
    block_on(mirror.ready()).unwrap();
    assert_eq!(mirror.table().list().len(), 1);
    for number in 0..30 {
        let on = number % 2 == 0;
        server.send("PUT /api/v1/flags/A", &format!("{{\"enabled\": {on}}}"));
        wait_until("the flip arrives", || {
            mirror.table().get("A").and_then(|flag| flag.record.ok()).is_some_and(|record| record.is_enabled() == on)
        });
        // Not only with a heartbeat, which would be stale in between.
        assert!(mirror.status().is_live());
    }
    drop(nginx);
    wait_until("the loss shows", || !mirror.status().is_live());
}
