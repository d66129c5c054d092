//! A small OAuth 2.1 and OpenID Connect authorization server on loopback, for `demo`.
//!
//! The first impression of the broker should be a whole login, and nobody should have to register an application
//! somewhere for it. So the other side is played here, and played honestly: codes work once, PKCE is required, refresh
//! tokens rotate, id_tokens are signed, and a token that it did not issue opens nothing. The broker does not know that
//! it is a rehearsal.
//!
//! | file | what it is |
//! |---|---|
//! | `listener` | connections and their limits |
//! | `routes` | which request is answered by whom |
//! | `authorize` | the authorization request, and what the person decided |
//! | `token` | the token and revocation endpoints |
//! | `client` | whether it is really the client who asks |
//! | `keys` | id_tokens and the key that signs them |
//! | `account` | alice, and what a scope lets one see of her |
//! | `metadata` | what the server says of itself |
//! | `state` | what it remembers, bounded |
//! | `page` | what the person sees |
//! | `answer`, `parameters`, `random` | small tools of the others |
//! | [`stage`] | another server, for `providers check`: it plays the endpoint table of any component |

mod account;
mod answer;
mod authorize;
mod client;
mod keys;
mod listener;
mod metadata;
mod page;
mod parameters;
mod random;
mod routes;
pub mod stage;
mod state;
#[cfg(test)]
mod tests;
mod token;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use client::Client;
use keys::Keys;
use state::State;

/// A running authorization server. It ends when this is dropped.
#[derive(Debug)]
pub struct Rehearsal {
    server: Arc<Server>,
    listening: JoinHandle<()>,
}

/// All that the server is and knows.
#[derive(Debug)]
struct Server {
    address: SocketAddr,
    issuer: String,
    base: Url,
    client: Client,
    keys: Keys,
    state: Mutex<State>,
}

/// What pressing "Sign in" on the page sends: a POST of `fields`, form-encoded, to `action`.
#[derive(Debug)]
pub struct SignInForm {
    /// Where the form goes.
    pub action: Url,
    /// Its members.
    pub fields: Vec<(&'static str, String)>,
}

impl Rehearsal {
    /// Starts the server on a free port of 127.0.0.1, with one registered client.
    ///
    /// # Errors
    /// `internal` where the machine gives no port or no randomness.
    pub async fn start() -> Result<Self> {
        let unavailable = |error: std::io::Error| {
            Error::new(
                Code::Internal,
                format!("The rehearsal server cannot listen on 127.0.0.1: {error}."),
                "Check that this process may open a port on the loopback interface, and start it again.",
            )
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unavailable)?;
        let server = Arc::new(Server::new(listener.local_addr().map_err(unavailable)?)?);
        let listening = tokio::spawn(listener::listen(listener, Arc::clone(&server)));
        Ok(Self { server, listening })
    }

    /// The issuer: where discovery begins. A text, since issuers are compared as texts and an URL would end in a slash
    /// that this one lacks.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.server.issuer
    }

    /// Where it listens, as `[egress] allow_loopback` wants it.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address
    }

    /// The id of the registered client.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.server.client.id
    }

    /// Its secret, new at every start.
    #[must_use]
    pub fn client_secret(&self) -> &Secret {
        &self.server.client.secret
    }

    /// A protected resource: answers a GET that brings an access token with what its scopes show of alice.
    #[must_use]
    pub fn resource(&self) -> Url {
        self.server.endpoint(routes::USERINFO)
    }

    /// What the person's "Sign in" would send for this authorization URL, for a demonstration without a browser.
    ///
    /// # Errors
    /// `invalid_argument` where this server would show an error instead of the form.
    pub fn sign_in_form(&self, authorization_url: &Url) -> Result<SignInForm> {
        let refused = |why: &str| {
            Error::new(
                Code::InvalidArgument,
                format!("The rehearsal server does not accept this authorization URL: {why}."),
                "Use the URL that the broker built for this server, unchanged.",
            )
        };
        let endpoint = self.server.endpoint(routes::AUTHORIZE);
        if authorization_url.origin() != endpoint.origin() || authorization_url.path() != endpoint.path() {
            return Err(refused("it leads elsewhere"));
        }
        let query = authorization_url.query().unwrap_or_default();
        let shown = self.server.show(query, std::time::Instant::now()).map_err(|problem| refused(problem.reason()))?;
        Ok(SignInForm {
            action: self.server.endpoint(routes::DECISION),
            fields: vec![("ticket", shown.ticket), ("decision", authorize::SIGN_IN.to_owned())],
        })
    }
}

impl Drop for Rehearsal {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

impl SignInForm {
    /// The body of the POST, `application/x-www-form-urlencoded`.
    #[must_use]
    pub fn body(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }
}

impl Server {
    fn new(address: SocketAddr) -> Result<Self> {
        let internal = |what: &str| {
            Error::new(
                Code::Internal,
                format!("The rehearsal server cannot make {what}."),
                "Check that the machine's source of randomness works, and start it again.",
            )
        };
        let issuer = format!("http://{address}");
        let base = Url::parse(&issuer).map_err(|_| internal("its address"))?;
        let client = Client::new().ok_or_else(|| internal("a client secret"))?;
        let keys = Keys::new().ok_or_else(|| internal("a signing key"))?;
        Ok(Self { address, issuer, base, client, keys, state: Mutex::default() })
    }

    fn endpoint(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A request that panicked leaves tables that are each still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
