//! Keeping a login alive: one refresh whoever asks, in whichever process, and none lost.
//!
//! A refresh token that rotates works once. Two that send it at once kill the login, and so does one that sends it and
//! loses the answer. Hence, in this order: a caller's hang-up stops nothing, since the renewal is a task of its own;
//! callers of one process share one task; tasks of several processes take turns by the vault's lock, which dies with
//! its holder; whoever has the turn reads again, writes down what it is about to do, sends, and stores the answer before
//! anybody sees it.
//!
//! | part | what it is |
//! |---|---|
//! | `decision` | use, renew, wait or give up: pure |
//! | `outcome` | what an answer makes of the grant: pure |
//! | `scopes` | which scopes an answer may bring: pure |
//! | `clock` | what time it is, for a token, when the clock is set |
//! | `flights` | the tasks of this process, and those who wait for them |
//! | `ask` | one refresh at the provider, and what its answer is held against |
//! | `run` | the task: the turn, the intent, the answer, the write |
//! | `words` | what callers are told |

mod ask;
mod clock;
mod decision;
mod flights;
mod outcome;
mod run;
mod scopes;
mod words;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Broker;
use crate::error::Result;
use crate::secret::{Secret, SecretName};
use crate::vault::{Generation, Grant, Record, Stored};
use decision::Decision;
use flights::Joined;
use run::Run;

/// How long a call waits for a token that it cannot do without; clients give up after a minute.
const PATIENCE: Duration = Duration::from_secs(45);
/// How long a call waits for a new token while the old one still does.
const DUE_PATIENCE: Duration = Duration::from_secs(3);
/// A pause between tries that is no longer than this is waited for; a longer one is told.
const SHORT_PAUSE: Duration = Duration::from_secs(5);
/// A token that a service refuses is not renewed for that reason again within this.
const REJECTED_AGAIN: Duration = Duration::from_secs(60);
/// How long [`Broker::close`] waits for answers to refreshes that were sent.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// The renewals of one process.
#[derive(Default)]
pub struct Renewals {
    flights: flights::Flights,
    clocks: clock::Clocks,
    rejections: Mutex<HashMap<Generation, Instant>>,
}

/// Which token somebody wants.
#[derive(Clone)]
struct Wanted {
    name: SecretName,
    generation: Generation,
    /// An access token that a service refused: any other will do.
    rejected: Option<Secret>,
}

impl Broker {
    /// The login of that name with an access token that can be used now: refreshed first if need be.
    ///
    /// # Errors
    /// `sign_in_again` where only a person can help; `unavailable` where the provider cannot be asked just now.
    pub(super) async fn usable(&self, name: &SecretName, generation: Generation, grant: Arc<Grant>) -> Result<Arc<Grant>> {
        self.kept_alive(&Wanted { name: name.clone(), generation, rejected: None }, grant).await
    }

    /// The login with another access token than the one in `refused`, which a service answered with 401: refreshed, unless
    /// somebody has done that already. A service that refuses every token does not get more than one a minute.
    ///
    /// # Errors
    /// As [`Broker::usable`].
    pub(super) async fn renew_after_rejection(
        &self,
        name: &SecretName,
        generation: Generation,
        refused: &Grant,
    ) -> Result<Arc<Grant>> {
        let wanted = Wanted { name: name.clone(), generation, rejected: Some(refused.access.clone()) };
        let grant = self.current(&wanted)?.1;
        if wanted.is_rejected(&grant) && self.rejections().contains_key(&generation) {
            return Err(words::refused_again(name, &grant));
        }
        let renewed = self.kept_alive(&wanted, grant).await?;
        self.rejections().insert(generation, Instant::now());
        Ok(renewed)
    }

    fn rejections(&self) -> MutexGuard<'_, HashMap<Generation, Instant>> {
        let mut rejections = self.renewals.rejections.lock().unwrap_or_else(PoisonError::into_inner);
        rejections.retain(|_, since| since.elapsed() < REJECTED_AGAIN);
        rejections
    }

    async fn kept_alive(&self, wanted: &Wanted, mut grant: Arc<Grant>) -> Result<Arc<Grant>> {
        let start = Instant::now();
        let left = || PATIENCE.saturating_sub(start.elapsed());
        loop {
            let urgent = match self.decide(wanted, &grant) {
                Decision::Use => return Ok(grant),
                Decision::SignIn => return Err(words::ended(wanted, &grant)),
                Decision::Wait(pause) if pause <= SHORT_PAUSE && pause < left() => {
                    tokio::time::sleep(pause).await;
                    grant = self.current(wanted)?.1;
                    continue;
                }
                Decision::Wait(pause) => return Err(words::later(wanted, &grant, pause)),
                Decision::Renew { urgent } => urgent,
            };
            let (mut flight, mine) = match self.renewals.flights.join(wanted.generation) {
                Joined::First(seat, flight) => {
                    self.take_off(Run::new(wanted.clone(), Arc::clone(&grant), seat));
                    (flight, true)
                }
                Joined::UnderWay(flight) => (flight, false),
            };
            if !urgent && !mine {
                return Ok(grant);
            }
            let landed = tokio::time::timeout(if urgent { left() } else { DUE_PATIENCE }, flight.landing()).await;
            match landed {
                // joined a task that did not know of the refusal
                Ok(Ok(same)) if wanted.is_rejected(&same) => grant = same,
                Ok(Ok(renewed)) => return Ok(renewed),
                Ok(Err(error)) if urgent => return Err(error),
                Err(_) if urgent => return Err(flight.stuck().unwrap_or_else(|| words::under_way(wanted))),
                Ok(Err(error)) => {
                    tracing::warn!(secret = wanted.name.as_str(), "the login could not be renewed yet: {error}");
                    return Ok(grant);
                }
                // Not renewed yet; the old token may have ended while that was waited for.
                Err(_) if self.decide(wanted, &grant) != (Decision::Renew { urgent: true }) => return Ok(grant),
                Err(_) => {}
            }
        }
    }

    /// Waits for the answers to refreshes that were sent, a few seconds at most: a rotated token must not be lost.
    pub(super) async fn renewals_landed(&self) {
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.renewals.flights.landed()).await;
    }

    fn decide(&self, wanted: &Wanted, grant: &Grant) -> Decision {
        decision::decide(grant, self.renewals.clocks.moment(wanted.generation, grant), wanted.is_rejected(grant))
    }

    /// The login as it is stored now.
    fn current(&self, wanted: &Wanted) -> Result<(Record, Arc<Grant>)> {
        let record = self.vault.get(&wanted.name)?.filter(|record| record.generation == wanted.generation);
        let Some(record) = record else { return Err(words::replaced(wanted)) };
        let Stored::Grant(grant) = &record.stored else { return Err(words::replaced(wanted)) };
        let grant = Arc::clone(grant);
        Ok((record, grant))
    }

    /// Starts the task. Whoever asked for it may leave; it goes on.
    fn take_off(&self, run: Run) {
        if let Some(broker) = self.me.upgrade() {
            tokio::spawn(run.fly(broker));
        }
    }
}

impl Wanted {
    fn is_rejected(&self, grant: &Grant) -> bool {
        self.rejected.as_ref().is_some_and(|rejected| rejected.expose() == grant.access.expose())
    }
}
