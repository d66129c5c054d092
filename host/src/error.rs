//! What went wrong, and what to do about it.
//!
//! Agents and people act on errors, so each has a stable code, one sentence on what happened, and one on what to do
//! now. Text that a provider or the network sent is bounded and marked as theirs, never taken for the broker's own.

use std::borrow::Cow;
use std::fmt;

/// The result of anything in the broker.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A stable word for a kind of failure: the same in tool answers, `--json` output and the audit trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Code {
    /// An argument has the wrong type, form, or size.
    InvalidArgument,
    /// A lifetime is not a whole number of seconds within the caps.
    InvalidTtl,
    /// No secret of that name.
    UnknownSecret,
    /// No reference of that id, or one that has ended.
    UnknownReference,
    /// No provider of that name.
    UnknownProvider,
    /// No flow of that id.
    UnknownFlow,
    /// The provider lacks settings that only the operator can give.
    NotConfigured,
    /// The provider does not do this.
    Unsupported,
    /// The operator's configuration does not allow it.
    NotAllowed,
    /// The name is taken by something that must not be replaced.
    Conflict,
    /// A table is full, or an answer or message is too large.
    Limit,
    /// The person, or the provider on their behalf, declined.
    Denied,
    /// Nobody finished in time.
    Expired,
    /// The call was cancelled.
    Cancelled,
    /// The login has ended; only a new one helps.
    SignInAgain,
    /// The provider could not be reached, or answered with an error that may pass.
    Unavailable,
    /// The provider answered with an error, or with something that makes no sense.
    ProviderError,
    /// A provider component broke its contract: trapped, ran too long, reached outside its table.
    ComponentFault,
    /// A provider component cannot be loaded.
    ComponentRejected,
    /// The callback port is not to be had.
    PortTaken,
    /// The configuration file is wrong.
    InvalidConfiguration,
    /// The vault is locked, and the key is not at hand.
    VaultLocked,
    /// There is no vault where one was named.
    VaultMissing,
    /// The passphrase, key file or keychain entry does not open this vault.
    WrongKey,
    /// A record was edited, put back or taken away by something other than the broker.
    VaultTampered,
    /// A page of the vault's file is damaged.
    VaultDamaged,
    /// Another process holds the vault for too long.
    VaultBusy,
    /// The vault cannot be written: read-only, not this user's, or a full disk.
    VaultUnwritable,
    /// A newer broker made this vault.
    VaultNewer,
    /// The operating system's keychain does not answer or refuses.
    KeychainUnavailable,
    /// A failure of the machine: a file, a thread, a clock.
    Internal,
}

impl Code {
    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid_argument",
            Self::InvalidTtl => "invalid_ttl",
            Self::UnknownSecret => "unknown_secret",
            Self::UnknownReference => "unknown_reference",
            Self::UnknownProvider => "unknown_provider",
            Self::UnknownFlow => "unknown_flow",
            Self::NotConfigured => "not_configured",
            Self::Unsupported => "unsupported",
            Self::NotAllowed => "not_allowed",
            Self::Conflict => "conflict",
            Self::Limit => "limit",
            Self::Denied => "denied",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::SignInAgain => "sign_in_again",
            Self::Unavailable => "unavailable",
            Self::ProviderError => "provider_error",
            Self::ComponentFault => "component_fault",
            Self::ComponentRejected => "component_rejected",
            Self::PortTaken => "port_taken",
            Self::InvalidConfiguration => "invalid_configuration",
            Self::VaultLocked => "vault_locked",
            Self::VaultMissing => "vault_missing",
            Self::WrongKey => "wrong_key",
            Self::VaultTampered => "vault_tampered",
            Self::VaultDamaged => "vault_damaged",
            Self::VaultBusy => "vault_busy",
            Self::VaultUnwritable => "vault_unwritable",
            Self::VaultNewer => "vault_newer",
            Self::KeychainUnavailable => "keychain_unavailable",
            Self::Internal => "internal",
        }
    }
}

/// A failure: what happened, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    message: Cow<'static, str>,
    hint: Cow<'static, str>,
}

impl Error {
    /// `message` says what happened, `hint` what to do now; both are sentences with their full stop. Neither may hold
    /// a secret: whoever makes an error answers for that.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>, hint: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }

    /// The stable code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do now.
    #[must_use]
    pub fn hint(&self) -> &str {
        &self.hint
    }

    /// The same failure with its texts rewritten, to take something out of them.
    #[must_use]
    pub fn map_text(self, rewrite: impl Fn(&str) -> String) -> Self {
        Self { code: self.code, message: rewrite(&self.message).into(), hint: rewrite(&self.hint).into() }
    }

    /// The same failure with another remedy, where the caller knows a better one.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, " {}", self.hint) }
    }
}

impl std::error::Error for Error {}

/// At most this much of somebody else's text stands in a message.
const FOREIGN_TEXT_CHARS: usize = 300;

/// Text that came from a provider, a component or the network, made fit for a message: one line, no control or
/// direction-changing characters, bounded, in quotation marks so that nobody takes it for the broker's own word.
#[must_use]
pub fn foreign(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(FOREIGN_TEXT_CHARS) + 2);
    out.push('"');
    for (count, character) in text.chars().enumerate() {
        if count == FOREIGN_TEXT_CHARS {
            out.push('…');
            break;
        }
        out.push(match character {
            '"' => '\'',
            c if is_deceptive(c) => ' ',
            c => c,
        });
    }
    out.push('"');
    out
}

/// Whether a character makes a terminal or a reader show something else than what is there: control characters,
/// bidirectional overrides and isolates, zero-width characters, the byte order mark, language tags.
#[must_use]
pub fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_followed_by_what_to_do() {
        let error = Error::new(Code::UnknownSecret, "There is no secret \"x\".", "Call list_secrets.");
        assert_eq!(error.to_string(), "There is no secret \"x\". Call list_secrets.");
    }

    #[test]
    fn foreign_text_is_one_bounded_line_without_tricks() {
        let text = foreign(&format!("a\r\n\u{202e}b\"{}", "x".repeat(1000)));
        assert!(text.starts_with("\"a   b'xxx"));
        assert!(text.ends_with("…\""));
        assert_eq!(text.chars().count(), FOREIGN_TEXT_CHARS + 3);
    }
}
