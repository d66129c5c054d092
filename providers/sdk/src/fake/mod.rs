//! The broker, as a native test sees it.
//!
//! The types have the shape of the contract's own, so that a provider compiles unchanged. They hold a component to its
//! table as the broker does: what the descriptor does not allow is `refused` here too.

mod request;
mod response;
pub mod testing;

use std::cell::RefCell;

pub use request::Request;
pub use response::Response;

/// Why something did not work; see `failure` in `wit/host.wit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word in snake_case.
    pub code: String,
    /// One sentence for a person.
    pub message: String,
    /// `hint`, `correlation_id`, `interval`, `retry_after`, `subtype`.
    pub details: Vec<(String, String)>,
}

/// A value that can be sent but not read; see `secret` in `wit/host.wit`.
#[derive(Debug, PartialEq, Eq)]
pub struct Secret {
    kind: String,
}

impl Secret {
    pub(crate) fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned() }
    }

    /// What it is, as a slot names it.
    #[must_use]
    pub fn kind(&self) -> String {
        self.kind.clone()
    }

    /// Another handle to the same value.
    #[must_use]
    pub fn duplicate(&self) -> Self {
        Self::of(&self.kind)
    }
}

/// What a token endpoint answered, put together by the component; see `tokens` in `wit/host.wit`.
#[derive(Debug)]
pub struct Tokens {
    refresh: RefCell<bool>,
    id_token: RefCell<bool>,
    facts: RefCell<Vec<(String, String)>>,
}

impl Tokens {
    /// Begins with the access token.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn new(access: &Secret) -> Self {
        assert_eq!(access.kind, "access", "tokens begin with an access token");
        Self { refresh: RefCell::default(), id_token: RefCell::default(), facts: RefCell::default() }
    }

    /// Adds the refresh token.
    ///
    /// # Panics
    /// If it is none.
    pub fn set_refresh(&self, value: &Secret) {
        assert_eq!(value.kind, "refresh", "only a refresh token can be one");
        *self.refresh.borrow_mut() = true;
    }

    /// Adds the id_token.
    ///
    /// # Panics
    /// If it is none.
    pub fn set_id_token(&self, value: &Secret) {
        assert_eq!(value.kind, "id-token", "only an id_token can be one");
        *self.id_token.borrow_mut() = true;
    }

    /// Sets a fact; the last of a name counts.
    pub fn set(&self, name: &str, value: &str) {
        let mut facts = self.facts.borrow_mut();
        facts.retain(|(known, _)| known != name);
        facts.push((name.to_owned(), value.to_owned()));
    }

    /// In a test: whether there is a refresh token.
    #[must_use]
    pub fn has_refresh(&self) -> bool {
        *self.refresh.borrow()
    }

    /// In a test: whether there is an id_token.
    #[must_use]
    pub fn has_id_token(&self) -> bool {
        *self.id_token.borrow()
    }

    /// In a test: the fact of that name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<String> {
        testing::find(&self.facts.borrow(), name).map(str::to_owned)
    }
}

/// A setting that is not secret.
#[must_use]
pub fn setting(name: &str) -> Option<String> {
    testing::with(|broker| broker.setting_of(name))
}

/// A secret setting.
#[must_use]
pub fn setting_secret(name: &str) -> Option<Secret> {
    testing::with(|broker| broker.secret_of(name))
}

/// What `resolve` returned for this login.
#[must_use]
pub fn resolved(name: &str) -> Option<String> {
    testing::with(|broker| testing::find(&broker.resolved, name).map(str::to_owned))
}

/// A line for the operator's log.
pub fn log(level: &str, message: &str) {
    testing::with(|broker| broker.log.push((level.to_owned(), message.to_owned())));
}
