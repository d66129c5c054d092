//! Reading a setting's value from where the operator says it is.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::{Elsewhere, Source};
use crate::error::{Code, Error, Result};
use crate::secret::Secret;

/// The largest value: a private key has a few KiB.
const MAX_BYTES: usize = 64 * 1024;

/// How long a file or a command may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The value of a setting. Waits for files and commands up to 10 seconds: not for a thread that others wait on.
///
/// # Errors
/// `not_configured`, naming the variable, file or program, never what it holds.
pub fn read(source: &Source) -> Result<Secret> {
    read_with(source, &|_| {
        Err(wrong(
            "This value cannot come from the vault.".to_owned(),
            "Use { env = … }, { file = … } or { command = … } instead.".to_owned(),
        ))
    })
}

/// Gives a secret of the vault by its name.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Result<Secret>;

/// The same where there is a vault to ask.
///
/// # Errors
/// As [`read`], and what is wrong with the vault.
pub fn read_with(source: &Source, vault: Lookup<'_>) -> Result<Secret> {
    match source {
        Source::Text(text) => Ok(Secret::from(text.as_str())),
        Source::Elsewhere(Elsewhere::Env(name)) => variable(name, std::env::var_os(name)),
        Source::Elsewhere(Elsewhere::File(file)) => from_file(file, TIMEOUT),
        Source::Elsewhere(Elsewhere::Command(words)) => from_command(words, TIMEOUT),
        Source::Elsewhere(Elsewhere::Secret(name)) => vault(name),
    }
}

fn variable(name: &str, value: Option<std::ffi::OsString>) -> Result<Secret> {
    let what = format!("The environment variable {name}");
    let hint = || format!("Set {name} where the broker is started: in the MCP client's configuration, under \"env\".");
    match value.map(std::ffi::OsString::into_string) {
        None => Err(wrong(format!("{what} is not set."), hint())),
        Some(Err(_)) => Err(wrong(format!("{what} is not UTF-8 text."), hint())),
        Some(Ok(text)) if text.is_empty() => Err(wrong(format!("{what} is empty."), hint())),
        Some(Ok(text)) => Ok(Secret::new(text)),
    }
}

fn from_file(file: &Path, timeout: Duration) -> Result<Secret> {
    let what = format!("The file {}", file.display());
    let hint = "Put the value into it, readable for you alone, or correct the name in broker.toml.";
    let path = file.to_owned();
    // A pipe may never be opened from its other side.
    match in_time(timeout, move || std::fs::File::open(path).and_then(collect)) {
        None => Err(wrong(format!("{what} gave nothing for {} seconds.", timeout.as_secs()), hint.to_owned())),
        Some(Err(error)) => Err(wrong(format!("{what} cannot be read: {error}."), hint.to_owned())),
        Some(Ok(bytes)) => text(&bytes, &what, hint),
    }
}

fn from_command(words: &[String], timeout: Duration) -> Result<Secret> {
    let (program, arguments) = words.split_first().map_or(("", words), |(program, rest)| (program.as_str(), rest));
    // Not the arguments: people write secrets there.
    let what = format!("The command \"{}\"", program.escape_debug());
    let hint = "Run the command of broker.toml by hand: it must print the value and nothing else, without asking anything.";
    let fail = |why: String| wrong(format!("{what} {why}."), hint.to_owned());
    let deadline = Instant::now() + timeout;
    let late = || fail(format!("was not done within {} seconds", timeout.as_secs()));
    // What it says on standard error may quote the secret; it goes nowhere.
    let spawned = Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
    let mut child = Ended(spawned.map_err(|error| fail(format!("cannot be started: {error}")))?);
    let output = child.0.stdout.take().ok_or_else(|| fail("has no output".to_owned()))?;
    let bytes = in_time(timeout, move || collect(output)).ok_or_else(late)?;
    let bytes = bytes.map_err(|error| fail(format!("cannot be read: {error}")))?;
    if bytes.len() <= MAX_BYTES {
        let status = child.wait_until(deadline).ok_or_else(late)?;
        if !status.success() {
            return Err(fail(format!("failed ({status})")));
        }
    }
    text(&bytes, &what, hint)
}

/// A child that does not outlive its use.
struct Ended(Child);

impl Ended {
    fn wait_until(&mut self, deadline: Instant) -> Option<ExitStatus> {
        loop {
            match self.0.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                _ => return None,
            }
        }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `read` gives, if it gives it in time. Otherwise its thread is left to itself.
fn in_time<T: Send + 'static>(timeout: Duration, read: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(read()));
    receiver.recv_timeout(timeout).ok()
}

/// Everything up to one byte more than is allowed, in a buffer that never moves.
fn collect(from: impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(2 * MAX_BYTES));
    from.take(MAX_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The text, without the final line break that editors and programs add.
fn text(bytes: &[u8], what: &str, hint: &str) -> Result<Secret> {
    let fail = |why: &str| wrong(format!("{what} {why}."), hint.to_owned());
    if bytes.len() > MAX_BYTES {
        return Err(fail("gives more than 64 KiB"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| fail("gives no UTF-8 text"))?;
    let text = text.strip_suffix('\n').map_or(text, |text| text.strip_suffix('\r').unwrap_or(text));
    if text.is_empty() { Err(fail("gives nothing")) } else { Ok(Secret::from(text)) }
}

fn wrong(message: String, hint: String) -> Error {
    Error::new(Code::NotConfigured, message, hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CANARY: &str = "canary-2b9d";

    fn command(words: &[&str]) -> Result<Secret> {
        from_command(&words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>(), Duration::from_secs(5))
    }

    #[test]
    fn a_variable_that_is_missing_or_empty_is_named() {
        assert_eq!(variable("ACME_SECRET", Some(CANARY.into())).unwrap().expose(), CANARY);
        for value in [None, Some("".into())] {
            let error = variable("ACME_SECRET", value).unwrap_err();
            assert_eq!(error.code(), Code::NotConfigured);
            assert!(error.message().contains("ACME_SECRET"), "{error}");
        }
    }

    #[test]
    fn a_file_gives_its_text_without_the_one_final_line_break() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for (content, expected) in [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\nb\n\n", "a\nb\n"), (" a ", " a ")] {
            std::fs::write(file.path(), content).unwrap();
            assert_eq!(from_file(file.path(), TIMEOUT).unwrap().expose(), expected, "{content:?}");
        }
    }

    #[test]
    fn a_file_that_is_missing_empty_too_large_or_binary_is_named_and_not_quoted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        for content in [
            None,
            Some(b"\n".to_vec()),
            Some(vec![b'x'; MAX_BYTES + 1]),
            Some(format!("{CANARY}\u{e9}").into_bytes()[..12].to_vec()),
        ] {
            if let Some(content) = content {
                std::fs::write(&file, content).unwrap();
            }
            let error = from_file(&file, TIMEOUT).unwrap_err();
            assert!(error.message().contains(file.to_str().unwrap()) && !error.to_string().contains("canary"), "{error}");
        }
        std::fs::write(&file, vec![b'x'; MAX_BYTES]).unwrap();
        assert_eq!(from_file(&file, TIMEOUT).unwrap().len(), MAX_BYTES);
    }

    #[cfg(unix)]
    #[test]
    fn a_command_is_run_without_a_shell() {
        assert_eq!(command(&["printf", "%s\\n", "$HOME;a b"]).unwrap().expose(), "$HOME;a b");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_that_fails_prints_too_much_or_is_not_there_is_named_without_its_arguments() {
        let scripts = [format!("echo {CANARY}; exit 3"), format!("echo {CANARY} >&2"), format!("yes {CANARY}")];
        for script in &scripts {
            let error = command(&["sh", "-c", script]).unwrap_err();
            assert!(error.message().contains("\"sh\"") && !error.to_string().contains(CANARY), "{error}");
        }
        let error = command(&["no-such-program-2b9d", CANARY]).unwrap_err();
        assert!(error.message().contains("cannot be started") && !error.to_string().contains(CANARY), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_command_or_pipe_that_hangs_is_left_in_time() {
        let begun = Instant::now();
        let words = ["sleep".to_owned(), "60".to_owned()];
        assert!(from_command(&words, Duration::from_millis(100)).unwrap_err().message().contains("was not done"));
        let silent = ["sh".to_owned(), "-c".to_owned(), "exec >&-; sleep 60".to_owned()];
        assert!(from_command(&silent, Duration::from_millis(100)).unwrap_err().message().contains("was not done"));
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(from_file(&pipe, Duration::from_millis(100)).unwrap_err().message().contains("gave nothing"));
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_text_is_itself_and_a_vault_is_needed_for_its_secrets() {
        assert_eq!(read(&Source::Text("x".to_owned())).unwrap().expose(), "x");
        let from_vault = Source::Elsewhere(Elsewhere::Secret("y".to_owned()));
        assert!(read(&from_vault).unwrap_err().message().contains("vault"));
        assert_eq!(read_with(&from_vault, &|name| Ok(Secret::from(name))).unwrap().expose(), "y");
    }
}
