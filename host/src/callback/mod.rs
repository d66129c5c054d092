//! The loopback listener that a browser comes back to, and its pages.
//!
//! An authorization code arrives here by way of the person's browser (RFC 8252, section 7.3). Everything on the machine
//! can connect to a loopback port, and every web page can make the browser do so: hence what counts is decided here and
//! nowhere else, nothing that a request says is shown or followed, and whoever does not know the state can neither
//! consume nor end a flow.
//!
//! Flows share one listener, which exists only while a flow is pending. The browser waits for the exchange, so that the
//! page says "signed in" only after it succeeded.
//!
//! | file | what it decides |
//! |---|---|
//! | `address` | where to listen, and what is said when the port is taken |
//! | `holder` | which program holds a port |
//! | `request` | whether a request is one that a browser would send after a sign-in: a pure check |
//! | `flows` | which flow it belongs to: the table of states, also without I/O |
//! | `paste` | the same for an answer that a person brings by hand |
//! | `serve` | sockets, limits, connections |
//! | `page` | the fixed pages |

mod address;
mod flows;
mod holder;
mod page;
mod paste;
mod request;
mod serve;

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{mpsc, oneshot};
use url::Url;

use crate::error::Result;
use crate::secret::Secret;

use address::Address;
use flows::{FlowId, Registration};
pub use page::Page;
pub use paste::Paste;
use serve::{Door, OpenPages};

/// Where browsers come back to: one per process, cheap to clone. Nothing is bound until a flow is registered.
#[derive(Clone, Debug)]
pub struct Listener(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    callback_url: Url,
    doors: Mutex<Doors>,
    open_pages: OpenPages,
}

/// The ports that are open. Flows own them; this only finds them again.
#[derive(Debug, Default)]
struct Doors {
    configured: Weak<Door>,
    /// Where the configured port was taken and a flow may use any.
    other: Weak<Door>,
}

impl Listener {
    /// A listener for the redirect URI that OAuth clients are registered with, such as
    /// `http://localhost:9876/oauth/callback`. It is looked at when a flow is registered.
    #[must_use]
    pub fn new(callback_url: &Url) -> Self {
        Self(Arc::new(Shared { callback_url: callback_url.clone(), doors: Mutex::default(), open_pages: OpenPages::default() }))
    }

    /// Registers a flow, and binds the port if it is the first. `path` is the configured path, or that path with
    /// `/NAME` for a drop-in; `provider_title` is what pages call the provider. With `any_port`, another port is used
    /// where the configured one is taken.
    ///
    /// # Errors
    /// `port_taken`, naming the address and who holds it; `invalid_configuration` where the callback URL is no loopback
    /// URL; `internal` where the machine has no loopback address.
    pub async fn register(&self, path: &str, state: Secret, provider_title: &str, any_port: bool) -> Result<Pending> {
        let address = Address::of(&self.0.callback_url)?;
        let door = match self.door(&address, any_port) {
            Ok(door) => door,
            // Looking through /proc takes a moment, and must not hold up the runtime.
            Err(failure) => return Err(address::explain(failure, &address).await),
        };
        let redirect_uri = address.redirect_uri(door.port(), path);
        let (sender, arrivals) = mpsc::channel(1);
        let id = door.flows().register(Registration {
            path: redirect_uri.path(),
            state: &state,
            title: &page::label(provider_title),
            arrival: sender,
        });
        Ok(Pending { redirect_uri, arrivals, id, door })
    }

    /// Waits until the browsers that were answered have their pages, for at most a second: a process that ends right
    /// after a sign-in would otherwise leave the person with a broken page.
    pub async fn settle(&self) {
        self.0.open_pages.settle().await;
    }

    fn door(&self, address: &Address, any_port: bool) -> Result<Arc<Door>, address::Failure> {
        let mut doors = self.0.doors.lock().unwrap_or_else(PoisonError::into_inner);
        let failure = match self.open(&doors.configured, address, address.port()) {
            Ok(door) => {
                doors.configured = Arc::downgrade(&door);
                return Ok(door);
            }
            Err(failure) => failure,
        };
        if !any_port {
            return Err(failure);
        }
        let door = self.open(&doors.other, address, 0)?;
        doors.other = Arc::downgrade(&door);
        Ok(door)
    }

    /// The door if it is open already, else a new one at `port`.
    fn open(&self, known: &Weak<Door>, address: &Address, port: u16) -> Result<Arc<Door>, address::Failure> {
        if let Some(door) = known.upgrade() {
            return Ok(door);
        }
        let (sockets, port) = address::bind(address.ips(), port)?;
        let host = address.authority(port);
        Ok(Arc::new(Door::open(sockets, port, host, self.0.open_pages.clone())))
    }
}

/// Whether the port of a callback URL is to be had just now. Nothing stays open.
///
/// # Errors
/// As [`Listener::register`].
pub async fn probe(callback_url: &Url) -> Result<()> {
    let address = Address::of(callback_url)?;
    match address::bind(address.ips(), address.port()) {
        Ok(_) => Ok(()),
        Err(failure) => Err(address::explain(failure, &address).await),
    }
}

/// A flow that the listener waits for. Dropping it unregisters the flow; the last one closes the port.
#[derive(Debug)]
pub struct Pending {
    redirect_uri: Url,
    arrivals: mpsc::Receiver<Arrival>,
    id: FlowId,
    door: Arc<Door>,
}

impl Pending {
    /// The redirect URI to send to the provider, at authorization and at exchange.
    #[must_use]
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Waits for the browser. It arrives at most once: a second call waits for ever. May be cancelled and called again.
    pub async fn arrival(&mut self) -> Arrival {
        match self.arrivals.recv().await {
            Some(arrival) => arrival,
            None => pending().await,
        }
    }

    /// What takes the answer if a person brings it by hand.
    #[must_use]
    pub fn paste(&self) -> Paste {
        Paste { redirect_uri: self.redirect_uri.clone(), id: self.id, door: Arc::downgrade(&self.door) }
    }

    /// How many callbacks with a wrong state came to this flow's path while it was pending.
    #[must_use]
    pub fn wrong_states(&self) -> u64 {
        self.door.flows().wrong_states(self.id)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.door.flows().end(self.id);
    }
}

/// What the browser brought, with the right state, and the browser itself, which waits for a page.
#[derive(Debug)]
pub struct Arrival {
    /// What the provider decided.
    pub outcome: Outcome,
    /// The issuer, where the provider names it (RFC 9207): to be compared before the code is used. Empty is not absent.
    pub iss: Option<String>,
    /// Where the page goes.
    pub reply: Reply,
}

/// What the provider decided.
#[derive(Debug)]
pub enum Outcome {
    /// An authorization code.
    Code(Secret),
    /// An error of RFC 6749, section 4.1.2.1. Both texts come from outside: bounded here, but to be shown only through
    /// [`crate::error::foreign`].
    Error {
        /// The error code, such as `access_denied`: at most 100 printable ASCII characters.
        error: String,
        /// The provider's sentence: at most 500 characters.
        description: Option<String>,
    },
}

/// The browser that waits for a page. Dropping it shows [`Page::Failed`].
#[derive(Debug)]
pub struct Reply(oneshot::Sender<Page>);

impl Reply {
    /// Shows the page. A browser that is gone already is no error.
    pub fn send(self, page: Page) {
        let _ = self.0.send(page);
    }
}
