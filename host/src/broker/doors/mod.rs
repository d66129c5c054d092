//! The doors through which a secret goes to another process: a program that is started with it, an MCP server behind the
//! broker, git, a tool that calls a command for its token. None of them shows it to an agent.
//!
//! What decides is pure, a file a door. Where `reveal = "deny"`, a door opens only where the operator's file says so: to
//! start `printenv` with a secret is to read it. Where it is allowed anyway, they open without a line, but for
//! `token-command`, which prints, and `wrap`, whose arguments an agent chooses.

pub mod exec;
pub mod git;
mod settings;
pub mod wrap;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use super::Broker;
use crate::audit::{Event, Outcome};
use crate::config::doors::Place;
use crate::config::{Config, Source};
use crate::error::{Code, Error, Result};
use crate::secret::{Secret, SecretName};
use crate::vault::{Record, Stored};

use exec::{Rules, Started, Wanted, may_be_handed};
use git::{Credential, Site};

/// A value that is fresh now.
#[derive(Debug, Clone)]
pub struct Spendable {
    /// The access token or stored value; never a refresh token.
    pub value: Secret,
    /// When it ends, where that is known.
    pub expires: Option<SystemTime>,
}

/// Through which door, for the audit trail.
#[derive(Debug, Clone, Copy, Default)]
pub struct Door<'a> {
    /// `exec`, `wrap`, `git_credential`, `token_command`.
    pub event: &'static str,
    /// The program that gets it.
    pub process: Option<&'a str>,
    /// The host or tool where it is spent.
    pub destination: Option<&'a str>,
}

impl Broker {
    /// The value of a secret for one of the doors, renewed first if it is due. Whether the door is open for it is asked
    /// before.
    ///
    /// # Errors
    /// `unknown_secret`, `sign_in_again`, `unavailable`, what is wrong with the vault.
    pub async fn spendable(&self, name: &SecretName, door: Door<'_>) -> Result<Spendable> {
        let found = self.fresh_value(name).await;
        self.audit.record(Event {
            event: door.event,
            outcome: if found.is_ok() { Outcome::Ok } else { Outcome::Refused },
            secret: Some(name.as_str()),
            process: door.process,
            destination: door.destination,
            code: found.as_ref().err().map(Error::code),
            ..Event::default()
        });
        found
    }

    /// The same again for a program that has it already, without an entry in the trail: a renewal has its own.
    ///
    /// # Errors
    /// As [`Broker::spendable`].
    pub async fn fresh_value(&self, name: &SecretName) -> Result<Spendable> {
        let record = self.vault.get(name)?.ok_or_else(|| super::secrets::unknown(name))?;
        match record.stored {
            Stored::Static(value) => Ok(Spendable { value, expires: None }),
            Stored::Grant(grant) => {
                let grant = self.usable(name, record.generation, grant).await?;
                Ok(Spendable { value: grant.access.clone(), expires: grant.expires })
            }
        }
    }

    /// Notes in the trail that a door stayed shut, for which secret as far as that is known.
    pub fn refused(&self, name: Option<&str>, door: Door<'_>, error: &Error) {
        self.audit.record(Event {
            event: door.event,
            outcome: Outcome::Refused,
            secret: name,
            process: door.process,
            destination: door.destination,
            code: Some(error.code()),
            ..Event::default()
        });
    }

    /// The names of all secrets.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub fn secret_names(&self) -> Result<BTreeSet<String>> {
        Ok(self.vault.list()?.into_iter().map(|(name, _)| name.to_string()).collect())
    }

    /// Every value that must not be shown: stored values, access and refresh tokens, secret settings of providers as far as
    /// no command has to be run for them, `JWT_SECRET`, and what this process spent lately. May read files.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub fn live_values(&self) -> Result<Vec<(SecretName, Secret)>> {
        let values = |(name, record): (SecretName, Record)| match record.stored {
            Stored::Static(value) => vec![(name, value)],
            Stored::Grant(grant) => {
                let tokens = std::iter::once(grant.access.clone()).chain(grant.refresh.clone());
                tokens.map(|token| (name.clone(), token)).collect()
            }
        };
        for (name, source) in self.doors.unread_settings() {
            // One that is not there cannot be shown.
            if let Ok(value) = crate::config::source::read(&source) {
                self.known.add_setting(&name, &value);
            }
        }
        Ok(self.vault.list()?.into_iter().flat_map(values).chain(self.known.beside_the_vault()).collect())
    }

    /// The variables of the environment that hold secret settings of providers, as far as they are known without looking
    /// into components: a program that is started has no use for them.
    #[must_use]
    pub fn secret_variables(&self) -> BTreeSet<String> {
        self.doors.found().variables.clone()
    }

    /// Whether a program may be started with these secrets in its environment or private files, and with those that are
    /// `kept` in a file for it. Where the operator has to say so: by which path, for [`crate::process::Plan::pinned`].
    ///
    /// # Errors
    /// `not_allowed`, with the line that would allow it.
    pub fn may_be_handed(
        &self,
        started: &Started<'_>,
        secrets: &[SecretName],
        kept: &[(PathBuf, SecretName)],
    ) -> Result<Option<PathBuf>> {
        let secrets = secrets.iter().map(|secret| Wanted { secret, kept: None });
        let kept = kept.iter().map(|(path, secret)| Wanted { secret, kept: Some(path) });
        let hidden: Vec<_> = secrets.chain(kept).filter(|wanted| self.is_hidden(wanted.secret)).collect();
        may_be_handed(&self.exec_rules(), started, &hidden)
    }

    /// The places where a wrapped server may get secrets; where one is for a secret that goes nowhere without the
    /// operator's word, with the path of the program for [`crate::process::Plan::pinned`].
    ///
    /// # Errors
    /// `not_allowed` where the table of that name is for another program, or must name one.
    pub fn places(&self, name: &str, started: &Started<'_>) -> Result<(Vec<Place>, Option<PathBuf>)> {
        exec::places(&self.exec_rules(), name, started, |secret| self.is_hidden(secret))
    }

    /// The names under `[wrap]`.
    #[must_use]
    pub fn wrap_tables(&self) -> Vec<&str> {
        self.doors.doors.wrap.keys().map(String::as_str).collect()
    }

    /// What git signs in with there; `None` where that is not the broker's business.
    ///
    /// # Errors
    /// `not_allowed` for plain http, `conflict` where several logins fit, and what [`Broker::spendable`] says.
    pub async fn git_credential(&self, site: &Site<'_>) -> Result<Option<(Credential, Spendable)>> {
        let Some(credential) = self.git_login(site).await? else { return Ok(None) };
        let door = Door { event: "git_credential", process: Some("git"), destination: Some(site.host) };
        let spendable = self.spendable(&credential.secret, door).await?;
        // A line of git's protocol would end there.
        if spendable.value.expose().contains(['\n', '\r', '\0']) {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("\"{}\" has more than one line, which no password for git has.", credential.secret),
                "Name another secret under [git] in broker.toml.",
            ));
        }
        Ok(Some((credential, spendable)))
    }

    /// Which secret that is.
    ///
    /// # Errors
    /// As [`Broker::git_credential`].
    pub async fn git_login(&self, site: &Site<'_>) -> Result<Option<Credential>> {
        let logins = self.git_logins().await?;
        git::choose(&self.doors.doors.git, &logins, site, &self.doors.loopback)
    }

    /// Each host with the `git config` line for it: every host of the operator's file, and every one that the provider of a login declares.
    /// `command` is this program with its options, as a shell takes it.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub async fn git_configuration(&self, command: &str) -> Result<Vec<(String, String)>> {
        let declared = self.git_logins().await?.into_iter().flat_map(|login| login.hosts).map(|declared| declared.host);
        let hosts: BTreeSet<_> = declared.chain(self.doors.doors.git.keys().cloned()).collect();
        Ok(hosts.into_iter().map(|host| git::configuration(command, host, &self.doors.loopback)).collect())
    }

    /// Whether `token-command` may print a secret.
    ///
    /// # Errors
    /// `not_allowed`, with the line that would allow it.
    pub fn may_be_printed(&self, name: &SecretName) -> Result<()> {
        if self.doors.doors.token_command.contains(name) {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAllowed,
            format!("The operator's file does not allow token-command to print \"{name}\"."),
            format!("Add to broker.toml, under [token_command]: secrets = [\"{name}\"]."),
        ))
    }

    fn exec_rules(&self) -> Rules<'_> {
        Rules { doors: &self.doors.doors, file_of: &|path: &Path| path.canonicalize().ok() }
    }

    /// Whether a secret goes nowhere without the operator's line: where `reveal = "deny"` holds for it, and where it is a
    /// provider's setting, such as a client secret in the vault.
    #[must_use]
    pub fn is_hidden(&self, name: &SecretName) -> bool {
        self.policies.hides(name) || self.reserved.holds(name)
    }

    /// The logins in the vault, each with the hosts that its provider declares for git.
    async fn git_logins(&self) -> Result<Vec<git::Login>> {
        let mut logins = Vec::new();
        for (name, record) in self.vault.list()? {
            let Stored::Grant(grant) = record.stored else { continue };
            // A component that is gone declares nothing.
            let Ok(provider) = self.providers.get(&grant.provider).await else { continue };
            let declared = provider.descriptor().git.iter().filter(|_| provider.owns(&grant.lineage));
            let hosts = declared.filter_map(|place| git::Declared::of(place, &grant.settings));
            logins.push(git::Login {
                hosts: hosts.collect(),
                hidden: self.is_hidden(&name),
                name,
                provider: grant.provider.clone(),
                account: grant.account.as_ref().and_then(|account| account.label.clone()),
            });
        }
        Ok(logins)
    }
}

/// What the broker keeps of the operator's file for its doors.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) doors: crate::config::Doors,
    /// `[egress] allow_loopback`.
    pub(super) loopback: Vec<std::net::SocketAddr>,
    /// `[providers.…]`, for what is found there when it is asked for.
    providers: BTreeMap<String, crate::config::Provider>,
    found: OnceLock<Found>,
}

/// Secret settings of providers.
#[derive(Debug)]
struct Found {
    /// The variables that hold some.
    variables: BTreeSet<String>,
    /// Where those are that nobody has asked for yet.
    unread: Mutex<Vec<(String, Source)>>,
}

impl Kept {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            doors: config.doors.clone(),
            loopback: config.egress.allow_loopback.clone(),
            providers: config.providers.clone(),
            found: OnceLock::new(),
        }
    }

    /// Looked for at the first need: it takes the embedded descriptors.
    fn found(&self) -> &Found {
        self.found.get_or_init(|| {
            let variables = settings::variables(&self.providers);
            Found { unread: Mutex::new(settings::sources(&self.providers, &variables)), variables }
        })
    }

    /// Each is told once.
    fn unread_settings(&self) -> Vec<(String, Source)> {
        std::mem::take(&mut *self.found().unread.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
