//! `exec`: runs a program with credentials that nobody else sees.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::Options;
use super::failure::told_as;
use super::session::Session;
use crate::broker::Broker;
use crate::broker::doors::exec::Started;
use crate::broker::doors::{Door, Spendable};
use crate::error::{Code, Error, Result};
use crate::process::{self, CannotStart, Handed, How, KeptFile, Plan, Ready};
use crate::redaction::Redactor;
use crate::secret::{Secret, SecretName};

/// What `exec` and `wrap` take for the program that they start.
#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// Sets a variable of the command to a secret's value; may be given more than once.
    #[arg(long = "env", value_name = "VARIABLE=SECRET")]
    env: Vec<String>,
    /// Sets a variable of the command to the name of a private file that holds a secret's value.
    #[arg(long = "file", value_name = "VARIABLE=SECRET")]
    file: Vec<String>,
    /// Lets the command inherit one of the broker's own variables, such as JWT_SECRET or a client secret.
    #[arg(long = "keep", value_name = "VARIABLE")]
    keep: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Exec {
    #[command(flatten)]
    given: Given,
    /// Keeps a secret's current value in a file while the command runs: renewed in time, removed at the end. Others of
    /// your programs can read it; where reveal = "deny" holds, the operator's file must name it.
    #[arg(long = "refresh-file", value_name = "PATH=SECRET")]
    refresh_file: Vec<String>,
    /// Takes the values of all secrets out of what the command prints. It then sees no terminal on its output.
    #[arg(long)]
    mask: bool,
    /// The command and its arguments, after `--`.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// How often a kept file's secret is looked at, at most and at least.
const LOOK: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(15));

pub(super) fn run(options: &Options, exec: &Exec) -> Result<ExitCode> {
    let kept = exec.refresh_file.iter().map(|text| kept_file(text)).collect::<Result<Vec<_>>>()?;
    let (broker, runtime) = Session::open(options, "exec")?.parts();
    // Also what was refused.
    start(&broker, runtime, exec, kept).inspect_err(|_| broker.audit().end())
}

fn start(broker: &Arc<Broker>, runtime: Runtime, exec: &Exec, kept: Vec<(PathBuf, SecretName)>) -> Result<ExitCode> {
    let (plan, mut values) = match runtime.block_on(prepare(broker, "exec", &exec.given, &kept, &exec.command))? {
        Ok(prepared) => prepared,
        Err(error) => return Ok(cannot_start(&error)),
    };
    let mut files = Vec::new();
    for (path, name) in kept {
        let mut file = KeptFile::new(path)?;
        let value = runtime.block_on(spend(broker, "exec", &name, &plan))?.value;
        file.keep(&value)?;
        values.push((name.clone(), value));
        files.push((file, name));
    }
    let ready = match plan.ready() {
        Ok(ready) => ready,
        Err(error) => return Ok(cannot_start(&error)),
    };
    // A renewal that was sent must not be lost with this process.
    runtime.block_on(broker.leave());
    if !exec.mask && files.is_empty() && !ready.needs_a_keeper() {
        broker.shut();
        return Ok(become_it(ready, runtime));
    }
    if exec.mask && (std::io::stdout().is_terminal() || std::io::stderr().is_terminal()) {
        eprintln!("Masked: the command sees no terminal on its output, so it may show no colours or progress.");
    }
    if exec.mask {
        values.extend(broker.live_values()?);
    }
    let (learnt, mask) = watch::channel(redactor(&values));
    let mask = exec.mask.then_some(mask);
    let done = runtime.block_on(async {
        let keeping = keep(broker, &mut files, &mut values, &learnt);
        process::supervise(ready, mask, keeping).await
    });
    drop(files);
    runtime.block_on(broker.close());
    runtime.shutdown_timeout(Duration::from_millis(50));
    Ok(done.map_or_else(|error| cannot_start(&error), ExitCode::from))
}

/// Finds the program, asks whether it may have the secrets, and fetches them.
pub(super) async fn prepare(
    broker: &Arc<Broker>,
    event: &'static str,
    given: &Given,
    kept: &[(PathBuf, SecretName)],
    command: &[OsString],
) -> Result<std::result::Result<(Plan, Vec<(SecretName, Secret)>), CannotStart>> {
    let env = given.env.iter().map(|text| variable(text, "--env VARIABLE=SECRET")).collect::<Result<Vec<_>>>()?;
    let file = given.file.iter().map(|text| variable(text, "--file VARIABLE=SECRET")).collect::<Result<Vec<_>>>()?;
    let Some((typed, arguments)) = command.split_first() else {
        return Err(Error::new(Code::InvalidArgument, "There is no command to run.", "Write it after --."));
    };
    let program = match process::find(typed) {
        Ok(program) => program,
        Err(error) => return Ok(Err(error)),
    };
    let names: Vec<SecretName> = env.iter().chain(&file).map(|(_, name)| name.clone()).collect();
    let path = whole(&program.path)?;
    let started = Started { path: &path, file: &program.canonical, arguments, loose: &process::loose };
    let pinned = broker.may_be_handed(&started, &names, kept).inspect_err(|error| {
        for name in names.iter().chain(kept.iter().map(|(_, name)| name)) {
            broker.refused(Some(name.as_str()), Door { event, process: program.typed.to_str(), destination: None }, error);
        }
    })?;
    let mut plan = Plan {
        pinned,
        arguments: arguments.to_vec(),
        handed: Vec::new(),
        without: process::not_for_others(&broker.secret_variables(), &given.keep),
        program,
    };
    let mut values = Vec::new();
    for (pairs, how) in [(env, How::Value), (file, How::File)] {
        for (variable, name) in pairs {
            let value = spend(broker, event, &name, &plan).await?.value;
            values.push((name, value.clone()));
            plan.handed.push(Handed { variable, value, how });
        }
    }
    Ok(Ok((plan, values)))
}

async fn spend(broker: &Broker, event: &'static str, name: &SecretName, plan: &Plan) -> Result<Spendable> {
    let process = plan.program.canonical.file_name().map(|name| name.to_string_lossy());
    broker.spendable(name, Door { event, process: process.as_deref(), destination: None }).await
}

/// Keeps the files current; ends only by being dropped.
async fn keep(
    broker: &Broker,
    files: &mut [(KeptFile, SecretName)],
    values: &mut Vec<(SecretName, Secret)>,
    learnt: &watch::Sender<Redactor>,
) {
    if files.is_empty() {
        return;
    }
    let mut told = false;
    loop {
        let mut wait = LOOK.1;
        for (file, name) in files.iter_mut() {
            let done = match broker.fresh_value(name).await {
                Ok(Spendable { value, expires }) => {
                    let left = expires.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
                    wait = wait.min(left.map_or(LOOK.1, |left| left / 4));
                    // Before the program can print it.
                    if !values.iter().any(|(known, there)| known == name && there.is_same(&value)) {
                        values.push((name.clone(), value.clone()));
                        let _ = learnt.send(redactor(values));
                    }
                    file.keep(&value).map(drop)
                }
                Err(error) => Err(error),
            };
            if let Err(error) = &done
                && !told
            {
                tracing::warn!(secret = name.as_str(), "the file is not current any more: {error}");
            }
            told = done.is_err();
        }
        tokio::time::sleep(wait.max(LOOK.0)).await;
    }
}

fn redactor(values: &[(SecretName, Secret)]) -> Redactor {
    Redactor::new(values.iter().map(|(name, value)| (name, value)))
}

#[cfg(unix)]
fn become_it(ready: Ready, runtime: Runtime) -> ExitCode {
    runtime.shutdown_timeout(Duration::from_millis(50));
    cannot_start(&ready.become_it())
}

/// Somebody always stays behind here.
#[cfg(not(unix))]
fn become_it(_: Ready, _: Runtime) -> ExitCode {
    ExitCode::FAILURE
}

/// As a shell: 127 where there is no such program, 126 where it cannot be started.
pub(super) fn cannot_start(failed: &CannotStart) -> ExitCode {
    told_as(&failed.error, failed.exit)
}

fn variable(text: &str, form: &str) -> Result<(String, SecretName)> {
    let (variable, name) = pair(text, form)?;
    let sound = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !variable.starts_with(|c: char| c.is_ascii_digit());
    if sound {
        return Ok((variable, name));
    }
    Err(Error::new(Code::InvalidArgument, "This is no name for a variable.", format!("Write it as {form}.")))
}

/// Its whole path, as the operator's file would name it.
fn kept_file(text: &str) -> Result<(PathBuf, SecretName)> {
    let (path, name) = pair(text, "--refresh-file PATH=SECRET")?;
    Ok((whole(Path::new(&path))?, name))
}

pub(super) fn whole(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| {
        let hint = "Give the whole path, or change into a folder that is there.";
        Error::new(Code::InvalidArgument, format!("The path cannot be completed: {error}."), hint)
    })
}

fn pair(text: &str, form: &str) -> Result<(String, SecretName)> {
    // Not repeated: somebody may have written a value there.
    let wrong =
        || Error::new(Code::InvalidArgument, "This is no pair of a place and a secret's name.", format!("Write it as {form}."));
    let (place, name) = text.rsplit_once('=').filter(|(place, _)| !place.is_empty()).ok_or_else(wrong)?;
    Ok((place.to_owned(), SecretName::parse(name)?))
}
