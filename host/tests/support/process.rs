//! Child processes that leave nothing behind.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// A helper process that talks in lines. Its whole process group ends when it is dropped.
pub struct Helper {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
    name: String,
}

impl Helper {
    /// Starts it, in a process group of its own.
    pub fn start(mut command: Command) -> Self {
        let name = command.as_std().get_program().to_string_lossy().into_owned();
        let mut child = command
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start ({error}): run `cargo xtask test`, which installs it"));
        let stdin = child.stdin.take();
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, stdin, lines, name }
    }

    /// The next line of its standard output.
    pub async fn line(&mut self) -> String {
        tokio::time::timeout(Duration::from_secs(60), self.lines.next_line())
            .await
            .unwrap_or_else(|_| panic!("{} says nothing for a minute", self.name))
            .expect("readable")
            .unwrap_or_else(|| panic!("{} ended early", self.name))
    }

    /// A line that is already there, or comes within `wait`.
    pub async fn line_within(&mut self, wait: Duration) -> Option<String> {
        tokio::time::timeout(wait, self.lines.next_line()).await.ok()?.ok()?
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("running")
    }

    /// Its standard input.
    pub fn stdin(&mut self) -> &mut ChildStdin {
        self.stdin.as_mut().expect("open")
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        if let Some(id) = self.child.id() {
            end_group(id);
        }
    }
}

/// Sends a signal to a process that this test started. Through the shell, since the call itself would need `unsafe`.
pub fn signal(id: u32, name: &str) {
    let sent = std::process::Command::new("sh").args(["-c", &format!("kill -{name} {id}")]).status().expect("a shell");
    assert!(sent.success(), "kill -{name} {id}");
}

/// Ends a process group that this test started. Through the shell, since the call itself would need `unsafe`.
fn end_group(id: u32) {
    let ended = std::process::Command::new("sh").args(["-c", &format!("kill -KILL -{id}")]).stderr(Stdio::null()).status();
    drop(ended);
}
