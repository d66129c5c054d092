//! One command of the real binary, from its arguments to its end.

use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
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

    /// The same as JSON.
    #[track_caller]
    pub fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
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

/// Runs a command on a terminal of its own: Python's `pty`, since opening one takes `unsafe`. `typed` is typed once the
/// terminal shows `prompt`. What the terminal showed, echo included, and the exit code.
pub async fn on_terminal(launch: &Launch, arguments: &[&str], prompt: &str, typed: &str) -> (String, i32) {
    const PROGRAM: &str = r#"
import os, pty, sys, base64
prompt, typed = sys.argv[1].encode(), base64.b64decode(sys.argv[2])
shown, sent = b"", False
pid, fd = pty.fork()
if pid == 0:
    os.execv(sys.argv[3], sys.argv[3:])
while True:
    try:
        chunk = os.read(fd, 4096)
    except OSError:
        break
    if not chunk:
        break
    shown += chunk
    if not sent and prompt in shown:
        # whoever turns the echo off may do so just after the prompt
        import time, termios
        for _ in range(1000):
            if typed in (b"\x03",) or not termios.tcgetattr(fd)[3] & termios.ECHO:
                break
            time.sleep(0.01)
        os.write(fd, typed)
        sent = True
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status) & 0xff)
"#;
    use base64::Engine as _;
    let (program, options, environment) = launch.plan();
    let mut command = tokio::process::Command::new("python3");
    command.args(["-c", PROGRAM, prompt, &base64::prelude::BASE64_STANDARD.encode(typed)]).arg(program).args(options);
    command.args(arguments).env_clear().envs(environment).env("TERM", "dumb").current_dir(launch.home());
    command.stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output()).await.expect("it ends").expect("python3");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code().expect("no signal"))
}
