//! Whose answer it is: the `iss` of a callback (RFC 9207) and of an id_token.

use crate::descriptor::template::matches_claims;
use crate::error::{Code, Error, Result};

/// What is known of a provider's issuer beforehand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Issuers {
    /// Issuers that are right: exact, but that `{claim.…}` stands for a GUID. Empty: none is known.
    pub expected: Vec<String>,
    /// Whether the metadata says that every callback carries `iss`.
    pub advertised: bool,
}

impl Issuers {
    /// Whether this is the provider's issuer: simple string comparison, nothing normalized.
    #[must_use]
    pub fn fits(&self, issuer: &str) -> bool {
        self.expected.iter().any(|expected| matches_claims(expected, issuer))
    }

    /// Whether two issuers are one. Some write their own in two ways, and list both.
    #[must_use]
    pub fn same(&self, one: &str, other: &str) -> bool {
        let listed = |issuer: &str| self.expected.iter().any(|expected| expected == issuer);
        one == other || (listed(one) && listed(other))
    }

    /// Checks the `iss` parameter of a callback, of an error response too.
    ///
    /// # Errors
    /// `provider_error` where another server answered, or one that should have said who it is did not.
    pub fn check_callback(&self, iss: Option<&str>) -> Result<()> {
        let refused = |what: &'static str| {
            Err(Error::new(
                Code::ProviderError,
                what,
                "The code was not used. Start the login again; if it happens again, the answer may come from another server than the one you signed in to.",
            ))
        };
        match iss {
            None if self.advertised => refused("The callback carries no issuer although this provider announces one (RFC 9207)."),
            None => Ok(()),
            Some(_) if self.expected.is_empty() => Ok(()),
            Some(issuer) if self.fits(issuer) => Ok(()),
            Some(_) => refused("The callback names another issuer than the provider's (RFC 9207)."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuers(expected: &[&str], advertised: bool) -> Issuers {
        Issuers { expected: expected.iter().map(|&issuer| issuer.to_owned()).collect(), advertised }
    }

    #[test]
    fn a_callbacks_issuer_is_compared_as_rfc_9207_says() {
        let quiet = issuers(&["https://id.example"], false);
        let announced = issuers(&["https://id.example"], true);
        assert!(quiet.check_callback(Some("https://id.example")).is_ok());
        assert!(quiet.check_callback(None).is_ok());
        assert!(announced.check_callback(None).is_err());
        for other in ["", "https://id.example/", "https://ID.example", "https://evil.example", "https://id.example "] {
            assert!(quiet.check_callback(Some(other)).is_err(), "{other:?}");
            assert!(announced.check_callback(Some(other)).is_err(), "{other:?}");
        }
        assert!(issuers(&[], false).check_callback(Some("https://any.example")).is_ok());
    }

    #[test]
    fn an_issuer_is_the_same_in_each_of_its_writings_and_another_tenant_is_another() {
        let google = issuers(&["https://accounts.google.com", "accounts.google.com"], false);
        assert!(google.same("accounts.google.com", "https://accounts.google.com"));
        assert!(!google.same("accounts.google.com", "https://evil.example"));
        let entra = issuers(&["https://login.microsoftonline.com/{claim.tid}/v2.0"], false);
        assert!(!entra.same("https://login.microsoftonline.com/1/v2.0", "https://login.microsoftonline.com/2/v2.0"));
    }

    #[test]
    fn a_tenants_issuer_is_a_guid_in_its_place() {
        let entra = issuers(&["https://login.microsoftonline.com/{claim.tid}/v2.0"], false);
        assert!(entra.fits("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"));
        assert!(!entra.fits("https://login.microsoftonline.com/{tenantid}/v2.0"));
        assert!(!entra.fits("https://login.microsoftonline.com/common/v2.0"));
    }
}
