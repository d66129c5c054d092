//! Making failures. The type itself is the contract's; see `failure` in `wit/host.wit`.

use crate::{Failure, pair};

impl Failure {
    /// A failure with a code of the contract and one sentence for a person.
    pub fn of(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), details: Vec::new() }
    }

    /// The provider does not do this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::of("unsupported", message)
    }

    /// The operator has to set something first.
    pub fn not_configured(message: impl Into<String>) -> Self {
        Self::of("not_configured", message)
    }

    /// The server's answer makes no sense.
    pub fn malformed(message: impl Into<String>) -> Self {
        Self::of("malformed_answer", message)
    }

    /// The same failure with what the person or the operator should do now; replaces an earlier hint.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        self.detail("hint", hint)
    }

    /// The same failure under another code; what the server called it is kept as `subtype`.
    #[must_use]
    pub fn as_code(mut self, code: &str) -> Self {
        let theirs = std::mem::replace(&mut self.code, code.to_owned());
        if self.get("subtype").is_some() { self } else { self.detail("subtype", theirs) }
    }

    /// The same failure with a detail of the contract: `hint`, `correlation_id`, `interval`, `retry_after`, `subtype`.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.retain(|(known, _)| known != name);
        self.details.push(pair(name, value));
        self
    }

    /// The detail of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}
