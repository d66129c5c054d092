//! The operator's file, `broker.toml`: every key optional.
//!
//! Authority comes from here and from the environment alone. No tool call can widen what this says. An unknown key is
//! an error with a suggestion, because a misspelt limit that is silently ignored is no limit.

pub mod doors;
mod folders;
mod load;
mod parse;
mod reader;
pub mod secrets;
pub mod source;
mod suggest;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

pub use doors::Doors;
pub use folders::folders;
pub use load::{ENV_FILE, default_file, file, load, others_can_read, place};
pub use secrets::{Permission, SecretRule};
pub use suggest::suggest;

use crate::secret::SecretName;

/// All of the operator's file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Config {
    /// Whether a login opens the browser.
    pub browser: Browser,
    /// Folders of provider components. Naming one here is the operator's approval of what lies in it.
    pub plugins: Vec<PathBuf>,
    /// Whether components that are in no lock are refused, wherever they lie.
    pub require_lock: bool,
    /// Where the browser comes back to.
    pub callback: Callback,
    /// Caps.
    pub policy: Policy,
    /// What the one door out lets through.
    pub egress: Egress,
    /// `[vault]`.
    pub vault: Vault,
    /// `[secrets."NAME"]`.
    pub secrets: BTreeMap<SecretName, SecretRule>,
    /// `[providers.NAME]`.
    pub providers: BTreeMap<String, Provider>,
    /// `[exec]`, `[wrap]`, `[git]` and `[token_command]`.
    pub doors: Doors,
}

/// Whether a login opens the browser.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Browser {
    /// The person's own browser is opened.
    #[default]
    Open,
    /// The URL is only told.
    None,
}

/// `[callback]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The redirect URI that OAuth clients are registered with: `http`, a loopback host, a port, a path.
    pub url: Url,
}

impl Default for Callback {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "a constant that a test parses")]
        Self { url: Url::parse(DEFAULT_CALLBACK).expect("the default callback is a URL") }
    }
}

/// The predecessor's redirect URI: existing registrations keep working.
pub const DEFAULT_CALLBACK: &str = "http://localhost:9876/oauth/callback";

/// `[policy]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Narrows every provider's own cap on lifetimes.
    pub max_ttl_seconds: Option<u64>,
    /// Whether values may be shown to agents.
    pub reveal: Permission,
    /// Whether agents may store values.
    pub store_secret: Permission,
}

/// `[egress]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// A PEM file of certificate authorities to trust besides the platform's.
    pub extra_roots: Option<PathBuf>,
    /// `"host:port" = "address:port"`: where a name is to be found, whatever DNS says. A loopback address is permitted
    /// for that name thereby.
    pub resolve: BTreeMap<String, SocketAddr>,
    /// Loopback addresses that may be connected to, plain http included.
    pub allow_loopback: Vec<SocketAddr>,
    /// Private networks that may be connected to, as `10.1.2.0/24`.
    pub allow_private: Vec<String>,
    /// An http proxy for everything that is not loopback. The environment's proxy variables are never read.
    pub proxy: Option<Url>,
}

/// `[vault]`: which vault, and what opens it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vault {
    /// Its file. Not set: the platform's own place, if there is one.
    pub path: Option<PathBuf>,
    /// The file with its key.
    pub key_file: Option<PathBuf>,
    /// A command that prints its passphrase. Not run through a shell.
    pub key_command: Option<Vec<String>>,
}

/// `[providers.NAME]`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Provider {
    /// The most an agent may ask for. Not set: any scope.
    pub scopes: Option<Vec<String>>,
    /// Whether the OAuth client's registration takes any loopback port.
    pub loopback_port: LoopbackPort,
    /// How a person signs in where nobody asks for another way.
    pub login: LoginMode,
    /// A component of a team's own, for a name that is not embedded.
    pub component: Option<PathBuf>,
    /// Names and aliases of other providers that this component takes.
    pub replaces: Vec<String>,
    /// What one call of its component may use up, where that is not what holds for all.
    pub limits: Limits,
    /// Everything else: the provider's settings, by the names its descriptor gives them.
    pub settings: BTreeMap<String, Source>,
}

/// `[providers.NAME.limits]`: what one call of a component may use up. Not set: what holds for all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its instances, in MiB.
    pub memory_mib: Option<u64>,
    /// The whole call, in seconds, waiting included.
    pub deadline_seconds: Option<u64>,
    /// Computing alone, in seconds.
    pub computing_seconds: Option<u64>,
    /// Requests sent.
    pub requests: Option<u64>,
    /// Calls of the host's functions.
    pub host_calls: Option<u64>,
    /// The largest answer of an endpoint, in KiB.
    pub answer_kib: Option<u64>,
    /// Lines logged.
    pub log_lines: Option<u64>,
    /// Elements of all its tables.
    pub table_elements: Option<u64>,
    /// Instances, and memories, and tables.
    pub instances: Option<u64>,
}

/// Which port a callback may use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoopbackPort {
    /// The configured one, or the login fails.
    #[default]
    Exact,
    /// Another one where the configured one is taken.
    Any,
}

/// How a person signs in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LoginMode {
    /// In a browser that comes back to this machine.
    #[default]
    Browser,
    /// Anywhere, by entering a code (RFC 8628).
    Device,
}

/// Where a setting's value comes from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// Written into the file.
    Text(String),
    /// From somewhere else.
    Elsewhere(Elsewhere),
}

/// A place other than the file for a setting's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// An environment variable.
    Env(String),
    /// A file's content, without the final line break.
    File(PathBuf),
    /// What a command prints, without the final line break. Not run through a shell.
    Command(Vec<String>),
    /// A secret in the vault.
    Secret(String),
}

/// Not derived: a client secret may be written into the file.
impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(_) => f.write_str("[text]"),
            Self::Elsewhere(place) => place.fmt(f),
        }
    }
}
