//! Values that must not be seen, and the names people give them.
//!
//! A secret is a type whose `Debug` prints `[secret]`, not a `String` that everyone is careful with. The bytes are
//! overwritten when the last owner lets go.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};

/// A secret text. Cloning shares the one copy; it is zeroized when the last clone is dropped.
#[derive(Clone)]
pub struct Secret(Arc<Zeroizing<Box<str>>>);

impl Secret {
    /// Takes the text over. The box is cut to size before, so no spare copy stays behind in the heap.
    #[must_use]
    pub fn new(text: String) -> Self {
        // `into_boxed_str` may move the text; wipe the old place by copying out of a zeroizing buffer instead.
        let text = Zeroizing::new(text);
        Self(Arc::new(Zeroizing::new(Box::from(text.as_str()))))
    }

    /// The text itself. Every call of this is a place to look at in a review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether both are the same text.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether both are the same text, in a time that does not depend on where they differ.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq as _;
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }

    /// Whether it is the empty text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(Arc::new(Zeroizing::new(Box::from(text))))
    }
}

/// What a secret is, which decides where it may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The OAuth client's own secret.
    ClientSecret,
    /// Another secret setting of a provider, such as a private key.
    Key,
    /// An authorization code.
    Code,
    /// A PKCE code verifier.
    Verifier,
    /// An access token.
    Access,
    /// A refresh token.
    Refresh,
    /// An id_token.
    IdToken,
    /// A device code (RFC 8628).
    DeviceCode,
    /// A string in an answer that nothing says more about.
    Other,
}

impl Kind {
    /// Every kind, in the order of the contract's documentation.
    pub const ALL: [Self; 9] = [
        Self::ClientSecret,
        Self::Key,
        Self::Code,
        Self::Verifier,
        Self::Access,
        Self::Refresh,
        Self::IdToken,
        Self::DeviceCode,
        Self::Other,
    ];

    /// The word for it in the contract and in endpoint tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientSecret => "client-secret",
            Self::Key => "key",
            Self::Code => "code",
            Self::Verifier => "verifier",
            Self::Access => "access",
            Self::Refresh => "refresh",
            Self::IdToken => "id-token",
            Self::DeviceCode => "device-code",
            Self::Other => "other",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// The name of a secret: 1 to 128 characters, letters, digits, and `. _ - / @ :` after the first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretName(Arc<str>);

impl SecretName {
    /// The longest name, in characters.
    pub const MAX: usize = 128;

    /// Checks a name.
    ///
    /// # Errors
    /// `invalid_argument`, saying which characters are allowed; a long name is not repeated.
    pub fn parse(name: &str) -> Result<Self> {
        let mut characters = name.chars();
        let good = name.len() <= Self::MAX
            && characters.next().is_some_and(|c| c.is_ascii_alphanumeric())
            && characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '@' | ':'));
        if good {
            return Ok(Self(Arc::from(name)));
        }
        Err(Error::new(
            Code::InvalidArgument,
            "This is no name for a secret.",
            "Use 1 to 128 letters, digits, '.', '_', '-', '/', '@' or ':', beginning with a letter or digit, such as \"github-token\".",
        ))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its text, to be kept once for many.
    pub(crate) const fn shared(&self) -> &Arc<str> {
        &self.0
    }

    /// A name again, of a text that came from one.
    pub(crate) fn of_shared(text: &Arc<str>) -> Self {
        Self(Arc::clone(text))
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_itself() {
        assert_eq!(format!("{:?}", Secret::new("hunter2".to_owned())), "[secret]");
    }

    #[test]
    fn names_are_checked_at_the_border() {
        for good in ["github-token", "a", "me@example.com", "team/acme:prod.1", &"x".repeat(128)] {
            assert!(SecretName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "-x", "a b", "a\n", "ä", "a\0", &"x".repeat(129), "/etc"] {
            assert!(SecretName::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_word() {
        for kind in Kind::ALL {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
    }
}
