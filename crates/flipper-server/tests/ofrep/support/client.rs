use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use flipper_testkit::{PATIENCE, program, skip};
use serde_json::{Value, json};
use tempfile::TempDir;

const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients");
/// For those that would read the user's.
const NO_NETRC: &str = "/dev/null";
const INSTALLED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../.cache/clients");

/// A program around a client library: a line in, a line of JSON out. Killed when dropped.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    process: Child,
    /// `None` while it ends.
    input: Option<ChildStdin>,
    output: Receiver<String>,
    _folder: Option<TempDir>,
}

impl Client {
    /// The clients of servers, as far as they are installed.
    pub(crate) fn all(url: &str) -> Vec<Self> {
        [Self::node(url), Self::python(url), Self::rust(url)].into_iter().flatten().collect()
    }

    pub(crate) fn node(url: &str) -> Option<Self> {
        Self::node_of(&[url])
    }

    pub(crate) fn python(url: &str) -> Option<Self> {
        Self::python_of(&[url], NO_NETRC)
    }

    pub(crate) fn rust(url: &str) -> Option<Self> {
        Self::rust_of(&[url])
    }

    /// All, with this token.
    pub(crate) fn with_token(url: &str, token: &str) -> Vec<Self> {
        let arguments = [url, token];
        [Self::node_of(&arguments), Self::python_of(&arguments, NO_NETRC), Self::rust_of(&arguments)]
            .into_iter()
            .flatten()
            .collect()
    }

    /// Of a user with this `~/.netrc`.
    pub(crate) fn python_with_netrc(url: &str, token: &str, netrc: &Path) -> Option<Self> {
        Self::python_of(&[url, token], netrc)
    }

    fn node_of(arguments: &[&str]) -> Option<Self> {
        let (mut command, folder) =
            node_script(&fs::read_to_string(Path::new(SOURCES).join("node/server.mjs")).unwrap())?;
        Some(Self::start("node", command.args(arguments), Some(folder)))
    }

    fn python_of(arguments: &[&str], netrc: impl AsRef<OsStr>) -> Option<Self> {
        let mut command = Command::new(python()?);
        command.arg(Path::new(SOURCES).join("python/server.py")).env("NETRC", netrc);
        Some(Self::start("python", command.args(arguments), None))
    }

    fn rust_of(arguments: &[&str]) -> Option<Self> {
        let program = installed("rust/ofrep-client")?;
        Some(Self::start("rust", Command::new(program).args(arguments), None))
    }

    /// A script of `clients`, with these arguments, and its first line, by which it is ready.
    pub(crate) fn script(name: &'static str, file: &str, arguments: &[&OsStr]) -> Option<(Self, Value)> {
        let (mut command, folder) = node_script(&fs::read_to_string(Path::new(SOURCES).join(file)).unwrap())?;
        let client = Self::start(name, command.args(arguments), Some(folder));
        let ready = client.answer();
        Some((client, ready))
    }

    fn start(name: &'static str, command: &mut Command, folder: Option<TempDir>) -> Self {
        // No proxy: it is not what is tested.
        command.env_remove("http_proxy").env_remove("HTTP_PROXY");
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, output) = channel();
        let stdout = process.stdout.take().unwrap();
        thread::spawn(move || {
            let _ = BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line));
        });
        let input = process.stdin.take();
        Self { name, process, input, output, _folder: folder }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
        self.answer()
    }

    #[track_caller]
    fn answer(&self) -> Value {
        // A browser starts in here, perhaps several at a time.
        let line = self.output.recv_timeout(3 * PATIENCE).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{}: {error}: {line}", self.name))
    }

    /// What the SDK's `get_…_details` returns.
    #[track_caller]
    pub(crate) fn details(&mut self, kind: &str, key: &str, default: &Value, context: &Value) -> Value {
        let request = json!({ "type": kind, "key": key, "default": default, "context": context });
        self.ask(&request.to_string())
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.input.take());
        // Ends by itself, and its browser with it.
        let deadline = Instant::now() + PATIENCE;
        while self.process.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                let _ = self.process.kill();
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A page in Chromium.
pub(crate) struct Web {
    client: Client,
    pub(crate) origin: String,
}

impl Web {
    pub(crate) fn open() -> Option<Self> {
        let Some(chromium) = program("chromium") else {
            skip("chromium", "it is not installed; scripts/setup installs it");
            return None;
        };
        let (client, origin) = Client::script("web", "node/web.mjs", &[chromium.as_os_str()])?;
        Some(Self { client, origin: origin.as_str().unwrap().to_owned() })
    }

    /// Evaluates an expression in the page.
    #[track_caller]
    pub(crate) fn eval(&mut self, expression: &str) -> Value {
        let value = self.client.ask(&expression.replace('\n', " "));
        assert!(value.get("failed").is_none(), "{expression}: {value}");
        value
    }

    /// Sets the provider; returns `ready` or the error.
    #[track_caller]
    pub(crate) fn start(&mut self, options: &Value, context: &Value) -> String {
        self.eval(&format!("start({options}, {context})")).as_str().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn details(&mut self, kind: &str, key: &str, default: &Value) -> Value {
        self.eval(&format!("details({})", json!({ "type": kind, "key": key, "default": default })))
    }

    #[track_caller]
    pub(crate) fn status(&mut self) -> String {
        self.eval("OpenFeature.getClient().providerStatus").as_str().unwrap().to_owned()
    }

    /// The page's requests so far: method and status.
    #[track_caller]
    pub(crate) fn requests(&mut self) -> Vec<Value> {
        self.eval(".requests").as_array().unwrap().clone()
    }
}

/// The interpreter with the packages of `clients/python`.
pub(crate) fn python() -> Option<PathBuf> {
    installed("python/bin/python")
}

/// A copy of a script, where it finds its packages.
pub(crate) fn node_script(text: &str) -> Option<(Command, TempDir)> {
    let modules = installed("node/node_modules")?;
    let Some(node) = program("node") else {
        skip("node", "it is not installed; scripts/setup installs it");
        return None;
    };
    let folder = tempfile::Builder::new().prefix("run-").tempdir_in(modules.parent().unwrap()).unwrap();
    let script = folder.path().join("script.mjs");
    fs::write(&script, text).unwrap();
    let mut command = Command::new(node);
    command.arg(script);
    Some((command, folder))
}

fn installed(what: &str) -> Option<PathBuf> {
    let path = Path::new(INSTALLED).join(what);
    if path.exists() {
        return Some(path);
    }
    skip("OFREP client", &format!("there is no .cache/clients/{what}; scripts/setup makes it"));
    None
}
