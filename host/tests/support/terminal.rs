//! A person at a terminal: runs a command on a pseudo-terminal and types an answer to each question.

use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

/// Rust has no call for it that needs no `unsafe`; Python is there for the SDK tests already. A question ends in `: `.
const SCRIPT: &str = r#"
import json, os, pty, sys, termios, time
answers = json.loads(sys.stdin.readline())
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b""
while True:
    try:
        data = os.read(terminal, 4096)
    except OSError:
        break
    if not data:
        break
    shown += data
    if data.endswith(b": ") and answers:
        # As a person would: not before what is typed is hidden. One that never hides it is found out.
        for _ in range(100):
            if not termios.tcgetattr(terminal)[3] & termios.ECHO:
                break
            time.sleep(0.1)
        os.write(terminal, (answers.pop(0) + "\n").encode())
sys.stdout.buffer.write(shown)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"#;

/// What was on the terminal.
#[derive(Debug)]
pub struct Screen {
    pub text: String,
    pub code: i32,
}

/// Runs the command and answers its questions.
pub async fn type_into(command: &Command, answers: &[&str]) -> Screen {
    let command = command.as_std();
    let mut python = Command::new("python3");
    python.args(["-c", SCRIPT]).arg(command.get_program()).args(command.get_args()).env_clear();
    python.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut child = python.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().expect("Python starts");
    let mut input = child.stdin.take().expect("piped");
    let line = format!("{}\n", serde_json::to_string(answers).expect("JSON"));
    input.write_all(line.as_bytes()).await.expect("written");
    drop(input);
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), child.wait_with_output()).await;
    let output = output.expect("the command ends").expect("waitable");
    Screen { text: String::from_utf8_lossy(&output.stdout).into_owned(), code: output.status.code().unwrap_or(-1) }
}
