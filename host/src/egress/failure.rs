//! Why a request did not get its answer, in two voices: a component is told one word, the operator the host, the reason
//! and the line that would allow it. Neither ever holds a path, a query, a header or a body: those carry secrets.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::address::Class;
use crate::error::{Code, Error, foreign};

/// Where a request goes, as far as a message may say: host and port.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// The host as it stands in the URL, in ASCII; IPv6 addresses in brackets.
    pub host: String,
    /// The port, the scheme's own where the URL names none.
    pub port: u16,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What the rule says no to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Neither https nor http, or no host.
    Scheme(String),
    /// Plain http to a place that is not a listed loopback address.
    PlainHttp(Target),
    /// The URL carries a user name or a password.
    UserInfo(Target),
    /// The host is written in a way that other programs read as another name (a final dot), or the port is 0.
    Form(Target),
    /// The URL's own address.
    Address(Target, IpAddr, Class),
    /// The name leads to such an address.
    Name(Target, IpAddr, Class),
    /// A header that the connection itself answers for.
    Header(Target, String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(scheme) => write!(f, "Only https URLs with a host are connected to, not {}.", foreign(scheme)),
            Self::PlainHttp(target) => {
                write!(f, "{target} was to be reached over plain http, where everybody on the way can read along.")
            }
            Self::UserInfo(target) => write!(f, "The URL for {target} carries a user name or a password."),
            Self::Form(target) => write!(f, "The URL for {target} ends its host with a dot or names the port 0."),
            Self::Address(target, _, class) => write!(f, "{target} is {}.", class.describe()),
            Self::Name(target, address, class) => {
                write!(f, "The name of {target} leads to {address}, which is {}.", class.describe())
            }
            Self::Header(target, name) => {
                write!(f, "The request for {target} sets the header {name}, which the broker sets itself.")
            }
        }
    }
}

impl Refusal {
    /// What the operator can do, with the exact line where there is one.
    fn hint(&self) -> String {
        match self {
            Self::Scheme(_) => "Use an https URL.".to_owned(),
            Self::PlainHttp(_) => "Use https; plain http is possible only to loopback addresses that broker.toml lists under \
                                   [egress] allow_loopback."
                .to_owned(),
            Self::UserInfo(_) => "Take it out of the URL: credentials belong into a setting or a secret.".to_owned(),
            Self::Form(_) => "Write the host without a final dot, and a real port.".to_owned(),
            Self::Address(target, address, Class::Loopback) => allow_loopback(SocketAddr::new(*address, target.port)),
            Self::Name(target, address, Class::Loopback) if target.host == "localhost" => {
                allow_loopback(SocketAddr::new(*address, target.port))
            }
            Self::Name(target, address, Class::Loopback) => format!(
                "If that server is meant, add to broker.toml, below [egress]: resolve = {{ \"{target}\" = \"{}\" }}",
                SocketAddr::new(*address, target.port)
            ),
            Self::Address(_, address, class) | Self::Name(_, address, class) if class.can_be_allowed() => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                format!("If that server is meant, add to broker.toml, below [egress]: allow_private = [\"{address}/{bits}\"]")
            }
            Self::Address(..) | Self::Name(..) => {
                "No setting allows such an address; use the server's own name or address.".to_owned()
            }
            Self::Header(..) => "Leave the header out.".to_owned(),
        }
    }
}

fn allow_loopback(address: SocketAddr) -> String {
    format!("If that server is meant, add to broker.toml, below [egress]: allow_loopback = [\"{address}\"]")
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::new(Code::NotAllowed, refusal.to_string(), refusal.hint())
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The rule says no; nothing was sent.
    Refused(Refusal),
    /// The name has no address, or nobody answered.
    Unresolved {
        /// Where the request was to go.
        target: Target,
    },
    /// No connection, or one that broke, or an answer that is no HTTP.
    Unreachable {
        /// Where the request was to go.
        target: Target,
        /// The network's words, in quotation marks.
        reason: String,
        /// Whether there was a connection, so that the request may have arrived.
        sent: bool,
    },
    /// The other side could not prove who it is, or speaks no TLS.
    Tls {
        /// Where the request was to go.
        target: Target,
        /// The TLS library's words, in quotation marks.
        reason: String,
        /// Whether that came after the handshake, so that the request may have arrived.
        sent: bool,
    },
    /// This machine has no certificate authorities to judge by.
    NoRoots {
        /// The verifier's words, in quotation marks.
        reason: String,
    },
    /// No whole answer in time.
    Timeout {
        /// Where the request was to go.
        target: Target,
        /// How long it was waited for.
        waited: Duration,
        /// Whether the request may have arrived.
        sent: bool,
    },
    /// The answer is larger than allowed; the rest was not read.
    TooLarge {
        /// Where the request was to go.
        target: Target,
        /// The limit in bytes.
        limit: usize,
    },
}

impl Failure {
    /// The one word that a component is told: `refused`, `unreachable`, `timeout` or `too_large`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Unresolved { .. } | Self::Unreachable { .. } | Self::Tls { .. } | Self::NoRoots { .. } => "unreachable",
            Self::Timeout { .. } => "timeout",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether the request may have arrived all the same. False is certain: nothing of it was sent.
    #[must_use]
    pub const fn may_have_arrived(&self) -> bool {
        match self {
            Self::Refused(_) | Self::Unresolved { .. } | Self::NoRoots { .. } => false,
            Self::Unreachable { sent, .. } | Self::Tls { sent, .. } | Self::Timeout { sent, .. } => *sent,
            Self::TooLarge { .. } => true,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unresolved { target } => write!(f, "The name of {target} could not be resolved."),
            Self::Unreachable { target, reason, .. } => write!(f, "{target} could not be reached: {reason}."),
            Self::Tls { target, reason, .. } => write!(f, "The TLS connection with {target} failed: {reason}."),
            Self::NoRoots { reason } => write!(f, "There are no certificate authorities to check servers by: {reason}."),
            Self::Timeout { target, waited, .. } => write!(f, "{target} gave no whole answer within {} ms.", waited.as_millis()),
            Self::TooLarge { target, limit } => write!(f, "The answer of {target} is larger than {limit} bytes."),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Refused(refusal) => refusal.into(),
            Failure::Unresolved { target } => Self::new(
                Code::Unavailable,
                message,
                format!(
                    "Check the name and the network. Where only a proxy reaches the outside, add to broker.toml, below \
                     [egress]: proxy = \"http://PROXY:PORT\"; where DNS does not know the name: resolve = {{ \"{target}\" = \
                     \"ADDRESS:PORT\" }}"
                ),
            ),
            Failure::Unreachable { .. } => Self::new(
                Code::Unavailable,
                message,
                "Try again later. Where only a proxy reaches the outside, add to broker.toml, below [egress]: proxy = \
                 \"http://PROXY:PORT\"",
            ),
            Failure::Tls { .. } => Self::new(
                Code::Unavailable,
                message,
                "If the server's certificate comes from a private authority, add to broker.toml, below [egress]: extra_roots = \
                 \"/path/to/ca.pem\"",
            ),
            Failure::NoRoots { .. } => Self::new(
                Code::Unavailable,
                message,
                "Install the system's certificates (Debian: apt install ca-certificates), or add to broker.toml, below [egress]: \
                 extra_roots = \"/path/to/ca.pem\"",
            ),
            Failure::Timeout { .. } => Self::new(Code::Unavailable, message, "Try again later."),
            Failure::TooLarge { .. } => Self::new(
                Code::Limit,
                message,
                "The address is probably not the endpoint that is meant: check the provider's settings.",
            ),
        }
    }
}
