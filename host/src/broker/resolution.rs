//! Where a provider's endpoints are, checked before a browser opens.
//!
//! A component that finds its endpoints by discovery says what it found; the broker believes an address only if it
//! can see where it comes from. Otherwise a component could send codes and client secrets anywhere.

use std::collections::BTreeMap;

use serde_json::Value;
use url::Url;

use super::issuer::Issuers;
use crate::descriptor::settings::Settings;
use crate::descriptor::template::{Template, Values, is_address};
use crate::descriptor::{Descriptor, Role};
use crate::error::{Code, Error, Result, foreign};

/// The pinned outcome: what a login and all its refreshes use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// Where the browser goes.
    pub authorization_endpoint: Url,
    /// Where codes are redeemed.
    pub token_endpoint: Option<Url>,
    /// Where device codes are issued.
    pub device_endpoint: Option<Url>,
    /// Where the keys for id_tokens are.
    pub jwks_uri: Option<Url>,
    /// Who may answer.
    pub issuers: Issuers,
    /// What the component resolved, by name.
    pub resolved: BTreeMap<String, String>,
}

/// Checks what `resolve` returned, and fills the table's templates with it.
///
/// `documents` are the metadata documents that were fetched in that call, each with its address.
///
/// # Errors
/// `component_fault` for an address of unknown origin; `provider_error` for metadata of another issuer.
pub fn resolve(
    descriptor: &Descriptor,
    settings: &Settings,
    pairs: Vec<(String, String)>,
    documents: &[(Url, Value)],
) -> Result<Resolution> {
    let mut resolved = BTreeMap::new();
    let mut advertised = false;
    for (from, document) in documents {
        check_metadata(settings, from, document)?;
        advertised |= document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true));
    }
    for (name, value) in pairs {
        if is_address(&name) && !origin_is_known(descriptor, settings, &name, &value, documents) {
            return Err(Error::new(
                Code::ComponentFault,
                format!(
                    "The component of {} gives {} as {name}, which comes neither from the settings nor from the provider's metadata.",
                    descriptor.title,
                    foreign(&value)
                ),
                "Nothing was sent there. Report this to the component's author.",
            ));
        }
        if resolved.insert(name.clone(), value).is_some() {
            return Err(Error::new(
                Code::ComponentFault,
                format!("The component of {} gives {} twice.", descriptor.title, foreign(&name)),
                "Report this to the component's author.",
            ));
        }
    }
    let values = Filled { settings, resolved: &resolved };
    let authorization_endpoint = match role(descriptor, Role::Authorization, &values)? {
        Some(url) => url,
        None => {
            return Err(Error::new(
                Code::ProviderError,
                format!("{} names no authorization endpoint.", descriptor.title),
                "Check the provider's settings; list_providers names them.",
            ));
        }
    };
    let token_endpoint = role(descriptor, Role::Token, &values)?;
    let device_endpoint = role(descriptor, Role::Device, &values)?;
    let jwks_uri = role(descriptor, Role::Jwks, &values)?;
    let issuers = Issuers { expected: expected_issuers(descriptor, &values), advertised };
    Ok(Resolution { authorization_endpoint, token_endpoint, device_endpoint, jwks_uri, issuers, resolved })
}

/// Who may sign an id_token of a login, and where their keys are, by what was resolved for that login.
///
/// # Errors
/// `internal` for a table that is none.
pub fn vouching(
    descriptor: &Descriptor,
    settings: &Settings,
    resolved: &BTreeMap<String, String>,
) -> Result<(Issuers, Option<Url>)> {
    let values = Filled { settings, resolved };
    let issuers = Issuers { expected: expected_issuers(descriptor, &values), advertised: false };
    Ok((issuers, role(descriptor, Role::Jwks, &values)?))
}

fn expected_issuers(descriptor: &Descriptor, values: &Filled<'_>) -> Vec<String> {
    if let Some(issuer) = values.resolved("issuer") {
        // narrower than the table's template: the tenant that the operator named
        return vec![issuer.to_owned()];
    }
    let filled = |issuer: &String| match Template::parse(issuer) {
        Ok(template) => template.fill_text(values).ok(),
        Err(_) => Some(issuer.clone()),
    };
    descriptor.issuers.iter().filter_map(filled).collect()
}

/// A filled template; `None` where it is `{resolved.…}` and nothing was resolved.
fn role(descriptor: &Descriptor, role: Role, values: &Filled<'_>) -> Result<Option<Url>> {
    let Some(endpoint) = descriptor.role(role) else { return Ok(None) };
    let internal = |reason: String| Error::new(Code::Internal, reason, "Report this.");
    let template = Template::parse(&endpoint.url).map_err(internal)?;
    match template.resolved_name() {
        Some(name) if values.resolved(name).is_none() => Ok(None),
        _ => template.fill(values).map(Some),
    }
}

struct Filled<'a> {
    settings: &'a Settings,
    resolved: &'a BTreeMap<String, String>,
}

impl Values for Filled<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        self.settings.plain(name)
    }

    fn resolved(&self, name: &str) -> Option<&str> {
        self.resolved.get(name).map(String::as_str)
    }

    fn argument(&self, _: &str) -> Option<&str> {
        None
    }
}

fn origin_is_known(descriptor: &Descriptor, settings: &Settings, name: &str, value: &str, documents: &[(Url, Value)]) -> bool {
    let from_setting = settings.plain(name) == Some(value);
    let from_metadata = documents.iter().any(|(_, document)| document.get(name).and_then(Value::as_str) == Some(value));
    let nothing = BTreeMap::new();
    let values = Filled { settings, resolved: &nothing };
    let from_table = match name {
        "issuer" => {
            descriptor.issuers.iter().any(|issuer| Template::parse(issuer).is_ok_and(|template| template.matches(value, &values)))
        }
        _ => false,
    };
    from_setting || from_metadata || from_table
}

/// RFC 8414 section 3.3: a document speaks for the issuer from whose address it was fetched, and for no other.
fn check_metadata(settings: &Settings, from: &Url, document: &Value) -> Result<()> {
    let refused = |what: String| {
        Error::new(
            Code::ProviderError,
            what,
            "Check the issuer in the provider's settings: it must be written exactly as the metadata writes it, a trailing slash included.",
        )
    };
    let Some(issuer) = document.get("issuer").and_then(Value::as_str) else {
        return Err(refused(format!("The metadata at {} names no issuer.", shown(from))));
    };
    let parsed =
        Url::parse(issuer).map_err(|_| refused(format!("The metadata at {} names an issuer that is no URL.", shown(from))))?;
    let plain = parsed.query().is_none() && parsed.fragment().is_none();
    let path = parsed.path().trim_end_matches('/');
    let fits = |suffix: &str| {
        let appended = format!("{path}/.well-known/{suffix}");
        let inserted = format!("/.well-known/{suffix}{path}");
        from.origin() == parsed.origin() && (from.path() == appended || from.path() == inserted) && from.query().is_none()
    };
    if !plain || !(fits("openid-configuration") || fits("oauth-authorization-server")) {
        return Err(refused(format!("The metadata at {} is that of another issuer, {}.", shown(from), foreign(issuer))));
    }
    match settings.plain("issuer") {
        Some(configured) if configured != issuer => Err(refused(format!(
            "The metadata at {} is that of the issuer {}, not exactly the configured one.",
            shown(from),
            foreign(issuer)
        ))),
        _ => Ok(()),
    }
}

fn shown(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::secret::Secret;

    fn descriptor() -> Descriptor {
        Descriptor::parse(
            &json!({
                "name": "oauth2", "title": "OAuth 2.0", "version": "1", "ttl": { "default": 1, "maximum": 1 },
                "settings": [
                    { "name": "issuer", "kind": "url", "about": "x" },
                    { "name": "token_endpoint", "kind": "url", "about": "x" }
                ],
                "endpoints": [
                    { "id": "configuration", "role": "metadata", "url": "{issuer}/.well-known/openid-configuration" },
                    { "id": "authorize", "role": "authorization", "url": "{resolved.authorization_endpoint}" },
                    { "id": "token", "role": "token", "method": "POST", "url": "{resolved.token_endpoint}" },
                    { "id": "keys", "role": "jwks", "url": "{resolved.jwks_uri}" }
                ],
                "issuers": ["{resolved.issuer}"], "openid": true, "grants": ["authorization_code"]
            })
            .to_string(),
        )
        .unwrap()
    }

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        let mut settings = Settings::default();
        for (name, value) in pairs {
            settings.insert(descriptor().setting(name).unwrap(), &Secret::from(*value)).unwrap();
        }
        settings
    }

    fn document(from: &str, issuer: &str) -> (Url, Value) {
        let document = json!({
            "issuer": issuer, "authorization_endpoint": "https://id.example/auth", "token_endpoint": "https://id.example/token",
            "jwks_uri": "https://id.example/keys", "authorization_response_iss_parameter_supported": true
        });
        (Url::parse(from).unwrap(), document)
    }

    fn pairs(issuer: &str, token: &str) -> Vec<(String, String)> {
        [
            ("issuer", issuer),
            ("authorization_endpoint", "https://id.example/auth"),
            ("token_endpoint", token),
            ("jwks_uri", "https://id.example/keys"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    #[test]
    fn what_the_metadata_says_is_taken() {
        let documents = [document("https://id.example/.well-known/openid-configuration", "https://id.example")];
        let found = resolve(
            &descriptor(),
            &settings(&[("issuer", "https://id.example")]),
            pairs("https://id.example", "https://id.example/token"),
            &documents,
        )
        .unwrap();
        assert_eq!(found.token_endpoint.unwrap().as_str(), "https://id.example/token");
        assert!(found.issuers.advertised && found.issuers.fits("https://id.example"));
    }

    #[test]
    fn an_address_of_unknown_origin_is_the_components_fault() {
        let documents = [document("https://id.example/.well-known/openid-configuration", "https://id.example")];
        let error = resolve(
            &descriptor(),
            &settings(&[("issuer", "https://id.example")]),
            pairs("https://id.example", "https://evil.example/token"),
            &documents,
        )
        .unwrap_err();
        assert_eq!(error.code(), Code::ComponentFault);
    }

    #[test]
    fn metadata_of_another_issuer_is_refused() {
        for (configured, from, issuer) in [
            ("https://id.example", "https://id.example/.well-known/openid-configuration", "https://evil.example"),
            ("https://id.example", "https://id.example/.well-known/openid-configuration", "https://id.example/"),
            ("https://id.example", "https://id.example/.well-known/openid-configuration", "https://id.example/a"),
            ("https://id.example/a", "https://id.example/a/.well-known/openid-configuration", "https://id.example/b"),
            ("https://id.example", "https://id.example/.well-known/openid-configuration", "http://id.example"),
            ("https://id.example", "https://id.example/.well-known/openid-configuration", "no url"),
        ] {
            let error = resolve(
                &descriptor(),
                &settings(&[("issuer", configured)]),
                pairs(issuer, "https://id.example/token"),
                &[document(from, issuer)],
            )
            .unwrap_err();
            assert_eq!(error.code(), Code::ProviderError, "{configured} {issuer}");
        }
        for from in [
            "https://id.example/a/.well-known/openid-configuration",
            "https://id.example/.well-known/oauth-authorization-server/a",
        ] {
            assert!(
                check_metadata(
                    &settings(&[("issuer", "https://id.example/a")]),
                    &Url::parse(from).unwrap(),
                    &document(from, "https://id.example/a").1
                )
                .is_ok()
            );
        }
    }

    #[test]
    fn explicit_endpoints_need_no_metadata() {
        let given = vec![("token_endpoint".to_owned(), "https://id.example/token".to_owned())];
        let error = resolve(&descriptor(), &settings(&[("token_endpoint", "https://id.example/token")]), given, &[]).unwrap_err();
        assert!(error.message().contains("no authorization endpoint"), "{error}");
    }
}
