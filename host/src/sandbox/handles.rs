//! What a component holds instead of secrets.

use crate::secret::{Kind, Secret};

/// A handle to a secret: its kind is all that a component can ask for.
#[derive(Debug, Clone)]
pub struct SecretHandle {
    pub(super) secret: Secret,
    pub(super) kind: Kind,
    /// Whether it came from the answer of an endpoint that issues tokens (or device codes, if it is one), in this same
    /// call. Only such a value can become a login's token: else a component could have a client secret handed to an agent as an access token.
    pub(super) issued: bool,
}

impl SecretHandle {
    pub(super) const fn given(secret: Secret, kind: Kind) -> Self {
        Self { secret, kind, issued: false }
    }
}

/// A token answer that a component puts together.
#[derive(Debug, Clone)]
pub struct TokenDraft {
    pub(super) access: Secret,
    pub(super) refresh: Option<Secret>,
    pub(super) id_token: Option<Secret>,
    pub(super) facts: Vec<(String, String)>,
}

/// What a component made of a token endpoint's answer. Nothing in it is checked yet but where the secrets came from.
#[derive(Debug, Clone)]
pub struct Tokens {
    /// The access token.
    pub access: Secret,
    /// The refresh token, if a new one came.
    pub refresh: Option<Secret>,
    /// The id_token, unverified.
    pub id_token: Option<Secret>,
    /// Facts by the names of the contract; the last of a name counts.
    pub facts: Vec<(String, String)>,
}

impl From<TokenDraft> for Tokens {
    fn from(draft: TokenDraft) -> Self {
        Self { access: draft.access, refresh: draft.refresh, id_token: draft.id_token, facts: draft.facts }
    }
}

impl Tokens {
    /// The fact of that name.
    #[must_use]
    pub fn fact(&self, name: &str) -> Option<&str> {
        self.facts.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
