//! What the tests need besides cargo. What is missing is installed where that is possible, and named with its remedy
//! where it is not: no test is ever skipped for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::run::{is_root, probe, show};
use crate::{paths, toolchain};

/// Something that must be there, with how to tell and where Debian has it.
struct Need {
    what: &'static str,
    /// Commands of which one must succeed.
    signs: &'static [&'static [&'static str]],
    packages: &'static [&'static str],
}

const NEEDS: [Need; 8] = [
    Need {
        what: "Node.js 20 or newer",
        signs: &[&["node", "-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)"]],
        packages: &["nodejs"],
    },
    Need { what: "npm", signs: &[&["npm", "--version"]], packages: &["npm"] },
    Need {
        what: "chromedriver, with a Chromium or Chrome of the same version",
        signs: &[&["chromedriver", "--version"]],
        packages: &["chromium", "chromium-driver"],
    },
    Need {
        what: "Python 3.10 or newer with venv",
        signs: &[&["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))"]],
        packages: &["python3", "python3-venv"],
    },
    Need {
        what: "git with its server for http",
        signs: &[&["sh", "-c", "test -x \"$(git --exec-path)/git-http-backend\""]],
        packages: &["git"],
    },
    Need { what: "script, which gives a program a terminal", signs: &[&["script", "--version"]], packages: &["bsdutils"] },
    Need {
        what: "a Secret Service on a bus of its own: gnome-keyring and dbus-daemon",
        signs: &[&["sh", "-c", "gnome-keyring-daemon --version && dbus-daemon --version && command -v dbus-send"]],
        packages: &["gnome-keyring", "dbus-daemon", "dbus-bin"],
    },
    Need { what: "keyctl", signs: &[&["keyctl", "--version"]], packages: &["keyutils"] },
];

/// Sees to all of it.
pub(crate) fn prepare() -> Result<()> {
    toolchain::install()?;
    NEEDS.iter().try_for_each(see_to)?;
    packages_of_node("idp")?;
    packages_of_node("clients")?;
    packages_of_node("servers")?;
    packages_of_python("host/tests/clients", "venv")?;
    packages_of_python("host/tests/servers", "servers-venv")?;
    provider_in_python()
}

/// What `cargo install` calls it, and what it says of itself.
const CARGO_COMPONENT: (&str, &str) = ("cargo-component@0.21.1", "cargo-component 0.21.1");

/// cargo-component, which turns a provider's crate into a component: several minutes where it is not there, into cargo's own
/// folder of programs, where the next run finds it.
pub(crate) fn cargo_component() -> Result<()> {
    let (package, version) = CARGO_COMPONENT;
    if probe("cargo-component", &["--version"]).as_deref() == Some(version) {
        return Ok(());
    }
    eprintln!("installing {package}, once");
    show(Command::new("cargo").args(["install", "--locked", "--quiet", package]).env_remove("CARGO_TARGET_DIR"))
}

/// What `bench` counts with.
pub(crate) fn valgrind() -> Result<()> {
    see_to(&Need { what: "valgrind", signs: &[&["valgrind", "--version"]], packages: &["valgrind"] })
}

fn see_to(need: &Need) -> Result<()> {
    if is_there(need) {
        return Ok(());
    }
    if is_root() && probe("apt-get", &["--version"]).is_some() {
        let apt = |arguments: &[&str]| show(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(arguments));
        apt(&["update", "-qq"])?;
        apt(&[&["install", "-y", "-qq", "--no-install-recommends"], need.packages].concat())?;
    }
    if is_there(need) {
        Ok(())
    } else {
        bail!("what you asked for needs {}: install it (on Debian: {})", need.what, need.packages.join(", "))
    }
}

fn is_there(need: &Need) -> bool {
    need.signs.iter().any(|sign| sign.split_first().is_some_and(|(program, arguments)| probe(program, arguments).is_some()))
}

/// `npm ci` of a folder of `host/tests`, into a folder of the same name in `target/`.
pub(crate) fn packages_of_node(name: &str) -> Result<()> {
    let from = paths::root().join("host/tests").join(name);
    let to = paths::target().join(name);
    once(&[&from.join("package-lock.json")], &to, || {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(from.join(file), to.join(file)).with_context(|| format!("host/tests/{name}/{file} cannot be copied"))?;
        }
        show(Command::new("npm").current_dir(&to).args(["ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"]))
    })
}

/// A virtual environment in `target/`, for the `requirements.txt` of a folder.
fn packages_of_python(from: &str, name: &str) -> Result<()> {
    let wanted = paths::root().join(from).join("requirements.txt");
    let to = paths::target().join(name);
    once(&[&wanted], &to, || {
        show(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&to))?;
        let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"];
        show(Command::new(to.join("bin/python")).args(pip).arg(&wanted))
    })
}

/// The component of `docs/examples/python`, by the command that its README gives.
fn provider_in_python() -> Result<()> {
    packages_of_python(PYTHON, "componentize")?;
    let root = paths::root();
    let folder = root.join(PYTHON);
    let to = paths::target().join("python");
    let made_of = ["wit/host.wit", "wit/provider.wit"].map(|file| root.join(file));
    let own = ["snake.py", "world.wit", "requirements.txt"].map(|file| folder.join(file));
    let made_of: Vec<&Path> = made_of.iter().chain(&own).map(AsRef::as_ref).collect();
    once(&made_of, &to, || {
        let python = paths::target().join("componentize/bin/componentize-py");
        show(
            Command::new(python)
                .current_dir(&folder)
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .args(["-d", "../../../wit", "-d", "world.wit", "-w", "snake:provider/provider-in-python"])
                .args(["componentize", "--stub-wasi", "snake", "-o"])
                .arg(to.join("snake.wasm")),
        )
    })
}

/// Where the provider in Python is.
const PYTHON: &str = "docs/examples/python";

/// Does it unless it was done before out of the same files.
fn once(files: &[&Path], folder: &Path, install: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for file in files {
        wanted += &fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    }
    let stamp = folder.join("installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    fs::create_dir_all(folder)?;
    install()?;
    Ok(fs::write(stamp, wanted)?)
}
