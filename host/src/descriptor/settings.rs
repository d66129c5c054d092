//! Values for a provider's settings, checked against what the descriptor says they are.
//!
//! A value is checked when it is read, so that a host name that is none never gets as far as a URL. Secret values are
//! kept apart: nothing that hands out plain settings can reach them.

use std::collections::BTreeMap;

use url::Url;

use super::{Setting, SettingKind, is_host};
use crate::secret::Secret;

/// What the operator set for one provider, defaults included.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    plain: BTreeMap<String, String>,
    secret: BTreeMap<String, Secret>,
}

impl Settings {
    /// Takes one value in.
    ///
    /// # Errors
    /// A sentence on what the value must be. It does not repeat the value, which may be a secret in the wrong place.
    pub fn insert(&mut self, setting: &Setting, value: &Secret) -> Result<(), String> {
        if setting.kind.is_secret() {
            if value.is_empty() {
                return Err("must not be empty".to_owned());
            }
            self.secret.insert(setting.name.clone(), value.clone());
        } else {
            self.plain.insert(setting.name.clone(), checked(setting, value.expose())?);
        }
        Ok(())
    }

    /// A plain setting.
    #[must_use]
    pub fn plain(&self, name: &str) -> Option<&str> {
        self.plain.get(name).map(String::as_str)
    }

    /// Every plain setting.
    #[must_use]
    pub const fn all_plain(&self) -> &BTreeMap<String, String> {
        &self.plain
    }

    /// A secret setting.
    #[must_use]
    pub fn secret(&self, name: &str) -> Option<&Secret> {
        self.secret.get(name)
    }

    /// Every secret setting's value.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.secret.values()
    }

    /// Every secret setting, with its name.
    pub fn named_secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.secret.iter().map(|(name, secret)| (name.as_str(), secret))
    }

    /// Whether there is a value for that name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.plain.contains_key(name) || self.secret.contains_key(name)
    }
}

fn checked(setting: &Setting, value: &str) -> Result<String, String> {
    let value = value.trim();
    let ok = |good: bool, otherwise: &str| if good { Ok(value.to_owned()) } else { Err(otherwise.to_owned()) };
    if value.is_empty() || value.len() > 2048 || value.chars().any(char::is_control) {
        return Err("must be one line of 1 to 2048 characters".to_owned());
    }
    match setting.kind {
        SettingKind::Host => {
            let value = value.to_ascii_lowercase();
            if is_host(&value) {
                Ok(value)
            } else {
                Err("must be a host name, such as id.example.com (with a port where it is not 443), without https:// and without a path".to_owned())
            }
        }
        SettingKind::Segment => {
            let good = value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'~'))
                && !value.bytes().all(|b| b == b'.');
            ok(good, "may have letters, digits, '.', '_', '-' and '~' only")
        }
        SettingKind::Url => {
            let good = Url::parse(value).is_ok_and(|url| {
                matches!(url.scheme(), "https" | "http")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.fragment().is_none()
            });
            ok(good, "must be a URL that begins with https://, without user name and fragment")
        }
        SettingKind::Choice => {
            if setting.choices.iter().any(|choice| choice == value) {
                Ok(value.to_owned())
            } else {
                Err(format!("must be one of: {}", setting.choices.join(", ")))
            }
        }
        SettingKind::ClientId => ok(value.bytes().all(|b| b.is_ascii_graphic() || b == b' '), "must be printable ASCII"),
        SettingKind::Text | SettingKind::ClientSecret | SettingKind::Key => Ok(value.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(kind: SettingKind) -> Setting {
        Setting {
            name: "x".to_owned(),
            env: vec![],
            kind,
            required: false,
            default: None,
            choices: vec!["basic".to_owned(), "post".to_owned()],
            about: "x".to_owned(),
        }
    }

    #[test]
    fn values_are_checked_by_kind() {
        for (kind, good, bad) in [
            (SettingKind::Host, "Dev-1.okta.com", "https://dev-1.okta.com"),
            (SettingKind::Segment, "common", "a/b"),
            (SettingKind::Segment, "contoso.onmicrosoft.com", ".."),
            (SettingKind::Url, "https://id.example/a", "ftp://id.example"),
            (SettingKind::Url, "https://id.example/a", "https://u:p@id.example"),
            (SettingKind::Choice, "post", "none"),
        ] {
            let mut settings = Settings::default();
            assert!(settings.insert(&setting(kind), &Secret::from(good)).is_ok(), "{kind:?} {good}");
            assert!(settings.insert(&setting(kind), &Secret::from(bad)).is_err(), "{kind:?} {bad}");
        }
    }

    #[test]
    fn a_secret_is_not_found_among_the_plain_ones() {
        let mut settings = Settings::default();
        settings.insert(&setting(SettingKind::Key), &Secret::from("k")).unwrap();
        assert!(settings.plain("x").is_none() && settings.secret("x").is_some());
    }
}
