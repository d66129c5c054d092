//! A program has the terminal that the broker was started on.

use super::{TOKEN, launch};

/// `script` gives the command a terminal and copies what is shown there.
async fn on_a_terminal(words: &[&str]) -> String {
    let launch = launch().await;
    let mut command = launch.command();
    let broker = command.args(words).as_std();
    let quoted = std::iter::once(broker.get_program()).chain(broker.get_args()).map(|word| {
        let word = word.to_str().unwrap().replace('\'', r"'\''");
        format!("'{word}'")
    });
    let line = quoted.collect::<Vec<_>>().join(" ");
    let mut script = tokio::process::Command::new("script");
    script
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .envs(broker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = script.stdin(std::process::Stdio::null()).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    said
}

#[tokio::test]
async fn a_program_has_the_whole_terminal_and_with_mask_only_its_keyboard() {
    let ask = "for fd in 0 1 2; do test -t $fd && printf 'tty%s ' $fd; done; printf '%s' \"$A\" | wc -c";
    let said = on_a_terminal(&["exec", "--env", "A=github-token", "--", "sh", "-c", ask]).await;
    assert!(said.contains(&format!("tty0 tty1 tty2 {}", TOKEN.len())), "{said}");
    let said = on_a_terminal(&["exec", "--mask", "--env", "A=github-token", "--", "sh", "-c", ask]).await;
    assert!(said.contains("Masked: ") && said.contains(&format!("tty0 {}", TOKEN.len())), "{said}");
}

/// The kernel sends Ctrl-C to both; the program gets it once.
#[tokio::test]
async fn ctrl_c_on_a_terminal_reaches_the_program_once() {
    let script = r#"
import os, pty, signal, sys, time
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
seen = b""
while b"ready" not in seen:
    seen += os.read(terminal, 1024)
os.write(terminal, b"\x03")
try:
    while chunk := os.read(terminal, 1024):
        seen += chunk
except OSError:
    pass
print(seen.decode(errors="replace"), "exit", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"#;
    let program = "import signal,sys,time\ncount=[0]\ndef got(*_):\n count[0]+=1\nsignal.signal(signal.SIGINT,got)\nprint('ready',flush=True)\nt=time.time()\nwhile count[0]==0 and time.time()-t<60: time.sleep(.01)\ntime.sleep(.5)\nprint('got',count[0])\nsys.exit(5)";
    for mask in [&["--mask"][..], &[]] {
        let launch = launch().await;
        let mut command = launch.command();
        let broker = command.arg("exec").args(mask).args(["--env", "A=github-token", "--", "python3", "-c", program]).as_std();
        let mut python = tokio::process::Command::new("python3");
        python.args(["-c", script]).arg(broker.get_program()).args(broker.get_args());
        python.env_clear().envs(broker.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let output = python.output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            said.contains("got 1") && said.contains("exit 5"),
            "{mask:?}: {said} {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}
