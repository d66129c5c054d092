//! Which functions run until a client is greeted, for the linker: they are a fortieth of the program, and where they lie
//! together a start touches a quarter of the pieces of the file that it does where they lie among the others (docs/performance.md).

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::{needs, paths, run};

const GREETING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"start-order","version":"1"}}}"#;

/// Writes `host/start.ld` anew.
pub(crate) fn write() -> Result<()> {
    needs::valgrind()?;
    let program = with_names()?;
    let names = functions(&greeted(&program)?);
    ensure!(!names.is_empty(), "valgrind saw no function of {}", program.display());
    let file = paths::root().join("host/start.ld");
    std::fs::write(&file, script(&names)).with_context(|| format!("{} could not be written", file.display()))?;
    eprintln!("{} names {} functions", file.display(), names.len());
    Ok(())
}

/// The program as a release has it, but with the names of its functions.
fn with_names() -> Result<PathBuf> {
    let build = ["rustc", "--release", "--package", "mcp-credentials-broker", "--bin", "mcp-credentials-broker"];
    run::show(run::cargo(&paths::root()).args(build).args(["--", "-C", "strip=none"]))?;
    Ok(paths::target().join("release/mcp-credentials-broker"))
}

/// Greets it under valgrind, as it is where somebody just installed it, and returns what valgrind wrote.
fn greeted(program: &Path) -> Result<String> {
    let folder = paths::target().join("start-order");
    std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    let written = folder.join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--tool=callgrind", "--demangle=no", "--compress-strings=no"]);
    command.arg(format!("--callgrind-out-file={}", written.display())).arg(program);
    for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
        command.env(variable, &folder);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().context("valgrind could not be started")?;
    writeln!(child.stdin.take().context("valgrind has no standard input")?, "{GREETING}")?;
    ensure!(child.wait()?.success(), "valgrind failed");
    std::fs::read_to_string(&written).with_context(|| format!("valgrind wrote no {}", written.display()))
}

/// The functions that ran, as the linker is to look for them: those with a name of Rust's, which no library beside the
/// program has.
fn functions(written: &str) -> BTreeSet<String> {
    let ran = written.lines().filter_map(|line| line.strip_prefix("fn="));
    // What follows an apostrophe is how deep it called itself.
    let names = ran.filter_map(|name| name.split('\'').next());
    names.filter(|name| name.starts_with("_ZN") || name.starts_with("_R")).map(pattern).collect()
}

/// A mangled name with a `*` for each hash in it: other versions of a library or of the compiler have other hashes.
fn pattern(name: &str) -> String {
    if name.starts_with("_ZN")
        && let Some((path, rest)) = name.rsplit_once("17h")
        && let Some(end) = rest.get(16..)
    {
        return format!("{path}17h*{end}");
    }
    let mut parts = name.split("Cs");
    let mut pattern = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let after_hash = part.split_once('_').filter(|(hash, _)| hash.chars().all(|letter| letter.is_ascii_alphanumeric()));
        let _ = match after_hash {
            Some((_, rest)) => write!(pattern, "Cs*_{rest}"),
            None => write!(pattern, "Cs{part}"),
        };
    }
    pattern
}

/// What the linker is given.
fn script(names: &BTreeSet<String>) -> String {
    let mut script = "\
/* Written by `cargo xtask start-order`: the functions that run until a client is greeted lie together
   (docs/performance.md). A line that names nothing any more does no harm. */
SECTIONS
{
  .text.start :
  {
"
    .to_owned();
    for name in names {
        let _ = writeln!(script, "    *(.text.{name})");
    }
    script + "  }\n}\nINSERT BEFORE .text;\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_without_its_hashes_fits_all_versions() {
        assert_eq!(pattern("_ZN4rmcp7service5serve17h0123456789abcdefE"), "_ZN4rmcp7service5serve17h*E");
        assert_eq!(pattern("_RNvNtCsjrHSEGnQ3l9_3std3env4__var"), "_RNvNtCs*_3std3env4__var");
        assert_eq!(pattern("_RINvCsgEmfK2I1SDS_4core3dropECsjrH_3std"), "_RINvCs*_4core3dropECs*_3std");
        assert_eq!(pattern("_ZN4rmcp17h0"), "_ZN4rmcp17h0", "no hash");
    }

    #[test]
    fn functions_of_the_program_are_read_and_no_others() {
        let written = "version: 1\nob=/lib/libc.so.6\nfn=malloc\n12 3\nob=/a/broker\nfl=x.rs\n\
                       fn=_ZN1b17h0123456789abcdefE'2\ncfn=_ZN1c17h0123456789abcdefE\nfn=main\n12 4\n";
        assert_eq!(functions(written), BTreeSet::from(["_ZN1b17h*E".to_owned()]));
    }

    #[test]
    fn the_script_names_each_in_its_own_section() {
        let script = script(&BTreeSet::from(["_ZN1b17h*E".to_owned()]));
        assert!(script.contains("\n    *(.text._ZN1b17h*E)\n"), "{script}");
        assert!(script.ends_with("}\nINSERT BEFORE .text;\n"), "{script}");
    }
}
