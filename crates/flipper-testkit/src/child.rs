//! Child processes: the test program itself, restarted with a role.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

const ROLE: &str = "FLIPPER_TEST_ROLE";
const ARGUMENTS: &str = "FLIPPER_TEST_ARGUMENTS";
/// Marks lines for the parent among the test harness's own.
const MARK: char = '@';

/// A child process, killed when dropped.
///
/// It runs the test `child` of the same test program, which acts by its [`child_role`]. Without a role that test
/// starts a child itself, and so tests this.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    lines: Receiver<String>,
}

impl Child {
    /// Starts one; the arguments must have no line break.
    #[must_use]
    #[track_caller]
    pub fn spawn(role: &str, arguments: &[&str]) -> Self {
        Self::start(&mut command(role, arguments))
    }

    /// Starts one that runs as another user, which needs root.
    #[cfg(unix)]
    #[must_use]
    #[track_caller]
    pub fn spawn_as(user: u32, role: &str, arguments: &[&str]) -> Self {
        use std::os::unix::process::CommandExt;
        Self::start(command(role, arguments).uid(user).gid(user).current_dir("/"))
    }

    /// Starts another program, whose lines are marked in the same way.
    #[must_use]
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap_or_else(|error| panic!("no child process: {error}"));
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = process.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                let marked = lines.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
                // Fails when the receiver is dropped.
                let _ = { marked }.try_for_each(|line| sender.send(line));
            });
        }
        Self { process, lines }
    }

    /// The next line from the child, or `None` when it has ended. Panics after [`PATIENCE`].
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child sent nothing for {PATIENCE:?}"),
        }
    }

    /// Waits for this line. Panics at another one.
    #[track_caller]
    pub fn expect(&self, line: &str) {
        assert_eq!(self.line().as_deref(), Some(line), "the line from the child");
    }

    /// Sends it a line.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let sent = self.process.stdin.as_mut().map(|stdin| writeln!(stdin, "{line}").and_then(|()| stdin.flush()));
        assert!(matches!(sent, Some(Ok(()))), "the child does not read");
    }

    /// Kills it with SIGKILL, and returns its unread lines.
    pub fn kill(mut self) -> Vec<String> {
        self.stop();
        self.lines.iter().collect()
    }

    /// Sends it a signal, such as `STOP`.
    #[cfg(unix)]
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "no signal {name} could be sent");
    }

    /// Waits for its successful end.
    #[track_caller]
    pub fn succeed(mut self) {
        drop(self.process.stdin.take());
        let deadline = Instant::now() + PATIENCE;
        let status: ExitStatus = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) => assert!(Instant::now() < deadline, "the child has not ended within {PATIENCE:?}"),
                Err(error) => panic!("the child cannot be waited for: {error}"),
            }
            thread::sleep(Duration::from_millis(1));
        };
        assert!(status.success(), "the child ended with {status}");
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn stop(&mut self) {
        // Both fail when it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts children at the same time, once each has sent `ready`, and waits for their ends. They send `on it` while they make
/// progress, which restarts the timeout on a busy machine.
#[track_caller]
pub fn run_together(mut children: Vec<Child>) {
    for child in &children {
        child.expect("ready");
    }
    for child in &mut children {
        child.say("go");
    }
    for child in children {
        while let Some(line) = child.line() {
            assert_eq!(line, "on it", "the line from the child");
        }
        child.succeed();
    }
}

fn command(role: &str, arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("where is the test program? {error}"));
    let mut command = Command::new(program);
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(ARGUMENTS, arguments.join("\n"));
    command
}

/// The task of a child.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The role of this process, if it is a child.
#[must_use]
pub fn child_role() -> Option<Role> {
    let name = std::env::var(ROLE).ok()?;
    let arguments = std::env::var(ARGUMENTS).unwrap_or_else(|error| panic!("{ARGUMENTS}: {error}"));
    Some(Role { name, arguments: arguments.lines().map(str::to_owned).collect() })
}

impl Role {
    /// Sends a line to the parent.
    pub fn say(&self, line: &str) {
        let mut stdout = io::stdout().lock();
        // Fails when the parent has ended, which kills this process too.
        let _ = writeln!(stdout, "{MARK}{line}").and_then(|()| stdout.flush());
    }

    /// Waits for the next line of the parent; `None` at the end of its input.
    pub fn hear(&self) -> Option<String> {
        io::stdin().lock().lines().next()?.ok()
    }
}
