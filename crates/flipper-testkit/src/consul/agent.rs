//! A Consul agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::http::{Reply, ask};
use crate::port::free_port;
use crate::process::Process;
use crate::{tls, wait_until};

/// The token with all rights, if ACLs are on.
pub const MASTER_TOKEN: &str = "11111111-2222-3333-4444-555555555555";

/// Options of an agent.
#[derive(Clone, Debug, Default)]
pub struct ConsulOptions {
    acl: bool,
    tls: bool,
    socket: bool,
    dev: bool,
    servers: Option<Vec<u16>>,
}

impl ConsulOptions {
    /// Allows nothing without a token.
    #[must_use]
    pub fn acl(mut self) -> Self {
        self.acl = true;
        self
    }

    /// Also listens for TLS, on its own port, and requires a client certificate there.
    #[must_use]
    pub fn tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// Keeps all data in memory: `consul agent -dev`. A restart loses them.
    #[must_use]
    pub fn dev(mut self) -> Self {
        self.dev = true;
        self
    }

    /// Also listens at a Unix socket.
    #[must_use]
    pub fn socket(mut self) -> Self {
        self.socket = true;
        self
    }

    pub(super) fn cluster(mut self, serf_ports: Vec<u16>) -> Self {
        self.servers = Some(serf_ports);
        self
    }

    /// Starts it and waits until it accepts writes; `None` without Consul.
    #[must_use]
    pub fn start(self) -> Option<ConsulAgent> {
        let mut log = String::new();
        // Another process may take the port before Consul does.
        for _ in 0..5 {
            let mut agent = self.clone().launch(free_port())?;
            if agent.is_up() {
                return Some(agent);
            }
            log = agent.log();
        }
        panic!("consul does not start: {log}");
    }

    pub(super) fn launch(self, serf: u16) -> Option<ConsulAgent> {
        let program = super::consul()?;
        let dir = tempfile::tempdir().unwrap();
        if self.tls {
            tls::write(dir.path());
        }
        let ports = Ports { http: free_port(), https: self.tls.then(free_port), server: free_port(), serf };
        let mut agent = ConsulAgent { process: None, program, options: self, dir, ports };
        agent.spawn();
        Some(agent)
    }
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    http: u16,
    https: Option<u16>,
    server: u16,
    serf: u16,
}

/// A server agent with its data in a folder, killed when dropped.
#[derive(Debug)]
pub struct ConsulAgent {
    // Dropped first, since it writes into the folder.
    process: Option<Process>,
    program: PathBuf,
    options: ConsulOptions,
    dir: TempDir,
    ports: Ports,
}

impl ConsulAgent {
    /// An agent with default options; `None` without Consul.
    #[must_use]
    pub fn start() -> Option<Self> {
        ConsulOptions::default().start()
    }

    /// Options, for [`start`](ConsulOptions::start).
    #[must_use]
    pub fn options() -> ConsulOptions {
        ConsulOptions::default()
    }

    /// The port without TLS.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports.http
    }

    /// `host:port` without TLS.
    #[must_use]
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports.http)
    }

    /// The address with TLS.
    #[must_use]
    pub fn tls_address(&self) -> String {
        format!("https://localhost:{}", self.ports.https.expect("an agent with TLS"))
    }

    /// A file of its folder: `ca.crt`, `client.crt`, `client.key`, `socket`.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sends a request with all rights.
    pub fn ask(&self, method: &str, path: &str, body: &[u8]) -> Reply {
        self.try_ask(method, path, body).unwrap()
    }

    fn try_ask(&self, method: &str, path: &str, body: &[u8]) -> std::io::Result<Reply> {
        ask(self.ports.http, self.options.acl.then_some(MASTER_TOKEN), method, path, body)
    }

    /// Sets a key, which must need no escapes.
    pub fn put(&self, key: &str, value: &[u8]) {
        let reply = self.ask("PUT", &format!("/v1/kv/{key}"), value);
        assert_eq!((reply.status, reply.body.trim()), (200, "true"), "{reply:?}");
    }

    /// A key's value, or `None`.
    pub fn get(&self, key: &str) -> Option<String> {
        let reply = self.ask("GET", &format!("/v1/kv/{key}?raw"), b"");
        (reply.status == 200).then_some(reply.body)
    }

    /// Deletes a key.
    pub fn delete(&self, key: &str) {
        self.ask("DELETE", &format!("/v1/kv/{key}"), b"");
    }

    /// Creates or changes a policy.
    pub fn policy(&self, name: &str, rules: &str) {
        let rules = rules.replace('"', "\\\"");
        let found = self.ask("GET", &format!("/v1/acl/policy/name/{name}"), b"");
        let id = field(&found.body, "ID").map(|id| format!("/{id}")).unwrap_or_default();
        let body = format!("{{\"Name\": \"{name}\", \"Rules\": \"{rules}\"}}");
        let reply = self.ask("PUT", &format!("/v1/acl/policy{id}"), body.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Creates a token with this policy.
    pub fn token(&self, secret: &str, policy: &str) {
        let body = format!("{{\"SecretID\": \"{secret}\", \"Policies\": [{{\"Name\": \"{policy}\"}}]}}");
        let reply = self.ask("PUT", "/v1/acl/token", body.as_bytes());
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Deletes a token.
    pub fn revoke(&self, secret: &str) {
        let found = ask(self.ports.http, Some(secret), "GET", "/v1/acl/token/self", b"").unwrap();
        let accessor = field(&found.body, "AccessorID").expect("a token");
        let reply = self.ask("DELETE", &format!("/v1/acl/token/{accessor}"), b"");
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// Sets many keys in batches, so that each step of the log has much work.
    pub fn put_all(&self, keys: &[(String, String)]) {
        for some in keys.chunks(64) {
            let operations: Vec<_> = some
                .iter()
                .map(|(key, value)| {
                    let value = base64(value.as_bytes());
                    format!("{{\"KV\": {{\"Verb\": \"set\", \"Key\": \"{key}\", \"Value\": \"{value}\"}}}}")
                })
                .collect();
            let reply = self.ask("PUT", "/v1/txn", format!("[{}]", operations.join(",")).as_bytes());
            assert_eq!(reply.status, 200, "{reply:?}");
        }
    }

    /// Whether it accepts writes.
    #[must_use]
    pub fn takes_writes(&self) -> bool {
        let set = self.try_ask("PUT", "/v1/kv/ready", b"");
        set.is_ok_and(|reply| reply.status == 200) && self.try_ask("DELETE", "/v1/kv/ready", b"").is_ok()
    }

    /// Whether it is the leader of its cluster.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        let leader = self.try_ask("GET", "/v1/status/leader", b"");
        leader.is_ok_and(|reply| reply.body.contains(&format!(":{}\"", self.ports.server)))
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Restarts it with the same ports and data, and waits until it accepts writes.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
        self.wait();
    }

    /// Restarts it without data.
    pub fn restart_empty(&mut self) {
        self.kill();
        let _ = fs::remove_dir_all(self.file("data"));
        self.restart();
    }

    /// `kill -STOP`: connections stay open, and requests hang.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// `kill -CONT`.
    pub fn resume(&self) {
        self.process().resume();
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a running agent")
    }

    fn wait(&mut self) {
        assert!(self.is_up(), "consul ended: {}", self.log());
    }

    /// Waits until it accepts writes; `false` if it has ended instead.
    pub(super) fn is_up(&mut self) -> bool {
        let mut ended = false;
        wait_until("the Consul agent takes writes", || {
            ended = self.process.as_mut().is_none_or(Process::has_ended);
            ended || self.takes_writes()
        });
        !ended
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    fn spawn(&mut self) {
        let file = self.file("agent.json");
        fs::write(&file, self.config(self.dir.path())).unwrap();
        let mut command = Command::new(&self.program);
        command
            .arg("agent")
            .args(self.options.dev.then_some("-dev"))
            .arg("-config-file")
            .arg(file)
            .current_dir(self.dir.path())
            .env_clear();
        self.process = Some(Process::start(&mut command, &self.file("log")));
    }

    fn config(&self, dir: &Path) -> String {
        let (ports, shown) = (self.ports, dir.display());
        let https = ports.https.map_or(-1, i32::from);
        let mut parts = vec![
            format!("\"node_name\": \"node-{}\"", ports.server),
            "\"server\": true, \"bind_addr\": \"127.0.0.1\", \"log_level\": \"warn\", \"disable_update_check\": true"
                .to_owned(),
            format!(
                "\"ports\": {{\"http\": {}, \"https\": {https}, \"server\": {}, \"serf_lan\": {}, \"serf_wan\": -1, \
                 \"dns\": -1, \"grpc\": -1}}",
                ports.http, ports.server, ports.serf
            ),
            // Elections within about a second; all tests of a machine count as one client.
            "\"performance\": {\"raft_multiplier\": 1}, \"limits\": {\"http_max_conns_per_client\": 2000}".to_owned(),
        ];
        if !self.options.dev {
            parts.push(format!("\"data_dir\": \"{shown}/data\""));
        }
        match &self.options.servers {
            None if self.options.dev => {}
            None => parts.push("\"bootstrap\": true".to_owned()),
            // One that was killed keeps its vote: else there may be no majority if another one is killed before it is back.
            Some(serf) => {
                let others: Vec<_> = serf.iter().map(|port| format!("\"127.0.0.1:{port}\"")).collect();
                let others = others.join(", ");
                parts.push(format!(
                    "\"bootstrap_expect\": {}, \"retry_join\": [{others}], \"retry_interval\": \"1s\", \
                     \"autopilot\": {{\"cleanup_dead_servers\": false}}",
                    serf.len()
                ));
            }
        }
        if self.options.acl {
            parts.push(format!(
                "\"acl\": {{\"enabled\": true, \"default_policy\": \"deny\", \"token_ttl\": \"0s\", \"policy_ttl\": \"0s\", \
                 \"role_ttl\": \"0s\", \"tokens\": {{\"master\": \"{MASTER_TOKEN}\"}}}}"
            ));
        }
        if self.options.tls {
            parts.push(format!(
                "\"ca_file\": \"{shown}/ca.crt\", \"cert_file\": \"{shown}/server.crt\", \"key_file\": \"{shown}/server.key\", \
                 \"verify_incoming_https\": true"
            ));
        }
        let socket = if self.options.socket { format!(" unix://{shown}/socket") } else { String::new() };
        // With TLS also at an address that the certificate does not name.
        parts.push(format!("\"addresses\": {{\"http\": \"127.0.0.1{socket}\", \"https\": \"127.0.0.1 127.0.0.2\"}}"));
        format!("{{{}}}", parts.join(",\n"))
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place)) as usize & 63];
            text.push(if place > three.len() { '=' } else { char::from(digit) });
        }
    }
    text
}

/// A text field of a flat JSON object.
fn field(json: &str, name: &str) -> Option<String> {
    let (_, rest) = json.split_once(&format!("\"{name}\""))?;
    let mut parts = rest.split('"');
    parts.next()?;
    parts.next().map(str::to_owned)
}
