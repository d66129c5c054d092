//! Which login git gets for a host.
//!
//! The operator's `[git]` list comes first. Where it says nothing, a host that a provider's component declares for git has
//! the one login with that provider; of several none is picked, since nobody said which account is meant.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use crate::config::doors::Git;
use crate::descriptor::GitHost;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

/// The user name that fits most: GitHub takes any, and documents this one.
pub const USERNAME: &str = "x-access-token";

/// Where git wants to sign in.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// `https` or `http`.
    pub protocol: &'a str,
    /// The host, with a port where git's URL has one.
    pub host: &'a str,
    /// The user name of git's URL.
    pub username: Option<&'a str>,
}

/// A host that a provider declares for git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The host, in lower case and with its port where it is not 443.
    pub host: String,
    /// The user name that it wants beside the token.
    pub username: Option<String>,
}

impl Declared {
    /// With the settings that a login was made with: its token has no business at another server of the same kind.
    #[must_use]
    pub fn of(place: &GitHost, settings: &BTreeMap<String, String>) -> Option<Self> {
        let setting = place.host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let host = setting.map_or(Some(&place.host), |name| settings.get(name))?;
        Some(Self { host: canonical(host), username: place.username.clone() })
    }
}

/// A login that rests in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// Its name.
    pub name: SecretName,
    /// With which provider.
    pub provider: String,
    /// The hosts where git signs in with it.
    pub hosts: Vec<Declared>,
    /// Whose, as people call them.
    pub account: Option<String>,
    /// Whether it goes nowhere without a line of the operator's.
    pub hidden: bool,
}

/// What git signs in with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// The user name.
    pub username: String,
    /// The secret that is the password.
    pub secret: SecretName,
}

/// Chooses. `None`: the host is not the broker's business.
///
/// # Errors
/// `not_allowed` for plain http and for a login that is hidden, `conflict` where several fit.
pub fn choose(
    listed: &BTreeMap<String, Git>,
    logins: &[Login],
    site: &Site<'_>,
    loopback: &[SocketAddr],
) -> Result<Option<Credential>> {
    let host = canonical(site.host);
    let listed = listed.get(&host);
    let mut fitting: Vec<_> =
        logins.iter().filter_map(|login| Some((login, login.hosts.iter().find(|declared| declared.host == host)?))).collect();
    if listed.is_none() && fitting.is_empty() {
        return Ok(None);
    }
    if site.protocol != "https" && !(site.protocol == "http" && is_allowed_loopback(&host, loopback)) {
        return Err(Error::new(
            Code::NotAllowed,
            format!("A login for {host} is not sent by {}, where everybody on the way could read it.", scheme(site.protocol)),
            "Use an https:// address; only addresses under [egress] allow_loopback may be plain http.",
        ));
    }
    if let Some(git) = listed {
        let declared = fitting.iter().find(|(login, _)| login.name == git.secret).and_then(|(_, host)| host.username.clone());
        let username = git.username.clone().or(declared).unwrap_or_else(|| USERNAME.to_owned());
        return Ok(Some(Credential { username, secret: git.secret.clone() }));
    }
    // git's URL may say who is meant.
    if let Some(account) = site.username
        && fitting.iter().any(|(login, _)| login.account.as_deref() == Some(account))
    {
        fitting.retain(|(login, _)| login.account.as_deref() == Some(account));
    }
    match fitting.as_slice() {
        [(login, _)] if login.hidden => Err(Error::new(
            Code::NotAllowed,
            format!("The operator's file does not give git a login for {host}."),
            format!("Add to broker.toml, under [git]: \"{host}\" = \"{}\".", login.name),
        )),
        [(login, declared)] => {
            let username = declared.username.clone().unwrap_or_else(|| USERNAME.to_owned());
            Ok(Some(Credential { username, secret: login.name.clone() }))
        }
        several => {
            let names = several.iter().map(|(login, _)| match &login.account {
                Some(account) => format!("\"{}\" ({})", login.name, crate::error::foreign(account)),
                None => format!("\"{}\"", login.name),
            });
            Err(Error::new(
                Code::Conflict,
                format!("Several logins fit {host}: {}.", names.collect::<Vec<_>>().join(", ")),
                format!("Say which one is meant, in broker.toml under [git]: \"{host}\" = \"NAME\"."),
            ))
        }
    }
}

/// A host with the line that makes git ask the broker there. `command` is this program and its options, for a shell.
#[must_use]
pub fn configuration(command: &str, host: String, loopback: &[SocketAddr]) -> (String, String) {
    let scheme = if is_allowed_loopback(&host, loopback) { "http" } else { "https" };
    // git has a shell run a helper that begins with an exclamation mark; in double quotes an interactive shell would take
    // that for a word of its history.
    let helper = format!("!{command} git-credential").replace('\'', "'\\''");
    let line = format!("git config --global credential.{scheme}://{host}.helper '{helper}'");
    (host, line)
}

/// Lower case, and without the port that everybody means.
fn canonical(host: &str) -> String {
    let host = host.to_ascii_lowercase();
    host.strip_suffix(":443").map(str::to_owned).unwrap_or(host)
}

fn scheme(protocol: &str) -> &str {
    if protocol == "http" { "plain http" } else { "another way than https" }
}

/// `localhost:PORT` stands for a listed address, as it does for the broker's own requests.
fn is_allowed_loopback(host: &str, loopback: &[SocketAddr]) -> bool {
    let (name, port) = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (name, port.parse().unwrap_or(0)),
        _ => (host, 80),
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    loopback.iter().any(|address| {
        address.port() == port && address.ip().is_loopback() && (name == "localhost" || name.parse() == Ok(address.ip()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(name: &str, account: Option<&str>, hidden: bool) -> Login {
        let name = SecretName::parse(name).unwrap();
        let hosts = vec![Declared { host: "github.com".to_owned(), username: None }];
        Login { name, provider: "github".to_owned(), hosts, account: account.map(str::to_owned), hidden }
    }

    fn chosen(logins: &[Login], protocol: &str, host: &str, username: Option<&str>) -> Result<Option<(String, String)>> {
        let git = |secret: &str, username: Option<&str>| Git {
            secret: SecretName::parse(secret).unwrap(),
            username: username.map(str::to_owned),
        };
        let listed = BTreeMap::from([
            ("git.example.com:8443".to_owned(), git("gl", Some("oauth2"))),
            ("127.0.0.1:4000".to_owned(), git("local", None)),
            ("localhost:4000".to_owned(), git("local", None)),
        ]);
        let loopback = ["127.0.0.1:4000".parse().unwrap()];
        let credential = choose(&listed, logins, &Site { protocol, host, username }, &loopback)?;
        Ok(credential.map(|credential| (credential.username, credential.secret.to_string())))
    }

    fn some(username: &str, secret: &str) -> Option<(String, String)> {
        Some((username.to_owned(), secret.to_owned()))
    }

    #[test]
    fn the_operators_list_comes_first_and_other_hosts_are_nobodys_business() {
        assert_eq!(chosen(&[], "https", "Git.Example.COM:8443", None), Ok(some("oauth2", "gl")));
        for host in
            ["git.example.com", "git.example.com:443", "example.org", "xgithub.com", "github.com.evil.example", "github.com:8443"]
        {
            assert_eq!(chosen(&[login("gh", None, false)], "https", host, None), Ok(None), "{host}");
        }
    }

    #[test]
    fn one_login_is_found_by_itself_and_of_several_none() {
        let one = [login("gh", Some("alice"), false)];
        assert_eq!(chosen(&one, "https", "github.com", None), Ok(some(USERNAME, "gh")));
        assert_eq!(chosen(&one, "https", "github.com:443", Some("somebody")), Ok(some(USERNAME, "gh")));
        let two = [login("gh", Some("alice"), false), login("work", Some("bob"), false)];
        let error = chosen(&two, "https", "github.com", None).unwrap_err();
        assert_eq!(error.code(), Code::Conflict);
        for word in ["\"gh\"", "alice", "\"work\"", "bob"] {
            assert!(error.message().contains(word), "{error}");
        }
        assert_eq!(chosen(&two, "https", "github.com", Some("bob")), Ok(some(USERNAME, "work")), "git's URL said who");
        assert_eq!(chosen(&[], "https", "github.com", None), Ok(None), "without a login it is nobody's business");
    }

    #[test]
    fn a_token_goes_to_the_server_that_it_was_made_for() {
        let place = GitHost { host: "{host}".to_owned(), username: Some("u".to_owned()) };
        let settings = BTreeMap::from([("host".to_owned(), "GHE.example:443".to_owned())]);
        let expected = Declared { host: "ghe.example".to_owned(), username: Some("u".to_owned()) };
        assert_eq!(Declared::of(&place, &settings), Some(expected));
        assert_eq!(Declared::of(&place, &BTreeMap::new()), None);
    }

    #[test]
    fn a_hidden_login_needs_the_operators_line() {
        let error = chosen(&[login("gh", None, true)], "https", "github.com", None).unwrap_err();
        assert!(error.code() == Code::NotAllowed && error.hint().contains("\"github.com\" = \"gh\""), "{error}");
    }

    #[test]
    fn nothing_goes_over_plain_http_but_to_a_listed_loopback_address() {
        let one = [login("gh", None, false)];
        for (protocol, host) in
            [("http", "github.com"), ("http", "git.example.com:8443"), ("ssh", "github.com"), ("", "github.com")]
        {
            assert_eq!(chosen(&one, protocol, host, None).unwrap_err().code(), Code::NotAllowed, "{protocol} {host}");
        }
        for host in ["127.0.0.1:4000", "localhost:4000"] {
            assert_eq!(chosen(&[], "http", host, None), Ok(some(USERNAME, "local")), "{host}");
        }
    }

    #[test]
    fn the_line_for_git_names_host_and_program() {
        let line = |command, host: &str| configuration(command, host.to_owned(), &["127.0.0.1:4000".parse().unwrap()]).1;
        assert_eq!(
            line("/opt/b", "github.com"),
            "git config --global credential.https://github.com.helper '!/opt/b git-credential'"
        );
        assert!(line("'/my tools/b'", "github.com").ends_with(" '!'\\''/my tools/b'\\'' git-credential'"));
        assert!(line("b", "localhost:4000").contains(" credential.http://localhost:4000.helper "), "plain http there");
    }
}
