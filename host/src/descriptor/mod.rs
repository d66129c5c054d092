//! What a component says of itself: the table that the operator reads.
//!
//! These types are the published JSON format (`wit/descriptor.schema.json` is made from them). A descriptor is checked
//! once, when it is read; whoever holds a [`Descriptor`] holds one whose templates, slots and names make sense.

pub mod settings;
pub mod template;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::secret::Kind;
use template::{Template, Use};

/// A provider's descriptor, as `describe` returns it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Descriptor {
    /// The provider's name: 1 to 32 lower-case letters, digits and hyphens, beginning with a letter.
    pub name: String,
    /// The name for people, such as "GitHub".
    pub title: String,
    /// Other names that mean this provider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The component's own version.
    pub version: String,
    /// Where a person registers an OAuth client with this provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documentation: Option<String>,
    /// What the operator can or must set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<Setting>,
    /// Sets of settings of which one must be complete, beyond those that are required anyway. Empty: nothing more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_one_of: Vec<Vec<String>>,
    /// Every endpoint the component can reach.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub endpoints: Vec<Endpoint>,
    /// Issuers that may stand in a callback's `iss` (RFC 9207) and in an id_token: URL templates. The first is the one
    /// that is shown. `{claim.NAME}` stands for a GUID in that claim of the id_token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<String>,
    /// Whether the provider issues id_tokens when the scope `openid` is asked for. Needs an endpoint of the role `jwks`.
    #[serde(default)]
    pub openid: bool,
    /// What holds for scopes.
    #[serde(default)]
    pub scopes: Scopes,
    /// Grants that the component can do: `authorization_code`, `refresh_token`, `device_code`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<String>,
    /// Whether other ports than the registered one will do for a loopback callback (RFC 8252 section 7.3).
    #[serde(default)]
    pub loopback: Loopback,
    /// Lifetimes of references and of tokens signed by the broker.
    pub ttl: Ttl,
    /// Where this provider's tokens may be spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spend: Vec<Destination>,
    /// Literal prefixes of this provider's tokens, 4 characters or more, for redaction in its own traffic.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub token_prefixes: Vec<String>,
}

/// A setting of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// Its name in `[providers.NAME]` of the operator's file and in the contract, in snake_case.
    pub name: String,
    /// Environment variables it may come from, first found first. A drop-in's must begin with its own name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// What it is.
    pub kind: SettingKind,
    /// Whether a login is impossible without it.
    #[serde(default)]
    pub required: bool,
    /// What holds where nothing is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The values allowed for the kind `choice`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
    /// One sentence for the operator.
    pub about: String,
}

/// What a setting is; the broker checks the operator's value accordingly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SettingKind {
    /// The OAuth client identifier; the setting's name is `client_id`.
    ClientId,
    /// The OAuth client secret; the setting's name is `client_secret`. Never readable.
    ClientSecret,
    /// Another secret, such as a private key. Never readable.
    Key,
    /// A host name, with a port where it is not 443, without scheme or path.
    Host,
    /// One segment of a path: a tenant, a server's id.
    Segment,
    /// An https URL (http only to loopback addresses that the operator listed).
    Url,
    /// One of `choices`.
    Choice,
    /// Any text.
    Text,
}

impl SettingKind {
    /// Whether a value of this kind is handed to components as a handle only.
    #[must_use]
    pub const fn is_secret(self) -> bool {
        matches!(self, Self::ClientSecret | Self::Key)
    }
}

/// One endpoint of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Endpoint {
    /// Its name in requests.
    pub id: String,
    /// What it is for, which decides what may be read of its answers.
    pub role: Role,
    /// The HTTP method.
    #[serde(default = "get")]
    pub method: String,
    /// A URL template: literal text, `{SETTING}`, `{SETTING.origin}`, `{SETTING.path}`, `{argument.NAME}` and, alone,
    /// `{resolved.NAME}`.
    pub url: String,
    /// Which kinds of secret may go where. Places: `form.NAME`, `header.NAME`, `json.POINTER`,
    /// `authorization.basic`, `authorization.basic-raw`, `authorization.post`, `authorization.bearer`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slots: BTreeMap<String, Vec<String>>,
    /// Request headers that the component may set, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Answer headers that it may read, in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readable_headers: Vec<String>,
    /// Strings in the answer that it may read, by JSON Pointer, beyond those that RFC 6749, 7662 and 8628 make public.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readable: Vec<String>,
    /// Kinds of secrets in the answer, by JSON Pointer, where the member's name does not tell.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, String>,
}

fn get() -> String {
    "GET".to_owned()
}

/// What an endpoint is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The person's browser goes there; components cannot.
    Authorization,
    /// Issues tokens.
    Token,
    /// Issues device codes.
    Device,
    /// Issues tokens out of other tokens.
    Mint,
    /// Revokes tokens.
    Revocation,
    /// Says whose token it is.
    Account,
    /// Public documents; readable as a whole, and no secret can be sent there.
    Metadata,
    /// Public keys for id_tokens; the broker fetches them itself.
    Jwks,
}

/// What holds for scopes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Scopes {
    /// Scopes that the component may add to a request, such as `offline_access`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_add: Vec<String>,
    /// Scopes that the provider knows and may leave out of its answer although it granted them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_echoed: Vec<String>,
}

/// Whether the port of a loopback callback matters to the provider.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Loopback {
    /// Any port will do if the registration is for a native app.
    Any,
    /// The port must be the registered one.
    #[default]
    Exact,
}

/// Lifetimes in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Ttl {
    /// Where nobody asks for one.
    pub default: u64,
    /// The most anybody gets.
    pub maximum: u64,
}

/// A place where tokens may be spent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Destination {
    /// A host name (or `{SETTING}` of the kind `host`), exactly: no wildcards.
    pub host: String,
    /// Settings and the values they must have for this place to count: tokens of a self-hosted server have no
    /// business at the public one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, String>,
    /// Path prefixes, at segment borders. Empty: any path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Path prefixes below it that hand out credentials, and are refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

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
/// The largest descriptor, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
/// The longest lifetime that a descriptor may allow: 30 days.
const MAX_TTL_SECONDS: u64 = 30 * 24 * 3600;

impl Descriptor {
    /// Reads and checks a descriptor.
    ///
    /// # Errors
    /// A sentence for the component's author.
    pub fn parse(json: &str) -> Result<Self, String> {
        if json.len() > MAX_BYTES {
            return Err(format!("the descriptor is larger than {MAX_BYTES} bytes"));
        }
        let descriptor: Self = serde_json::from_str(json)
            .map_err(|error| format!("the descriptor is not as descriptor.schema.json says: {error}"))?;
        descriptor.check()?;
        Ok(descriptor)
    }

    /// The endpoint of that id.
    #[must_use]
    pub fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id)
    }

    /// The one endpoint of a role that has only one.
    #[must_use]
    pub fn role(&self, role: Role) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.role == role)
    }

    /// The setting of that name.
    #[must_use]
    pub fn setting(&self, name: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }

    /// Whether a person can sign in with this provider.
    #[must_use]
    pub fn can_log_in(&self) -> bool {
        self.grants.iter().any(|grant| grant == "authorization_code")
    }

    fn check(&self) -> Result<(), String> {
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
        if [
            self.settings.len(),
            self.endpoints.len(),
            self.issuers.len(),
            self.spend.len(),
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
        for destination in &self.spend {
            let literal = is_host(&destination.host);
            let setting =
                destination.host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).and_then(|name| self.setting(name));
            if !literal && !setting.is_some_and(|setting| matches!(setting.kind, SettingKind::Host)) {
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
        }
        Ok(())
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
        const TOKENS: [&str; 4] = ["access_token", "refresh_token", "id_token", "device_code"];
        let token = |pointer: &str| TOKENS.iter().any(|name| pointer.rsplit('/').next() == Some(name));
        if let Some(pointer) = endpoint.readable.iter().find(|pointer| token(pointer) || endpoint.secrets.contains_key(*pointer))
        {
            return Err(format!("the endpoint {id} wants to read {pointer}, which is a secret"));
        }
        if let Some(unknown) = endpoint.secrets.values().find(|kind| Kind::parse(kind).is_none()) {
            return Err(format!("endpoint {id} names the unknown kind \"{}\"", unknown.escape_debug()));
        }
        Ok(())
    }

    fn check_template(&self, text: &str) -> Result<(), String> {
        for (name, needed) in Template::parse(text)?.settings() {
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
        if self.kind.is_secret() && self.default.is_some() {
            return Err(format!("the secret setting {name} has a default"));
        }
        for variable in &self.env {
            if variable.is_empty() || !variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_') {
                return Err(format!("\"{}\" is no environment variable for the setting {name}", variable.escape_debug()));
            }
            // a mistake (or a trick) in the kind must not make a secret readable
            let secretive = ["SECRET", "KEY", "TOKEN", "PASSWORD"].iter().any(|end| variable.ends_with(end));
            if secretive && !self.kind.is_secret() {
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

/// Whether the text can name a provider.
#[must_use]
pub fn is_provider_name(name: &str) -> bool {
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

/// The JSON Schema of a descriptor, as published in `wit/descriptor.schema.json`.
#[must_use]
pub fn schema() -> String {
    let mut text = serde_json::to_string_pretty(&schemars::schema_for!(Descriptor)).unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests;
