//! The other side of `providers check`: a server that plays every endpoint of a component's own table.
//!
//! The component is checked through the real broker, and the broker reaches real names by https only. So this one has a
//! certificate authority of its own, made at start and gone at the end, and stands for every host of the table: the broker
//! is told by `[egress] resolve` and `extra_roots`, as an operator would, and nothing in it knows of a rehearsal.
//!
//! It is strict where the standards are: a code works once and with its verifier, a rotated refresh token never again, a
//! client secret must be the right one. What a component does wrong it keeps as a complaint, in words for its author. And
//! it can go wrong itself, in each of the ways in [`Fault`].
//!
//! | file | what it is |
//! |---|---|
//! | `fixtures` | what the author says of the service: settings, scopes, answers |
//! | `place` | an endpoint of the table, as it is found in a request |
//! | `sent` | what a request carries, wherever it carries it |
//! | `ledger` | what was handed out, and what became of it |
//! | `play` | the answer to a request |
//! | `fault` | the ways to go wrong |
//! | `serve` | TLS, connections and their limits |

mod fault;
mod fixtures;
mod ledger;
mod place;
mod play;
mod sent;
mod serve;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;

pub use fault::Fault;
pub use fixtures::Fixtures;
pub use place::{ARGUMENT, Place};

use super::keys::Keys;
use crate::error::{Code, Error, Result};
use crate::secret::Secret;
use ledger::{Asked, Ledger};

/// What the stage is to play.
#[derive(Debug, Clone, Default)]
pub struct Script {
    /// The endpoints, metadata documents included.
    pub places: Vec<Place>,
    /// The issuer of id_tokens and callbacks where no metadata document names one.
    pub issuer: Option<String>,
    /// The client's id.
    pub client_id: String,
    /// The client's secret, where it has one.
    pub client_secret: Option<Secret>,
    /// Whether refresh tokens are handed out.
    pub refreshes: bool,
    /// Whether id_tokens are, where `openid` is asked for.
    pub openid: bool,
    /// What the author says of the service.
    pub fixtures: Fixtures,
}

/// A running stage. It ends when this is dropped.
#[derive(Debug)]
pub struct Stage {
    house: Arc<House>,
    address: SocketAddr,
    authority: String,
    listening: JoinHandle<()>,
}

/// Where the browser goes after the sign-in, and the parts that make it up.
#[derive(Debug, Clone)]
pub struct Back {
    /// The redirect URI, without parameters.
    pub redirect_uri: Url,
    /// The authorization code.
    pub code: Secret,
    /// The state that came.
    pub state: String,
    /// The issuer, where the server names itself in callbacks.
    pub iss: Option<String>,
}

impl Back {
    /// The whole address, with this state.
    #[must_use]
    pub fn url(&self, state: &str) -> Url {
        let mut url = self.redirect_uri.clone();
        url.query_pairs_mut().append_pair("code", self.code.expose()).append_pair("state", state);
        if let Some(iss) = &self.iss {
            url.query_pairs_mut().append_pair("iss", iss);
        }
        url
    }
}

/// All that the stage is and knows.
#[derive(Debug)]
struct House {
    script: Script,
    keys: Keys,
    ledger: Mutex<Ledger>,
    fault: Mutex<Option<Fault>>,
}

impl House {
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        // A request that panicked leaves tables that are each still whole.
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stage {
    /// Starts it on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// `internal` where the machine gives no port, no randomness or no certificate.
    pub async fn start(script: Script) -> Result<Self> {
        let internal = |what: String| {
            Error::new(
                Code::Internal,
                format!("The rehearsal server cannot start: {what}."),
                "Check that this process may open a port on the loopback interface, and try again.",
            )
        };
        let hosts = hosts(&script.places);
        let (acceptor, authority) =
            serve::certificate(&hosts.iter().map(|(host, _)| host.clone()).collect::<Vec<_>>()).map_err(internal)?;
        let keys = Keys::new().ok_or_else(|| internal("there is no randomness".to_owned()))?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|error| internal(error.to_string()))?;
        let address = listener.local_addr().map_err(|error| internal(error.to_string()))?;
        let house = Arc::new(House { script, keys, ledger: Mutex::default(), fault: Mutex::default() });
        let listening = tokio::spawn(serve::listen(listener, acceptor, Arc::clone(&house)));
        Ok(Self { house, address, authority, listening })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The PEM of the authority that its certificate is from.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Every host it stands for, with the port.
    #[must_use]
    pub fn hosts(&self) -> Vec<(String, u16)> {
        hosts(&self.house.script.places)
    }

    /// From now on it goes wrong in this way, or no longer.
    pub fn go_wrong(&self, fault: Option<Fault>) {
        *self.house.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    /// What the person's browser does with an authorization URL: signs in, and is sent back.
    ///
    /// # Errors
    /// A sentence for the component's author: what an authorization server would show in the browser.
    pub fn sign_in(&self, url: &Url) -> Result<Back, String> {
        let house = &self.house;
        let here = house.script.places.iter().find(|place| place.is_authorization() && place.fits("GET", url));
        if here.is_none() {
            return Err("the browser is not sent to the table's authorization endpoint".to_owned());
        }
        let asked = Asked::read(url, &house.script.client_id)?;
        let code = super::random::text().ok_or("this machine gives no random numbers")?;
        let mut ledger = house.ledger();
        ledger.touch("authorize");
        let iss = ledger.issuer.clone().or_else(|| house.script.issuer.clone());
        let back =
            Back { redirect_uri: asked.redirect_uri.clone(), code: Secret::new(code.clone()), state: asked.state.clone(), iss };
        ledger.codes.insert(code, asked);
        Ok(back)
    }

    /// What it found wrong with the requests since the last time it was asked.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        std::mem::take(&mut self.house.ledger().complaints)
    }

    /// The endpoints that were asked at least once.
    #[must_use]
    pub fn asked(&self) -> Vec<String> {
        self.house.ledger().touched.iter().cloned().collect()
    }

    /// How many requests came to the endpoints of the table since the start.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.house.ledger().requests
    }

    /// Whether this is the access token that it handed out last.
    #[must_use]
    pub fn is_newest_access(&self, token: &Secret) -> bool {
        self.house.ledger().newest.as_deref() == Some(token.expose())
    }

    /// Whether this is the refresh token that works now.
    #[must_use]
    pub fn is_working_refresh(&self, token: &Secret) -> bool {
        self.house.ledger().refresh.as_deref() == Some(token.expose())
    }

    /// Whether this token was revoked here.
    #[must_use]
    pub fn revoked(&self, token: &Secret) -> bool {
        self.house.ledger().revoked.contains(token.expose())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn hosts(places: &[Place]) -> Vec<(String, u16)> {
    let mut hosts: Vec<(String, u16)> = places.iter().filter_map(Place::host).collect();
    hosts.sort();
    hosts.dedup();
    hosts
}

#[cfg(test)]
mod tests;
