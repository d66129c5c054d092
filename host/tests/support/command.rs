//! One command of the real binary, from its arguments to its end.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::broker::Launch;

/// Generous: two cores compile, test and run Chromium at once.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Done {
    /// The standard output of a command that must have succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert_eq!(self.code, 0, "it failed: {self:?}");
        self.stdout
    }

    /// The standard error of a command that must have failed with this exit code, with a message and a hint.
    #[track_caller]
    pub fn failed(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.contains("Error: ") && self.stderr.contains("\nHint: "), "{self:?}");
        self.stderr
    }

    /// All of it, for a snapshot.
    pub fn shown(&self) -> String {
        let part = |name: &str, text: &str| if text.is_empty() { String::new() } else { format!("--- {name}\n{text}") };
        format!("exit code {}\n{}{}", self.code, part("standard output", &self.stdout), part("standard error", &self.stderr))
    }
}

/// Runs a command without a terminal; `input` is what it reads.
pub async fn run(launch: &Launch, arguments: &[&str], input: &[u8]) -> Done {
    let mut command = launch.command();
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("piped");
    // A command that reads nothing has ended before all is written.
    let _ = stdin.write_all(input).await;
    drop(stdin);
    let ended = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = ended.unwrap_or_else(|_| panic!("{arguments:?} does not end")).expect("waitable");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Done { code: output.status.code().expect("no signal"), stdout: text(output.stdout), stderr: text(output.stderr) }
}
