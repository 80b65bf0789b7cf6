//! Other processes: the test program itself, started anew in a role.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{self, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use crate::PATIENCE;

const ROLE: &str = "FLIPPER_TEST_ROLE";
const ARGUMENTS: &str = "FLIPPER_TEST_ARGUMENTS";
/// Marks the lines that are meant for the parent; the test harness prints others.
const MARK: char = '@';

/// Another process, killed when it is dropped.
///
/// It runs the test called `child` of the same test program, which does what [`child_role`] says; without a role that test
/// starts a child itself, and so tests that this works.
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

    /// Starts one that runs as another user, which takes root.
    #[cfg(unix)]
    #[must_use]
    #[track_caller]
    pub fn spawn_as(user: u32, role: &str, arguments: &[&str]) -> Self {
        use std::os::unix::process::CommandExt;
        Self::start(command(role, arguments).uid(user).gid(user).current_dir("/"))
    }

    #[track_caller]
    fn start(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap_or_else(|error| panic!("no child process: {error}"));
        let (sender, lines) = mpsc::channel();
        if let Some(stdout) = process.stdout.take() {
            thread::spawn(move || {
                let lines = BufReader::new(stdout).lines().map_while(Result::ok);
                let said = lines.filter_map(|line| Some(line.split_once(MARK)?.1.to_owned()));
                // Fails when nobody wants to hear any more.
                let _ = { said }.try_for_each(|line| sender.send(line));
            });
        }
        Self { process, lines }
    }

    /// The next line that it says, or `None` when it has ended.
    ///
    /// # Panics
    ///
    /// If it says nothing for [`PATIENCE`].
    #[track_caller]
    pub fn line(&self) -> Option<String> {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("the child said nothing for {PATIENCE:?}"),
        }
    }

    /// Waits for this line.
    ///
    /// # Panics
    ///
    /// If it says another one, or none.
    #[track_caller]
    pub fn expect(&self, line: &str) {
        assert_eq!(self.line().as_deref(), Some(line), "what the child says");
    }

    /// Says something to it.
    ///
    /// # Panics
    ///
    /// If it does not listen any more.
    #[track_caller]
    pub fn say(&mut self, line: &str) {
        let said = self.process.stdin.as_mut().map(|stdin| writeln!(stdin, "{line}").and_then(|()| stdin.flush()));
        assert!(matches!(said, Some(Ok(()))), "the child does not listen");
    }

    /// Kills it with SIGKILL, and gives what it had said and nobody has read.
    pub fn kill(mut self) -> Vec<String> {
        self.stop();
        self.lines.iter().collect()
    }

    /// Sends it a signal, such as `STOP`.
    ///
    /// # Panics
    ///
    /// If that cannot be done.
    #[cfg(unix)]
    #[track_caller]
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(status.is_ok_and(|status| status.success()), "no signal {name} could be sent");
    }

    /// Waits for its end.
    ///
    /// # Panics
    ///
    /// If it did not end well, or not within [`PATIENCE`].
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

/// Lets children go at once, when each has said `ready`, and waits for their ends. They say `on it` as long as they get on, which on a
/// busy machine takes its time.
///
/// # Panics
///
/// If one says something else, or does not end well.
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
            assert_eq!(line, "on it", "what the child says");
        }
        child.succeed();
    }
}

fn command(role: &str, arguments: &[&str]) -> Command {
    let program = std::env::current_exe().unwrap_or_else(|error| panic!("where is the test program? {error}"));
    let mut command = Command::new(program);
    command.args(["child", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role).env(ARGUMENTS, arguments.join("\n"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// What a child is to do.
#[derive(Debug)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The role of this process, if it is a child.
///
/// # Panics
///
/// If it has a role and no arguments.
#[must_use]
pub fn child_role() -> Option<Role> {
    let name = std::env::var(ROLE).ok()?;
    let arguments = std::env::var(ARGUMENTS).unwrap_or_else(|error| panic!("{ARGUMENTS}: {error}"));
    Some(Role { name, arguments: arguments.lines().map(str::to_owned).collect() })
}

impl Role {
    /// Says a line to the parent.
    pub fn say(&self, line: &str) {
        let mut stdout = io::stdout().lock();
        // Fails when the parent is gone, and then nothing matters.
        let _ = writeln!(stdout, "{MARK}{line}").and_then(|()| stdout.flush());
    }

    /// Waits for the next line of the parent; `None` when it has no more to say.
    pub fn hear(&self) -> Option<String> {
        io::stdin().lock().lines().next()?.ok()
    }
}
