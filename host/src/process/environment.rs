//! What a program inherits: the environment of the broker, without what only the broker needs; and, where the operator's
//! file says which program gets a secret, without what makes it run something else.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

/// The broker's own variables with secrets in them, of those that are set. `settings` are the variables that hold a
/// provider's secret settings.
#[must_use]
pub fn not_for_others(settings: &BTreeSet<String>, keep: &[String]) -> BTreeSet<String> {
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    chosen(set, settings, keep)
}

fn chosen(set: impl Iterator<Item = String>, settings: &BTreeSet<String>, keep: &[String]) -> BTreeSet<String> {
    let ours = |name: &String| {
        name == "JWT_SECRET" || settings.contains(name) || name.strip_prefix("MCP_CREDENTIALS_BROKER_").is_some_and(is_secret)
    };
    set.filter(|name| ours(name) && !keep.contains(name)).collect()
}

/// Variables that make a program load or run other code, or write its secrets down: of the dynamic linker, the C library,
/// shells and languages (much as `sudo` has them), and what programs start for a person.
const NAMES: [&str; 39] = [
    "BASHOPTS",
    "BASH_ENV",
    "CDPATH",
    "CLASSPATH",
    "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_STARTUP_HOOKS",
    "ENV",
    "FPATH",
    "GCONV_PATH",
    "GETCONF_DIR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PROXY_COMMAND",
    "GIT_TEMPLATE_DIR",
    "GLIBC_TUNABLES",
    "GLOBIGNORE",
    "HOSTALIASES",
    "IFS",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "LESSCLOSE",
    "LESSOPEN",
    "LOCALDOMAIN",
    "LOCPATH",
    "NLSPATH",
    "NODE_OPTIONS",
    "NODE_PATH",
    "OPENSSL_CONF",
    "OPENSSL_ENGINES",
    "OPENSSL_MODULES",
    "PHP_INI_SCAN_DIR",
    "PS4",
    "RES_OPTIONS",
    "SHELL",
    "SHELLOPTS",
    "SSLKEYLOGFILE",
    "VISUAL",
    "ZDOTDIR",
    "_JAVA_OPTIONS",
];
const BEGINNINGS: [&str; 15] = [
    "BASH_FUNC_",
    "CORECLR_",
    "COR_",
    "DYLD_",
    "GIT_CONFIG",
    "GIT_SSH",
    "GIT_TRACE",
    "LD_",
    "LUA_",
    "MALLOC_",
    "PERL",
    "PHPRC",
    "PYTHON",
    "RUBY",
    "_RLD",
];
/// `GH_PAGER`, `GIT_EDITOR`, `SSH_ASKPASS`.
const ENDS: [&str; 4] = ["ASKPASS", "BROWSER", "EDITOR", "PAGER"];

/// Whether a variable can make a program run something else than itself.
pub(super) fn runs_other_code(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    // No case there.
    let name = if cfg!(windows) { name.to_uppercase().into() } else { name };
    NAMES.contains(&&*name)
        || BEGINNINGS.iter().any(|begin| name.starts_with(begin))
        || ENDS.iter().any(|end| name.ends_with(end))
}

/// Those of them that are set.
pub(super) fn that_run_other_code() -> impl Iterator<Item = OsString> {
    std::env::vars_os().map(|(name, _)| name).filter(|name| runs_other_code(name))
}

fn is_secret(name: &str) -> bool {
    ["PASS", "SECRET", "KEY", "TOKEN"].iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brokers_own_secrets_stay_with_it_unless_they_are_asked_for() {
        let set = [
            "PATH",
            "JWT_SECRET",
            "GITHUB_CLIENT_SECRET",
            "MCP_CREDENTIALS_BROKER_PASSPHRASE",
            "MCP_CREDENTIALS_BROKER_LOG",
            "OTHER_SECRET",
        ];
        let settings = BTreeSet::from(["GITHUB_CLIENT_SECRET".to_owned(), "OKTA_CLIENT_SECRET".to_owned()]);
        let set = || set.iter().map(|name| (*name).to_owned());
        let without: Vec<_> = chosen(set(), &settings, &[]).into_iter().collect();
        assert_eq!(without, ["GITHUB_CLIENT_SECRET", "JWT_SECRET", "MCP_CREDENTIALS_BROKER_PASSPHRASE"]);
        assert!(!chosen(set(), &settings, &["JWT_SECRET".to_owned()]).contains("JWT_SECRET"));
    }

    #[test]
    fn what_makes_a_program_run_something_else_is_known_by_its_name() {
        for name in
            ["LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "NODE_OPTIONS", "PYTHONSTARTUP", "BASH_ENV", "ENV", "PERL5OPT", "RUBYOPT"]
        {
            assert!(runs_other_code(OsStr::new(name)), "{name}");
        }
        for name in ["GCONV_PATH", "BASH_FUNC_ls%%", "GH_PAGER", "GIT_SSH_COMMAND", "GIT_CONFIG_KEY_0"] {
            assert!(runs_other_code(OsStr::new(name)), "{name}");
        }
        for name in ["PATH", "HOME", "LANG", "TERM", "NODE_ENV", "GIT_AUTHOR_NAME", "HTTPS_PROXY", "GITHUB_TOKEN", "ENVIRONMENT"]
        {
            assert!(!runs_other_code(OsStr::new(name)), "{name}");
        }
    }
}
