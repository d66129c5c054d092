//! `git-credential`: a credential helper for git (gitcredentials(7), git-credential(1)).

use std::io::Read as _;
use std::process::ExitCode;
use std::time::SystemTime;

use clap::ValueEnum;
use zeroize::Zeroizing;

use super::Options;
use super::output::print;
use super::session::Session;
use crate::broker::doors::git::Site;
use crate::error::Result;

/// git sends a few hundred bytes.
const MAX_INPUT: u64 = 64 * 1024;

/// What git asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Operation {
    /// A user name and a password.
    Get,
    /// To keep one that worked. The broker keeps its own, so there is nothing to do.
    Store,
    /// To forget one that was refused. The broker says what can be done, and forgets nothing.
    Erase,
}

pub(super) fn run(options: &Options, operation: Operation) -> Result<ExitCode> {
    let mut input = String::new();
    let read = std::io::stdin().take(MAX_INPUT).read_to_string(&mut input);
    let asked = Asked::parse(if read.is_ok() { &input } else { "" });
    let site = Site { protocol: &asked.protocol, host: &asked.host, username: asked.username.as_deref() };
    // git tells every helper of every login that worked: also of those that are not the broker's.
    if operation == Operation::Store || asked.host.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let (broker, runtime) = Session::open(options, "git-credential")?.parts();
    if operation == Operation::Erase {
        if let Ok(Some(credential)) = runtime.block_on(broker.git_login(&site)) {
            eprintln!("{} refused the login \"{}\". The broker keeps it.", asked.host, credential.secret);
            eprintln!(
                "Hint: Look at its scopes and sign in again, or store another value: mcp-credentials-broker secrets set {0}. To end a \
                 login: mcp-credentials-broker logout {0}",
                credential.secret
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let found = runtime.block_on(broker.git_credential(&site));
    runtime.block_on(broker.close());
    match found {
        Ok(None) => Ok(ExitCode::SUCCESS),
        Ok(Some((credential, spendable))) => {
            let mut answer = Zeroizing::new(format!("username={}\npassword=", credential.username));
            answer.reserve_exact(spendable.value.len() + 64);
            answer.push_str(spendable.value.expose());
            answer.push('\n');
            if let Some(end) = spendable.expires.and_then(|end| end.duration_since(SystemTime::UNIX_EPOCH).ok()) {
                answer.push_str(&format!("password_expiry_utc={}\n", end.as_secs()));
            }
            print(&answer)?;
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            // git would ask the person next, and wait for ever where there is none.
            print("quit=1\n")?;
            Err(error)
        }
    }
}

/// What git says of where it wants to sign in.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    protocol: String,
    host: String,
    username: Option<String>,
}

impl Asked {
    /// `key=value` lines up to an empty one. `url=` is taken apart by git before it asks a helper.
    fn parse(text: &str) -> Self {
        let mut asked = Self::default();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            match line.split_once('=') {
                Some(("protocol", value)) => asked.protocol = value.to_owned(),
                Some(("host", value)) => asked.host = value.to_owned(),
                Some(("username", value)) => asked.username = Some(value.to_owned()),
                _ => {}
            }
        }
        asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_says_is_read_up_to_the_empty_line() {
        let asked = Asked::parse("protocol=https\nhost=github.com\npath=a/b.git\nusername=a=b\nwwwauth[]=Basic\n\nhost=evil\n");
        assert_eq!(
            asked,
            Asked { protocol: "https".to_owned(), host: "github.com".to_owned(), username: Some("a=b".to_owned()) }
        );
    }
}
