//! The doors through which a secret goes to another process: a program that is started with it, an MCP server behind the
//! broker, git, a tool that calls a command for its token. None of them shows it to an agent.
//!
//! What decides is pure, a file a door. Where `reveal = "deny"`, a door opens only where the operator's file says so: to
//! start `printenv` with a secret is to read it. Where it is allowed anyway, they open without a line, but for
//! `token-command`, which prints, and `wrap`, whose arguments an agent chooses.

pub mod exec;
pub mod git;
pub mod wrap;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use super::Broker;
use crate::audit::{Event, Outcome};
use crate::config::doors::Place;
use crate::config::{Config, Elsewhere, Source};
use crate::descriptor::sounds_secret;
use crate::error::{Code, Error, Result};
use crate::providers::embedded;
use crate::secret::{Secret, SecretName};
use crate::vault::{Record, Stored};

use exec::{Rules, Started, may_be_handed};
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
    pub event: &'a str,
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

    /// Notes in the trail that a door stayed shut.
    pub fn refused(&self, name: &SecretName, door: Door<'_>, error: &Error) {
        self.audit.record(Event {
            event: door.event,
            outcome: Outcome::Refused,
            secret: Some(name.as_str()),
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

    /// Every value that must not be shown: stored values, access and refresh tokens.
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
        Ok(self.vault.list()?.into_iter().flat_map(values).collect())
    }

    /// The variables of the environment that hold secret settings of providers, as far as they are known without looking
    /// into components: a program that is started has no use for them.
    #[must_use]
    pub fn secret_variables(&self) -> BTreeSet<String> {
        let declared = embedded::all().iter().flat_map(|component| &component.descriptor.settings);
        let declared = declared.filter(|setting| setting.kind.is_secret()).flat_map(|setting| setting.env.iter().cloned());
        declared.chain(self.doors.secret_variables.iter().cloned()).collect()
    }

    /// Whether a program may be started with these secrets in its environment, files or both.
    ///
    /// # Errors
    /// `not_allowed`, with the line that would allow it.
    pub fn may_be_handed(&self, started: &Started<'_>, secrets: &[SecretName]) -> Result<()> {
        let denied: Vec<_> = secrets.iter().filter(|name| self.is_hidden(name)).collect();
        may_be_handed(&self.exec_rules(), started, &denied)
    }

    /// Whether anything of these may only go where the operator says: then the very file that was judged is started.
    #[must_use]
    pub fn is_any_hidden<'a>(&self, secrets: impl IntoIterator<Item = &'a SecretName>) -> bool {
        secrets.into_iter().any(|name| self.is_hidden(name))
    }

    /// The places where a wrapped server may get secrets.
    ///
    /// # Errors
    /// `not_allowed` where the table of that name is for another program, or must name one.
    pub fn places(&self, name: &str, started: &Started<'_>) -> Result<Vec<Place>> {
        exec::places(&self.exec_rules(), name, started, |secret| self.is_hidden(secret))
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
    /// `program` is this program's own file.
    ///
    /// # Errors
    /// What is wrong with the vault.
    pub async fn git_configuration(&self, program: &Path) -> Result<Vec<(String, String)>> {
        let declared = self.git_logins().await?.into_iter().flat_map(|login| login.hosts).map(|declared| declared.host);
        let hosts: BTreeSet<_> = declared.chain(self.doors.doors.git.keys().cloned()).collect();
        Ok(hosts.into_iter().map(|host| git::configuration(program, host)).collect())
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
    fn is_hidden(&self, name: &SecretName) -> bool {
        self.policies.hides(name) || self.reserved.holds(name)
    }

    /// The logins in the vault, each with the hosts that its provider declares for git.
    async fn git_logins(&self) -> Result<Vec<git::Login>> {
        let mut logins = Vec::new();
        for (name, record) in self.vault.list()? {
            let Stored::Grant(grant) = record.stored else { continue };
            // A component that is gone declares nothing.
            let Ok(provider) = self.providers.get(&grant.provider).await else { continue };
            let declared = provider.descriptor().git.iter().filter(|_| provider.lineage() == grant.lineage);
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
    /// Variables that the file makes secret.
    pub(super) secret_variables: BTreeSet<String>,
}

impl Kept {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            doors: config.doors.clone(),
            loopback: config.egress.allow_loopback.clone(),
            secret_variables: secret_variables(config),
        }
    }
}

/// Those that the file names, and those of a drop-in that the file has a table for. Those of the embedded providers are known
/// anyway.
fn secret_variables(config: &Config) -> BTreeSet<String> {
    let named = config.providers.values().flat_map(|provider| provider.settings.values()).filter_map(|source| match source {
        Source::Elsewhere(Elsewhere::Env(name)) if sounds_secret(name) => Some(name.clone()),
        _ => None,
    });
    let begins: Vec<_> = config.providers.keys().map(|name| format!("{}_", name.to_uppercase().replace('-', "_"))).collect();
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let of_drop_ins = set.filter(|name| sounds_secret(name) && begins.iter().any(|begin| name.starts_with(begin)));
    named.chain(of_drop_ins).collect()
}
