//! Whether a descriptor makes sense: templates, slots, names and lifetimes, before anybody relies on them.

use std::collections::BTreeSet;

use super::template::{Template, Use};
use super::{Descriptor, Endpoint, Role, Setting, SettingKind};
use crate::secret::Kind;

/// Headers that the broker itself is responsible for, whatever a table says.
const FORBIDDEN_HEADERS: &[&str] = &[
    "authorization",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// The largest number of entries in any list of a descriptor.
const MAX_ENTRIES: usize = 64;
/// The longest lifetime that a descriptor may allow: 30 days.
const MAX_TTL_SECONDS: u64 = 30 * 24 * 3600;

/// Members of answers whose name says what they are.
const TOKENS: [(&str, Kind); 4] = [
    ("access_token", Kind::Access),
    ("refresh_token", Kind::Refresh),
    ("id_token", Kind::IdToken),
    ("device_code", Kind::DeviceCode),
];

impl Descriptor {
    /// Checks everything that the types leave open.
    pub(super) fn check(&self) -> Result<(), String> {
        for name in std::iter::once(&self.name).chain(&self.aliases) {
            if !is_provider_name(name) {
                return Err(format!(
                    "\"{}\" is no provider name: use 1 to 32 lower-case letters, digits and hyphens",
                    name.escape_debug()
                ));
            }
        }
        bounded("title", &self.title, 64)?;
        bounded("version", &self.version, 32)?;
        if self.documentation.as_ref().is_some_and(|address| address.len() > 300 || !address.starts_with("https://")) {
            return Err("documentation must be an https:// address of at most 300 characters".to_owned());
        }
        if [
            self.settings.len(),
            self.endpoints.len(),
            self.issuers.len(),
            self.spend.len(),
            self.git.len(),
            self.aliases.len(),
            self.token_prefixes.len(),
            self.grants.len(),
        ]
        .into_iter()
        .any(|len| len > MAX_ENTRIES)
        {
            return Err(format!("a list of the descriptor has more than {MAX_ENTRIES} entries"));
        }
        unique("setting", self.settings.iter().map(|setting| setting.name.as_str()))?;
        unique("endpoint", self.endpoints.iter().map(|endpoint| endpoint.id.as_str()))?;
        for setting in &self.settings {
            setting.check()?;
        }
        for set in &self.requires_one_of {
            if let Some(unknown) = set.iter().find(|name| self.setting(name).is_none()) {
                return Err(format!("requires_one_of names the setting {unknown}, which is not declared"));
            }
        }
        for endpoint in &self.endpoints {
            self.check_endpoint(endpoint)?;
        }
        for role in [Role::Authorization, Role::Jwks] {
            if self.endpoints.iter().filter(|endpoint| endpoint.role == role).count() > 1 {
                return Err(format!("there is more than one endpoint of the role {role:?}"));
            }
        }
        if self.can_log_in() && (self.role(Role::Authorization).is_none() || self.role(Role::Token).is_none()) {
            return Err(
                "the grant authorization_code needs an endpoint of the role authorization and one of the role token".to_owned()
            );
        }
        if self.can_use_device() && (self.role(Role::Device).is_none() || self.role(Role::Token).is_none()) {
            return Err("the grant device_code needs an endpoint of the role device and one of the role token".to_owned());
        }
        if self.login_hint.as_ref().is_some_and(|name| !is_word(name)) {
            return Err("login_hint is the name of a parameter: login_hint or login".to_owned());
        }
        if self.openid && (self.role(Role::Jwks).is_none() || self.issuers.is_empty()) {
            return Err("openid needs an endpoint of the role jwks, and issuers".to_owned());
        }
        for issuer in &self.issuers {
            // Google's id_tokens may leave the scheme out: a bare host is a literal, not an address.
            if !is_bare_host(issuer) {
                self.check_template(issuer)?;
            }
        }
        if self.ttl.default == 0 || self.ttl.default > self.ttl.maximum || self.ttl.maximum > MAX_TTL_SECONDS {
            return Err(format!("ttl must have 1 <= default <= maximum <= {MAX_TTL_SECONDS} seconds"));
        }
        if let Some(short) = self.token_prefixes.iter().find(|prefix| prefix.len() < 4 || prefix.len() > 32 || !prefix.is_ascii())
        {
            return Err(format!("the token prefix \"{}\" must have 4 to 32 ASCII characters", short.escape_debug()));
        }
        if let Some(place) = self.git.iter().find(|place| !self.is_host_or_setting(&place.host)) {
            return Err(format!(
                "the git host \"{}\" is neither a host name nor a setting of the kind host",
                place.host.escape_debug()
            ));
        }
        if self.git.iter().filter_map(|place| place.username.as_ref()).any(|name| name.is_empty() || name.len() > 64) {
            return Err("a git host's username must have 1 to 64 characters".to_owned());
        }
        for destination in &self.spend {
            if !self.is_host_or_setting(&destination.host) {
                return Err(format!(
                    "the spending host \"{}\" is neither a host name nor a setting of the kind host",
                    destination.host.escape_debug()
                ));
            }
            if let Some(name) = destination.when.keys().find(|name| self.setting(name).is_none_or(|known| known.kind.is_secret()))
            {
                return Err(format!("the spending host {} depends on {name}, which is no readable setting", destination.host));
            }
            if destination.paths.iter().chain(&destination.except).any(|path| !path.starts_with('/')) {
                return Err(format!("a path of the spending host {} does not begin with /", destination.host));
            }
            let wild = |path: &String| path.contains('*');
            let odd = |path: &String| {
                path.matches("**").count() > 1 || path.split('/').any(|part| part != "**" && part.matches('*').count() > 1)
            };
            if destination.paths.iter().any(wild) || destination.except.iter().any(odd) {
                return Err(format!(
                    "a path of the spending host {} has a * where none can be, or more than one in a segment",
                    destination.host
                ));
            }
        }
        Ok(())
    }

    fn is_host_or_setting(&self, text: &str) -> bool {
        let setting = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).and_then(|name| self.setting(name));
        is_host(text) || setting.is_some_and(|setting| matches!(setting.kind, SettingKind::Host))
    }

    fn check_endpoint(&self, endpoint: &Endpoint) -> Result<(), String> {
        let id = &endpoint.id;
        if !is_word(id) {
            return Err(format!("\"{}\" is no endpoint id: use lower-case letters, digits, - and _", id.escape_debug()));
        }
        if !matches!(endpoint.method.as_str(), "GET" | "POST" | "DELETE" | "PUT") {
            return Err(format!(
                "the endpoint {id} has the method {}; GET, POST, PUT and DELETE are possible",
                endpoint.method.escape_debug()
            ));
        }
        self.check_template(&endpoint.url).map_err(|error| format!("endpoint {id}: {error}"))?;
        if matches!(endpoint.role, Role::Metadata | Role::Jwks | Role::Authorization) && !endpoint.slots.is_empty() {
            return Err(format!(
                "the endpoint {id} has the role {:?}, to which no secret can be sent, but has slots",
                endpoint.role
            ));
        }
        for (slot, kinds) in &endpoint.slots {
            check_slot(slot).map_err(|error| format!("endpoint {id}: {error}"))?;
            if let Some(unknown) = kinds.iter().find(|kind| Kind::parse(kind).is_none()) {
                return Err(format!("the slot {slot} of {id} is for the unknown kind \"{}\"", unknown.escape_debug()));
            }
        }
        for header in endpoint.headers.iter().chain(&endpoint.readable_headers) {
            check_header(header).map_err(|error| format!("endpoint {id}: {error}"))?;
        }
        if endpoint.readable_headers.iter().any(|header| header == "set-cookie" || header == "location") {
            return Err(format!("the endpoint {id} wants to read a header that may carry a secret"));
        }
        for pointer in endpoint.readable.iter().chain(endpoint.secrets.keys()) {
            if !pointer.starts_with('/') {
                return Err(format!("\"{}\" of endpoint {id} is no JSON Pointer", pointer.escape_debug()));
            }
        }
        let token =
            |pointer: &str| TOKENS.iter().find(|(name, _)| pointer.rsplit('/').next() == Some(name)).map(|(_, kind)| *kind);
        if let Some(pointer) =
            endpoint.readable.iter().find(|pointer| token(pointer).is_some() || endpoint.secrets.contains_key(*pointer))
        {
            return Err(format!("the endpoint {id} wants to read {pointer}, which is a secret"));
        }
        // a refresh token that is called an access token would be handed to the agent
        let relabelled = |(pointer, kind): &(&String, &String)| token(pointer).is_some_and(|own| Kind::parse(kind) != Some(own));
        if let Some((pointer, kind)) = endpoint.secrets.iter().find(relabelled) {
            return Err(format!(
                "the endpoint {id} calls {pointer} a secret of the kind {}, which it is not",
                kind.escape_debug()
            ));
        }
        if let Some(unknown) = endpoint.secrets.values().find(|kind| Kind::parse(kind).is_none()) {
            return Err(format!("endpoint {id} names the unknown kind \"{}\"", unknown.escape_debug()));
        }
        Ok(())
    }

    fn check_template(&self, text: &str) -> Result<(), String> {
        let template = Template::parse(text)?;
        for (name, needed) in template.settings() {
            let kind = if name == "client_id" {
                SettingKind::Segment
            } else {
                self.setting(name)
                    .ok_or_else(|| format!("the template {text} needs the setting {name}, which is not declared"))?
                    .kind
            };
            let fits = match needed {
                Use::Host => kind == SettingKind::Host,
                Use::Url => kind == SettingKind::Url,
                Use::Segment => matches!(kind, SettingKind::Segment | SettingKind::Host | SettingKind::Choice),
            };
            if !fits {
                return Err(format!("in the template {text} the setting {name} stands where one of the kind {needed:?} must"));
            }
        }
        Ok(())
    }
}

impl Setting {
    fn check(&self) -> Result<(), String> {
        let name = &self.name;
        if !is_word(name) || name.contains('-') {
            return Err(format!("\"{}\" is no setting name: use snake_case", name.escape_debug()));
        }
        bounded("about", &self.about, 300)?;
        let fixed = match self.kind {
            SettingKind::ClientId => name == "client_id",
            SettingKind::ClientSecret => name == "client_secret",
            _ => name != "client_id" && name != "client_secret",
        };
        if !fixed {
            return Err(format!(
                "the setting {name} has the kind {:?}; client_id and client_secret are the names of those kinds, and of no others",
                self.kind
            ));
        }
        if !self.kind.is_secret() && sounds_secret(name) {
            return Err(format!("the setting {name} sounds like a secret, but is of a readable kind"));
        }
        if self.kind.is_secret() && self.default.is_some() {
            return Err(format!("the secret setting {name} has a default"));
        }
        for variable in &self.env {
            if variable.is_empty() || !variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
                return Err(format!("\"{}\" is no environment variable for the setting {name}", variable.escape_debug()));
            }
            // a mistake (or a trick) in the kind must not make a secret readable
            if !self.kind.is_secret() && sounds_secret(variable) {
                return Err(format!("{variable} sounds like a secret, but the setting {name} is of a readable kind"));
            }
        }
        let default_allowed = self.default.as_ref().is_none_or(|default| self.choices.contains(default));
        if self.kind == SettingKind::Choice && (self.choices.is_empty() || !default_allowed) {
            return Err(format!("the setting {name} is a choice without choices, or with a default that is none of them"));
        }
        Ok(())
    }
}

fn check_slot(slot: &str) -> Result<(), String> {
    let known = match slot.split_once('.') {
        Some(("form", name)) => !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_graphic()),
        Some(("json", pointer)) => pointer.starts_with('/') && pointer.len() <= 128,
        Some(("header", name)) => return check_header(name),
        Some(("authorization", scheme)) => matches!(scheme, "basic" | "basic-raw" | "post" | "bearer"),
        _ => false,
    };
    if known {
        Ok(())
    } else {
        Err(format!("\"{}\" is no slot: use form.NAME, header.NAME, json.POINTER or authorization.SCHEME", slot.escape_debug()))
    }
}

fn check_header(name: &str) -> Result<(), String> {
    let good =
        !name.is_empty() && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !good {
        return Err(format!("\"{}\" is no header name in lower case", name.escape_debug()));
    }
    if FORBIDDEN_HEADERS.contains(&name) || name.starts_with("proxy-") || name.starts_with("sec-") {
        return Err(format!("the header {name} is the broker's own"));
    }
    Ok(())
}

/// Whether the name of a setting or of an environment variable says that it holds a secret.
#[must_use]
pub fn sounds_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    ["SECRET", "KEY", "TOKEN", "PASSWORD"].iter().any(|end| name.ends_with(end))
}

/// Whether the text can name a provider.
#[must_use]
fn is_provider_name(name: &str) -> bool {
    name.len() <= 32
        && name.bytes().next().is_some_and(|b| b.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= 48
        && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn is_bare_host(text: &str) -> bool {
    !text.contains(['/', '{']) && is_host(text)
}

/// Whether the text is a DNS name in lower case, with a port at most.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let (name, port) = text.split_once(':').map_or((text, None), |(name, port)| (name, Some(port)));
    let labels_good = !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        });
    labels_good && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0))
}

fn bounded(what: &str, text: &str, most: usize) -> Result<(), String> {
    let good = !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control);
    if good { Ok(()) } else { Err(format!("{what} must be one line of 1 to {most} characters")) }
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("the {what} {name} is declared twice"));
        }
    }
    Ok(())
}
