//! What the operator says of the doors through which other processes get a secret: `exec`, `wrap`, `git-credential`,
//! `token-command`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::secret::SecretName;

/// `[exec]`, `[wrap]`, `[git]` and `[token_command]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Doors {
    /// `[exec."NAME"]`: programs that may be started with secrets.
    pub exec: BTreeMap<String, Exec>,
    /// `[wrap."NAME"]`: MCP servers that may get secrets in tool arguments.
    pub wrap: BTreeMap<String, Wrap>,
    /// `[git]`: hosts, in lower case and with their port where it is not 443, and what git signs in there with.
    pub git: BTreeMap<String, Git>,
    /// `[token_command] secrets`: what `token-command` may print.
    pub token_command: Vec<SecretName>,
}

/// A program, and how its command line must begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Where it is: absolute.
    pub path: PathBuf,
    /// The first arguments, for programs such as `node` that run whatever they are told.
    pub arguments: Vec<String>,
}

/// `[exec."NAME"]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// Which program.
    pub program: Program,
    /// Which secrets it may be given.
    pub secrets: Vec<SecretName>,
    /// The one file in which they may be kept while it runs: absolute.
    pub refresh_file: Option<PathBuf>,
}

/// `[wrap."NAME"]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wrap {
    /// The server's program; where it is set, the rules hold for no other.
    pub program: Option<Program>,
    /// Which secret may stand where.
    pub allow: Vec<Place>,
}

/// One place for one secret in the arguments of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The tool's name, or `*` for any.
    pub tool: String,
    /// The steps of the JSON Pointer (RFC 6901) into the arguments; never empty.
    pub argument: Vec<Step>,
    /// The secret.
    pub secret: SecretName,
    /// What stands before it in the same text, such as `Bearer `.
    pub prefix: String,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To a member.
    Member(String),
    /// To an element.
    Element(usize),
}

impl Step {
    /// A step of a JSON Pointer, unescaped. A number is an element and never a member of that name: RFC 6901 leaves that
    /// to the document, and so to the agent.
    #[must_use]
    pub fn of_pointer(text: String) -> Self {
        let is_index = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
        text.parse().ok().filter(|_| is_index).map_or(Self::Member(text), Self::Element)
    }

    /// As it stands in a JSON Pointer.
    #[must_use]
    pub fn in_pointer(&self) -> String {
        match self {
            Self::Member(name) => name.replace('~', "~0").replace('/', "~1"),
            Self::Element(index) => index.to_string(),
        }
    }

    /// Whether a JSON Pointer can say it.
    #[must_use]
    pub fn has_pointer(&self) -> bool {
        match self {
            Self::Member(name) => Self::of_pointer(name.clone()) == *self,
            Self::Element(_) => true,
        }
    }
}

/// What git signs in to a host with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// The secret that is the password.
    pub secret: SecretName,
    /// The user name beside it; none: what the provider's descriptor says, else `x-access-token`.
    pub username: Option<String>,
}
