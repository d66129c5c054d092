//! Who takes part, and how each is made ready.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::{paths, run};

/// The npm package that the broker replaces, in its last version.
const PREDECESSOR: &str = "mcp-credentials-broker";
const PREDECESSOR_VERSION: &str = "1.0.4";

pub(super) const BROKER: &str = "broker";
pub(super) const NPM: &str = "npm predecessor";
pub(super) const RMCP: &str = "bare rmcp";
pub(super) const ECHO: &str = "bare echo";

/// Everybody, in the order of the table.
pub(super) const NAMES: [&str; 4] = [BROKER, NPM, RMCP, ECHO];

/// A program that is measured.
#[derive(Clone)]
pub(super) struct Contestant {
    pub(super) name: &'static str,
    program: PathBuf,
    arguments: Vec<PathBuf>,
    /// What is set in its environment.
    variables: Vec<(&'static str, OsString)>,
    /// Answers tool calls with a result that says whether it worked.
    pub(super) has_tools: bool,
}

impl Contestant {
    /// One that answers to whatever it is asked, in its own way.
    pub(super) const fn new(name: &'static str, program: PathBuf, arguments: Vec<PathBuf>) -> Self {
        Self { name, program, arguments, variables: Vec::new(), has_tools: false }
    }

    /// The program itself.
    pub(super) fn program(&self) -> &Path {
        &self.program
    }

    /// How it is started: as somebody has it who just installed it, without a configuration or a vault where none is named.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_remove("MCP_CREDENTIALS_BROKER_CONFIG");
        command.env("XDG_CONFIG_HOME", folder().join("config")).env("XDG_DATA_HOME", folder().join("data"));
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// The same with a setting from the environment.
    pub(super) fn env(mut self, name: &'static str, value: &str) -> Self {
        self.variables.push((name, value.into()));
        self
    }

    /// The same run by another program, such as valgrind.
    pub(super) fn under(&self, program: &str, options: &[&str]) -> Self {
        let arguments = options.iter().map(PathBuf::from).chain([self.program.clone()]).chain(self.arguments.iter().cloned());
        Self { program: program.into(), arguments: arguments.collect(), variables: self.variables.clone(), ..*self }
    }

    /// The same with more arguments, and a cache of its own.
    pub(super) fn with(&self, arguments: &[PathBuf], cache: &Path) -> Self {
        Self {
            program: self.program.clone(),
            arguments: self.arguments.iter().chain(arguments).cloned().collect(),
            variables: self.variables.clone(),
            ..*self
        }
        .env("XDG_CACHE_HOME", &cache.to_string_lossy())
    }
}

/// What the benchmark makes and installs.
pub(super) fn folder() -> PathBuf {
    paths::target().join("bench")
}

/// All of them, ready to run.
pub(super) fn all() -> Result<Vec<Contestant>> {
    let folder = folder();
    std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    let with_tools = |name, program, arguments| Contestant { has_tools: true, ..Contestant::new(name, program, arguments) };
    let script = predecessor(&folder)?;
    Ok(vec![
        with_tools(BROKER, broker(&folder)?, Vec::new()),
        with_tools(NPM, "node".into(), vec![script]),
        with_tools(RMCP, bare_rmcp(&folder)?, Vec::new()),
        Contestant::new(ECHO, echo(&folder)?, Vec::new()),
    ])
}

/// What the SDK does by itself.
fn bare_rmcp(folder: &Path) -> Result<PathBuf> {
    built("bare-rmcp", folder)
}

fn broker(folder: &Path) -> Result<PathBuf> {
    built("mcp-credentials-broker", folder)
}

/// The program of that package, as a release has it.
fn built(package: &str, folder: &Path) -> Result<PathBuf> {
    let root = paths::root();
    run::show(run::cargo(&root).args(["build", "--release", "--package", package]))?;
    as_installed(&paths::target().join("release").join(package), folder)
}

/// A copy, as installing makes one. What a linker wrote lies in memory in smaller pieces, and starts slower.
fn as_installed(program: &Path, folder: &Path) -> Result<PathBuf> {
    let program = program.with_extension(std::env::consts::EXE_EXTENSION);
    let copy = folder.join("installed").join(program.file_name().context("a program without a name")?);
    std::fs::create_dir_all(folder.join("installed"))?;
    let _ = std::fs::remove_file(&copy);
    std::fs::copy(&program, &copy).with_context(|| format!("{} could not be copied", program.display()))?;
    Ok(copy)
}

/// Installs it once, without running anything that it brings, and finds its script. It is run by `node` directly: no
/// `npx` in between, which would cost it another half second.
fn predecessor(folder: &Path) -> Result<PathBuf> {
    let package = folder.join("node_modules").join(PREDECESSOR);
    let installed = || manifest(&package).filter(|manifest| manifest["version"] == PREDECESSOR_VERSION);
    if installed().is_none() {
        let wanted = format!("{PREDECESSOR}@{PREDECESSOR_VERSION}");
        let options = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefix"];
        run::show(Command::new("npm").arg("install").args(options).arg(folder).arg(wanted))
            .context("Node.js and npm are needed for the comparison; install them from https://nodejs.org")?;
    }
    let manifest = installed().with_context(|| format!("{} has no package.json of that version", package.display()))?;
    let script = manifest["bin"].as_str().or_else(|| manifest["bin"][PREDECESSOR].as_str());
    let script = package.join(script.context("the predecessor's package.json names no program")?);
    ensure!(script.is_file(), "{} is missing; delete target/bench and try again", script.display());
    Ok(script)
}

fn manifest(package: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&std::fs::read(package.join("package.json")).ok()?).ok()
}

fn echo(folder: &Path) -> Result<PathBuf> {
    let program = folder.join("echo").with_extension(std::env::consts::EXE_EXTENSION);
    let source = paths::root().join("xtask/examples/echo.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    command.current_dir(paths::root()).args(["--edition=2024", "-O", "-Cstrip=symbols", "-o"]).arg(&program).arg(source);
    run::show(&mut command)?;
    as_installed(&program, folder)
}
