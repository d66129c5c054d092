//! What the operator's file says about who may see, store and spend a secret by its name. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::secrets::SecretKind;
use crate::config::{Config, Permission, Policy, SecretRule};
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

/// The operator's word on secrets.
#[derive(Debug, Default)]
pub struct Policies {
    policy: Policy,
    secrets: BTreeMap<SecretName, SecretRule>,
    /// Every name that the file has given a meaning: in `[secrets]`, or where it says what may be started, signed in or
    /// printed with it.
    listed: BTreeSet<SecretName>,
}

impl Policies {
    /// From the operator's file.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let doors = &config.doors;
        let listed = (config.secrets.keys())
            .chain(doors.exec.values().flat_map(|exec| &exec.secrets))
            .chain(doors.wrap.values().flat_map(|wrap| wrap.allow.iter().map(|place| &place.secret)))
            .chain(doors.git.values().map(|git| &git.secret))
            .chain(&doors.token_command);
        Self { policy: config.policy.clone(), secrets: config.secrets.clone(), listed: listed.cloned().collect() }
    }

    /// What the file says of that name.
    #[must_use]
    pub fn rule(&self, name: &SecretName) -> Option<&SecretRule> {
        self.secrets.get(name)
    }

    /// Whether the value must not be shown to an agent.
    #[must_use]
    pub fn hides(&self, name: &SecretName) -> bool {
        self.rule(name).and_then(|rule| rule.reveal).unwrap_or(self.policy.reveal) == Permission::Deny
    }

    /// Whether the value itself may be given to an agent.
    ///
    /// # Errors
    /// `not_allowed`, with the ways to spend it unseen.
    pub fn may_be_resolved(&self, name: &SecretName) -> Result<()> {
        if !self.hides(name) {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAllowed,
            format!("The operator does not allow the value of \"{name}\" to be shown (reveal = \"deny\")."),
            "Call http_request with this secret or reference instead: the broker sends the request and adds the credential. For a program, the operator can run it with `mcp-credentials-broker exec`; for an MCP server, with `wrap`; for git, with `git-credential`.",
        ))
    }

    /// Whether a value may be stored under that name. What the file lists is the operator's, and so is everything where
    /// `store_secret = "deny"`.
    ///
    /// # Errors
    /// `not_allowed`, with what a person can do.
    pub fn may_store(&self, name: &SecretName, by_operator: bool) -> Result<()> {
        let command = || format!("A person can store it: mcp-credentials-broker secrets set {name}");
        match self.rule(name) {
            Some(rule) if by_operator => rule.takes(name, SecretKind::Static),
            _ if !by_operator && self.listed.contains(name) => Err(Error::new(
                Code::NotAllowed,
                format!("The operator's file has given the name \"{name}\" a meaning; no agent stores a value under it."),
                format!("Use another name. {}", command()),
            )),
            _ if !by_operator && self.policy.store_secret == Permission::Deny => Err(Error::new(
                Code::NotAllowed,
                "The operator does not allow agents to store values (store_secret = \"deny\").",
                command(),
            )),
            _ => Ok(()),
        }
    }

    /// Whether what rests under that name may be forgotten. An agent that could make room under a name of the file could
    /// put something else there.
    ///
    /// # Errors
    /// `not_allowed`, with what a person can do.
    pub fn may_forget(&self, name: &SecretName, by_operator: bool) -> Result<()> {
        if by_operator || !self.listed.contains(name) {
            return Ok(());
        }
        Err(Error::new(
            Code::NotAllowed,
            format!("The operator's file has given the name \"{name}\" a meaning; no agent forgets what rests under it."),
            format!("A person can: mcp-credentials-broker secrets delete {name}. A login can be ended with revoke_secret."),
        ))
    }

    /// Whether a login may be stored under that name.
    ///
    /// # Errors
    /// `not_allowed`.
    pub fn may_sign_in(&self, name: &SecretName) -> Result<()> {
        self.rule(name).map_or(Ok(()), |rule| rule.takes(name, SecretKind::Login))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    fn policies(reveal: Permission, store_secret: Permission, rules: &[(&str, SecretRule)]) -> Policies {
        let secrets = rules.iter().map(|(text, rule)| (name(text), rule.clone())).collect();
        let git = crate::config::doors::Git { secret: name("for-git"), username: None };
        let doors = crate::config::Doors { git: [("git.example.com".to_owned(), git)].into(), ..Default::default() };
        let policy = Policy { reveal, store_secret, ..Policy::default() };
        Policies::new(&Config { policy, secrets, doors, ..Config::default() })
    }

    #[test]
    fn a_hidden_secret_is_not_shown_and_the_refusal_names_the_ways_to_spend_it() {
        let shown = SecretRule { reveal: Some(Permission::Allow), ..SecretRule::default() };
        let deny = policies(Permission::Deny, Permission::Allow, &[("shown", shown)]);
        assert!(deny.may_be_resolved(&name("shown")).is_ok());
        let hint = deny.may_be_resolved(&name("x")).unwrap_err().to_string();
        assert!(["http_request", "exec", "wrap", "git-credential"].iter().all(|way| hint.contains(way)), "{hint}");
        assert!(policies(Permission::Allow, Permission::Allow, &[]).may_be_resolved(&name("x")).is_ok());
    }

    #[test]
    fn a_name_of_the_file_is_the_operators_to_store() {
        let rule = |kind| SecretRule { kind, ..SecretRule::default() };
        let rules = [("key", rule(Some(SecretKind::Static))), ("login", rule(Some(SecretKind::Login))), ("any", rule(None))];
        let allow = policies(Permission::Allow, Permission::Allow, &rules);
        for listed in ["key", "login", "any", "for-git"] {
            assert_eq!(allow.may_store(&name(listed), false).unwrap_err().code(), Code::NotAllowed, "{listed}");
            assert_eq!(allow.may_forget(&name(listed), false).unwrap_err().code(), Code::NotAllowed, "{listed}");
            assert!(allow.may_forget(&name(listed), true).is_ok());
        }
        assert!(allow.may_store(&name("for-git"), true).is_ok() && allow.may_forget(&name("free"), false).is_ok());
        assert!(allow.may_store(&name("free"), false).is_ok() && allow.may_store(&name("key"), true).is_ok());
        assert!(allow.may_store(&name("login"), true).is_err());
        assert!(allow.may_sign_in(&name("key")).is_err() && allow.may_sign_in(&name("login")).is_ok());
        let deny = policies(Permission::Allow, Permission::Deny, &[]);
        assert!(deny.may_store(&name("free"), false).unwrap_err().hint().contains("secrets set free"));
        assert!(deny.may_store(&name("free"), true).is_ok());
    }
}
