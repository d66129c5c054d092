//! From a descriptor and its fixtures to what the stage plays, and the settings to play it with.

use std::collections::BTreeMap;

use url::Url;

use crate::descriptor::settings::Settings;
use crate::descriptor::template::{Template, Values};
use crate::descriptor::{Descriptor, Endpoint, Role, Setting, SettingKind};
use crate::error::{Code, Error, Result};
use crate::rehearsal::stage::{ARGUMENT, Fixtures, Place, Script};
use crate::secret::Secret;

/// A GUID for `{claim.…}` in an issuer, where the fixtures name none.
const SOME_GUID: &str = "7a1b2c3d-0e1f-4a5b-8c6d-9e0f1a2b3c4d";

/// What a scene needs to begin.
#[derive(Debug)]
pub(super) struct Prepared {
    /// For the stage.
    pub(super) script: Script,
    /// For the broker, by name.
    pub(super) settings: BTreeMap<String, String>,
    /// What is asked for.
    pub(super) scopes: Vec<String>,
}

fn invalid(message: String, hint: &'static str) -> Error {
    Error::new(Code::InvalidArgument, message, hint)
}

/// Whether the fixtures speak of nothing that the descriptor lacks.
pub(super) fn check_fixtures(descriptor: &Descriptor, fixtures: &Fixtures) -> Result<()> {
    if let Some(name) = fixtures.settings.keys().find(|name| descriptor.setting(name).is_none()) {
        return Err(invalid(format!("The fixtures set {name}, which is no setting of the descriptor."), "Correct its name."));
    }
    if let Some(answer) = fixtures.answers.iter().find(|answer| descriptor.endpoint(&answer.endpoint).is_none()) {
        return Err(invalid(
            format!("The fixtures have an answer of the endpoint {}, which is not in the table.", answer.endpoint),
            "Correct its id.",
        ));
    }
    Ok(())
}

/// Puts it together. Everything that is not said is invented.
pub(super) fn prepare(descriptor: &Descriptor, fixtures: &Fixtures) -> Result<Prepared> {
    let settings = settings(descriptor, fixtures)?;
    let mut checked = Settings::default();
    for (name, value) in &settings {
        let Some(setting) = descriptor.setting(name) else { continue };
        checked.insert(setting, &Secret::new(value.clone())).map_err(|reason| {
            invalid(
                format!("The check needs a value for the setting {name}, and \"{value}\" {reason}."),
                "Give it a value under \"settings\" in the fixtures.",
            )
        })?;
    }
    let places = places(descriptor, &checked);
    let mut told = fixtures.clone();
    for issuer in &descriptor.issuers {
        for (claim, _) in issuer.split("{claim.").skip(1).filter_map(|rest| rest.split_once('}')) {
            told.claims.entry(claim).or_insert_with(|| SOME_GUID.into());
        }
    }
    let claim = |name: &str| told.claims.get(name).and_then(|claim| claim.as_str()).unwrap_or(SOME_GUID).to_owned();
    let filled = Filled { descriptor, settings: &checked };
    let issuer = descriptor.issuers.first().and_then(|issuer| fill_issuer(issuer, &filled, &claim));
    let scopes =
        fixtures.scopes.clone().unwrap_or_else(|| if descriptor.openid { vec!["openid".to_owned()] } else { Vec::new() });
    let script = Script {
        places,
        issuer,
        client_id: settings.get("client_id").cloned().unwrap_or_default(),
        client_secret: settings.get("client_secret").cloned().map(Secret::new),
        refreshes: descriptor.grants.iter().any(|grant| grant == "refresh_token"),
        openid: descriptor.openid,
        fixtures: told,
    };
    Ok(Prepared { script, settings, scopes })
}

/// Those that a login needs, and the client's secret; others keep their defaults.
fn settings(descriptor: &Descriptor, fixtures: &Fixtures) -> Result<BTreeMap<String, String>> {
    let one_of: &[String] = descriptor.requires_one_of.first().map_or(&[], Vec::as_slice);
    let mut chosen = BTreeMap::new();
    for setting in &descriptor.settings {
        let value = match fixtures.settings.get(&setting.name) {
            Some(Some(value)) => Some(value.clone()),
            Some(None) => None,
            None => {
                let needed = setting.required && setting.default.is_none()
                    || one_of.contains(&setting.name)
                    || setting.kind.is_secret()
                    || setting.kind == SettingKind::ClientId;
                needed.then(|| invented(descriptor, setting))
            }
        };
        if let Some(value) = value {
            chosen.insert(setting.name.clone(), value);
        }
    }
    if descriptor.can_log_in() && !chosen.contains_key("client_id") {
        return Err(invalid(
            "The descriptor has no setting client_id, or the fixtures unset it.".to_owned(),
            "Declare the setting client_id of the kind client-id.",
        ));
    }
    Ok(chosen)
}

fn invented(descriptor: &Descriptor, setting: &Setting) -> String {
    let name = &descriptor.name;
    match setting.kind {
        SettingKind::ClientId => "rehearsal-client".to_owned(),
        SettingKind::ClientSecret => "rehearsal-client-secret".to_owned(),
        SettingKind::Key => "rehearsal-key-of-the-client".to_owned(),
        SettingKind::Host => format!("{name}.example"),
        SettingKind::Segment => "rehearsal".to_owned(),
        SettingKind::Url if setting.name == "issuer" => format!("https://{name}.example"),
        SettingKind::Url => format!("https://{name}.example/rehearsal/{}", setting.name),
        SettingKind::Choice => setting.choices.first().cloned().unwrap_or_default(),
        SettingKind::Text => "rehearsal".to_owned(),
    }
}

/// Every endpoint that these settings lead to.
fn places(descriptor: &Descriptor, settings: &Settings) -> Vec<Place> {
    let filled = Filled { descriptor, settings };
    let fixed = |endpoint: &Endpoint| Template::parse(&endpoint.url).ok()?.fill(&filled).ok();
    // what discovery gives lies beside the first document that these settings lead to
    let document = descriptor.endpoints.iter().filter(|endpoint| endpoint.role == Role::Metadata).find_map(fixed);
    let origin =
        document.map_or_else(|| format!("https://{}.example", descriptor.name), |url| url.origin().ascii_serialization());
    let discovered = |endpoint: &Endpoint| {
        let name = Template::parse(&endpoint.url).ok()?.resolved_name()?.to_owned();
        Url::parse(&format!("{origin}/rehearsal/{name}")).ok()
    };
    let place = |endpoint: &Endpoint| {
        let url = fixed(endpoint).or_else(|| discovered(endpoint))?;
        Some(Place { endpoint: endpoint.id.clone(), role: endpoint.role, method: endpoint.method.clone(), url })
    };
    descriptor.endpoints.iter().filter_map(place).collect()
}

/// An issuer of the table under these settings. `None` where only a metadata document tells.
fn fill_issuer(issuer: &str, filled: &Filled<'_>, claim: &dyn Fn(&str) -> String) -> Option<String> {
    let Ok(template) = Template::parse(issuer) else { return Some(issuer.to_owned()) };
    let mut text = template.fill_text(filled).ok()?;
    while let Some((before, rest)) = text.split_once("{claim.") {
        let (name, after) = rest.split_once('}')?;
        text = format!("{before}{}{after}", claim(name));
    }
    Some(text)
}

/// The settings of a rehearsal, with the defaults of those that are not set.
struct Filled<'a> {
    descriptor: &'a Descriptor,
    settings: &'a Settings,
}

impl Values for Filled<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        let default = || self.descriptor.setting(name).and_then(|setting| setting.default.as_deref());
        self.settings.plain(name).or_else(default)
    }

    fn resolved(&self, name: &str) -> Option<&str> {
        self.settings.plain(name)
    }

    fn argument(&self, _: &str) -> Option<&str> {
        Some(ARGUMENT)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(more: &Value) -> Descriptor {
        let mut document = json!({
            "name": "acme", "title": "Acme", "version": "1", "ttl": { "default": 1, "maximum": 1 },
            "settings": [
                { "name": "client_id", "kind": "client-id", "required": true, "about": "x" },
                { "name": "client_secret", "kind": "client-secret", "about": "x" },
                { "name": "host", "kind": "host", "default": "acme.test", "about": "x" },
                { "name": "realm", "kind": "segment", "required": true, "about": "x" },
                { "name": "extra", "kind": "text", "about": "x" }
            ],
            "endpoints": [
                { "id": "authorize", "role": "authorization", "url": "https://{host}/{realm}/authorize" },
                { "id": "token", "role": "token", "method": "POST", "url": "https://{host}/{realm}/token" },
                { "id": "app", "role": "revocation", "method": "DELETE", "url": "https://api.acme.test/apps/{argument.app}" }
            ],
            "grants": ["authorization_code"]
        });
        document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Descriptor::parse(&document.to_string()).unwrap()
    }

    fn urls(prepared: &Prepared) -> Vec<&str> {
        prepared.script.places.iter().map(|place| place.url.as_str()).collect()
    }

    #[test]
    fn what_a_login_needs_is_invented_and_the_rest_keeps_its_default() {
        let prepared = prepare(&descriptor(&json!({})), &Fixtures::default()).unwrap();
        let names: Vec<&str> = prepared.settings.keys().map(String::as_str).collect();
        assert_eq!(names, ["client_id", "client_secret", "realm"]);
        assert_eq!(
            urls(&prepared),
            [
                "https://acme.test/rehearsal/authorize",
                "https://acme.test/rehearsal/token",
                "https://api.acme.test/apps/0argument0"
            ]
        );
        assert!(prepared.scopes.is_empty());
    }

    #[test]
    fn the_authors_word_comes_first() {
        let fixtures =
            Fixtures::parse(r#"{ "settings": { "realm": "main", "client_secret": null }, "scopes": ["read"] }"#).unwrap();
        let prepared = prepare(&descriptor(&json!({})), &fixtures).unwrap();
        assert_eq!(prepared.script.places[1].url.path(), "/main/token");
        assert!(prepared.script.client_secret.is_none());
        assert_eq!(prepared.scopes, ["read"]);
        for wrong in [r#"{ "settings": { "relm": "x" } }"#, r#"{ "answers": [{ "endpoint": "tokens" }] }"#] {
            assert!(check_fixtures(&descriptor(&json!({})), &Fixtures::parse(wrong).unwrap()).is_err(), "{wrong}");
        }
        let slash = Fixtures::parse(r#"{ "settings": { "realm": "a/b" } }"#).unwrap();
        assert!(prepare(&descriptor(&json!({})), &slash).unwrap_err().message().contains("realm"));
    }

    #[test]
    fn what_discovery_gives_lies_beside_the_document() {
        let more = json!({
            "endpoints": [
                { "id": "authorize", "role": "authorization", "url": "{resolved.authorization_endpoint}" },
                { "id": "token", "role": "token", "method": "POST", "url": "{resolved.token_endpoint}" },
                { "id": "keys", "role": "jwks", "url": "{resolved.jwks_uri}" },
                { "id": "document", "role": "metadata", "url": "https://{host}/.well-known/openid-configuration" }
            ],
            "issuers": ["{resolved.issuer}"], "openid": true
        });
        let prepared = prepare(&descriptor(&more), &Fixtures::default()).unwrap();
        assert_eq!(urls(&prepared)[1], "https://acme.test/rehearsal/token_endpoint");
        assert_eq!(prepared.scopes, ["openid"]);
        assert_eq!(prepared.script.issuer, None);
    }

    #[test]
    fn an_issuer_that_only_the_token_tells_is_made_of_a_claim() {
        let more = json!({ "issuers": ["https://{host}/{claim.tid}/v2"] });
        let prepared = prepare(&descriptor(&more), &Fixtures::default()).unwrap();
        assert_eq!(prepared.script.issuer.as_deref(), Some(format!("https://acme.test/{SOME_GUID}/v2").as_str()));
        assert_eq!(prepared.script.fixtures.claims["tid"], SOME_GUID);
    }
}
