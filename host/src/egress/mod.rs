//! The one door out: every connection that the process opens to somebody else is opened here, and a lint says so.
//!
//! A component can ask for the endpoints of its table only (the sandbox sees to that), but tables, settings and
//! discovery documents name hosts, and hosts can be made to lead anywhere. So every request takes the same steps, in
//! this order: the URL is matched against the operator's rule; its name is resolved once; every address is judged; the
//! connection goes to a judged address, with the name in TLS. Nothing is followed or decompressed, nothing is sent twice
//! but what may be and found a kept connection closed, no proxy is taken from the environment, and no answer is read past
//! its limit.
//!
//! With `[egress] proxy` the proxy resolves names. Then URLs are judged by what stands in them (addresses, `localhost`,
//! the operator's lists), and what other names lead to is the proxy's to decide.
//!
//! | part | what it is |
//! |---|---|
//! | [`address`] | what kind of place an address is |
//! | `network` | a private network that the operator listed |
//! | `rule` | what the operator allows, and the decision for one URL |
//! | `resolve` | from a name to judged addresses |
//! | [`deadline`] | how long anything is waited for |
//! | `roots` | whom TLS trusts |
//! | `client` | one request |
//! | `kept` | connections that are kept for the next one |
//! | `failure` | why there is no answer, for components and for the operator |

pub mod address;
mod client;
pub mod deadline;
mod failure;
mod kept;
mod network;
mod resolve;
mod roots;
mod rule;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName};
use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use tokio::sync::OnceCell;
use url::Url;
use zeroize::Zeroizing;

pub use failure::{Failure, Refusal, Target};

use crate::config;
use crate::error::Result;
use client::Way;
use kept::Kept;
use rule::{Route, Rules};

/// The door. Cloning it is cheap.
#[derive(Clone)]
pub struct Egress(Arc<Inner>);

struct Inner {
    rules: Rules,
    extra_roots: Vec<CertificateDer<'static>>,
    tls: OnceCell<ClientConfig>,
    kept: Kept<reqwest::Client>,
}

/// A request to send.
pub struct Outgoing {
    /// The method.
    pub method: http::Method,
    /// Where to.
    pub url: Url,
    /// Headers; those with secrets marked as sensitive.
    pub headers: HeaderMap,
    /// The body, wiped once it is sent.
    pub body: Option<Zeroizing<Vec<u8>>>,
    /// The most bytes that the answer's body may have.
    pub limit: usize,
    /// Whether a longer body is cut there; else it is refused.
    pub cut: bool,
    /// How long everything may take, from the name to the last byte of the answer.
    pub timeout: Duration,
    /// Whether it may go over a connection that is kept, and be sent once more where that was closed: only where sending it
    /// twice does what sending it once does.
    pub keep: bool,
}

/// An answer, whatever its status: redirects too are answers.
pub struct Incoming {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as it was sent.
    pub body: Zeroizing<Vec<u8>>,
    /// Whether the body was longer than the limit.
    pub cut: bool,
}

/// Headers that decide where a message goes or where it ends.
const OWN_HEADERS: [HeaderName; 9] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Takes a component's request to its server: [`Egress`] does. A benchmark, which wants to know what a component costs without
/// its network, answers by itself.
pub trait Carrier: Send + Sync {
    /// Sends a request and reads its answer.
    fn carry(&self, request: Outgoing) -> Carried<'_>;
}

/// An answer on its way.
pub type Carried<'a> = Pin<Box<dyn Future<Output = Result<Incoming, Failure>> + Send + 'a>>;

impl Carrier for Egress {
    fn carry(&self, request: Outgoing) -> Carried<'_> {
        Box::pin(self.send(request))
    }
}

impl Egress {
    /// Reads the operator's lists and `extra_roots`. Opens nothing.
    ///
    /// # Errors
    /// `invalid_configuration`, naming the key.
    pub fn new(config: &config::Egress) -> Result<Self> {
        let extra_roots = config.extra_roots.as_deref().map_or_else(|| Ok(Vec::new()), roots::read)?;
        Ok(Self(Arc::new(Inner { rules: Rules::new(config)?, extra_roots, tls: OnceCell::new(), kept: Kept::default() })))
    }

    /// The part of the rule that needs no network: scheme, user name, form of the host, addresses, plain http. Also for
    /// URLs that a browser will open.
    ///
    /// # Errors
    /// What the rule says no to.
    pub fn check_url(&self, url: &Url) -> Result<(), Refusal> {
        self.0.rules.route(url).map(drop)
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    /// Why there is no whole answer. An error status is an answer.
    pub async fn send(&self, request: Outgoing) -> Result<Incoming, Failure> {
        let route = self.0.rules.route(&request.url)?;
        let target = Target {
            host: request.url.host().map(|host| host.to_string()).unwrap_or_default(),
            port: request.url.port_or_known_default().unwrap_or_default(),
        };
        if let Some(name) = OWN_HEADERS.iter().find(|name| request.headers.contains_key(*name)) {
            return Err(Refusal::Header(target, name.to_string()).into());
        }
        let timeout = request.timeout;
        let begun = AtomicBool::new(false);
        deadline::within(timeout, self.travel(route, &target, request, &begun))
            .await
            .unwrap_or_else(|| Err(Failure::Timeout { target, waited: timeout, sent: begun.load(Ordering::Relaxed) }))
    }

    async fn travel(&self, route: Route, target: &Target, request: Outgoing, begun: &AtomicBool) -> Result<Incoming, Failure> {
        let way = match route {
            Route::Literal => Way::Literal,
            Route::Pinned(address) => Way::Pinned(vec![address]),
            Route::Lookup(name) => Way::Pinned(resolve::lookup(&self.0.rules, target, &name).await?),
            Route::Proxy(proxy) => Way::Proxy(proxy),
        };
        let tls = if request.url.scheme() == "https" { self.tls().await? } else { roots::nobody()? };
        client::exchange(&self.0.kept, tls, way, target, request, begun).await
    }

    async fn tls(&self) -> Result<ClientConfig, Failure> {
        let make = || async {
            let extra = self.0.extra_roots.clone();
            // Reads files, hundreds of them on some machines.
            let made = tokio::task::spawn_blocking(move || roots::tls(extra)).await;
            made.unwrap_or_else(|error| Err(Failure::NoRoots { reason: crate::error::foreign(&error.to_string()) }))
        };
        self.0.tls.get_or_try_init(make).await.cloned()
    }
}

/// Not derived: what stands in a request or an answer is secret until somebody says otherwise.
impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outgoing({} {})", self.method, self.url.host_str().unwrap_or_default())
    }
}

impl fmt::Debug for Incoming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({}, {} bytes)", self.status, self.body.len())
    }
}

impl fmt::Debug for Egress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Egress")
    }
}

#[cfg(test)]
mod tests;
