//! What a component says of itself: the table that the operator reads.
//!
//! These types are the published JSON format (`wit/descriptor.schema.json` is made from them). A descriptor is checked
//! once, when it is read; whoever holds a [`Descriptor`] holds one whose templates, slots and names make sense.

mod check;
pub mod settings;
pub mod template;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use check::{is_host, sounds_secret};

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
    /// The parameter of the authorization request that names the account when a person signs in again: `login_hint`
    /// (OpenID Connect Core 1.0 section 3.1.2.1) or `login`. Others are not sent. Not set: none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login_hint: Option<String>,
    /// Whether other ports than the registered one will do for a loopback callback (RFC 8252 section 7.3).
    #[serde(default)]
    pub loopback: Loopback,
    /// Lifetimes of references and of tokens signed by the broker.
    pub ttl: Ttl,
    /// Where this provider's tokens may be spent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spend: Vec<Destination>,
    /// Hosts where git signs in with this provider's tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub git: Vec<GitHost>,
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

/// An endpoint in its descriptor, which is shared. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Listed {
    descriptor: Arc<Descriptor>,
    place: usize,
}

impl Deref for Listed {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.descriptor.endpoints[self.place]
    }
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
    /// Scopes that the provider may leave out of its answer although it granted them, or name there unasked.
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
    /// business at the public one. The empty text stands for a setting that is not set.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, String>,
    /// Path prefixes, at segment borders. Empty: any path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<String>,
    /// Path prefixes below it that hand out credentials, and are refused, also where the operator lists the host for
    /// another secret. `*` stands for any part of a segment, `**`, once, for any number of segments; `/` closes the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
}

/// A host where git signs in with a token as the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitHost {
    /// A host name (or `{SETTING}` of the kind `host`), exactly: no wildcards.
    pub host: String,
    /// The user name that goes with the token; not given: `x-access-token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
}

/// The largest descriptor, in bytes.
pub const MAX_BYTES: usize = 64 * 1024;
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
        // The operator reads this on a terminal, to decide whether to trust it.
        let deceptive = serde_json::to_value(&descriptor).is_ok_and(|document| holds_deceptive_text(&document));
        if deceptive {
            return Err("the descriptor has control or direction-changing characters in a text".to_owned());
        }
        descriptor.check()?;
        Ok(descriptor)
    }

    /// The endpoint of that id.
    #[must_use]
    pub fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|endpoint| endpoint.id == id)
    }

    /// The same for who keeps it.
    #[must_use]
    pub fn listed(self: &Arc<Self>, id: &str) -> Option<Listed> {
        let place = self.endpoints.iter().position(|endpoint| endpoint.id == id)?;
        Some(Listed { descriptor: Arc::clone(self), place })
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
        self.can("authorization_code")
    }

    /// Whether a person can sign in with a code that they type in elsewhere (RFC 8628).
    #[must_use]
    pub fn can_use_device(&self) -> bool {
        self.can("device_code")
    }

    /// Whether there is somewhere to end a login, as far as the table says.
    #[must_use]
    pub fn can_revoke(&self) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.role == Role::Revocation)
    }

    fn can(&self, grant: &str) -> bool {
        self.grants.iter().any(|known| known == grant)
    }
}

fn holds_deceptive_text(value: &serde_json::Value) -> bool {
    use serde_json::Value;
    let bad = |text: &str| text.chars().any(crate::error::is_deceptive);
    match value {
        Value::String(text) => bad(text),
        Value::Array(items) => items.iter().any(holds_deceptive_text),
        Value::Object(members) => members.iter().any(|(name, member)| bad(name) || holds_deceptive_text(member)),
        _ => false,
    }
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
