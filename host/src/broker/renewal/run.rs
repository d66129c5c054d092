//! One renewal, from the turn to the stored answer. A task of its own: whoever asked for it may be gone before it ends.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ring::rand::SecureRandom as _;

use super::ask::Asking;
use super::decision::{Decision, next_intent};
use super::flights::{Landed, Seat};
use super::outcome::{self, Answer, UNKNOWN, settle};
use super::{Wanted, words};
use crate::audit::{Event, Outcome};
use crate::broker::Broker;
use crate::error::{Code, Error, Result};
use crate::vault::{Grant, Record, Revision, Stored, Turn};

/// How long another process's renewal is waited for; well below [`super::PATIENCE`], so that a call can still be answered.
const TURN_WITHIN: Duration = Duration::from_secs(20);
/// How often it is looked whether it is over, at first and in the end.
const FIRST_LOOK: Duration = Duration::from_millis(20);
const LAST_LOOK: Duration = Duration::from_millis(250);
/// How long new tokens are held in memory while they cannot be stored.
const STORED_WITHIN: Duration = Duration::from_secs(900);
/// How long there is between two tries to store them, at first and in the end.
const FIRST_STORE: Duration = Duration::from_millis(100);
const LAST_STORE: Duration = Duration::from_secs(5);

/// A renewal that somebody asked for.
pub(super) struct Run {
    wanted: Wanted,
    grant: Arc<Grant>,
    seat: Seat,
}

/// What waiting for the turn led to.
enum Waited {
    /// The turn, and the login as it is now that nobody else can renew it.
    Mine(Turn, Record, Arc<Grant>),
    /// Nothing is left to do.
    Over(Arc<Grant>),
}

impl Run {
    pub(super) const fn new(wanted: Wanted, grant: Arc<Grant>, seat: Seat) -> Self {
        Self { wanted, grant, seat }
    }

    /// The task.
    pub(super) async fn fly(self, broker: Arc<Broker>) {
        let landed = self.renew(&broker).await;
        self.seat.land(landed);
    }

    async fn renew(&self, broker: &Broker) -> Landed {
        let asking = Asking::prepare(broker, &self.wanted.name, &self.grant).await?;
        let (turn, record, grant) = match self.turn(broker).await? {
            Waited::Mine(turn, record, grant) => (turn, record, grant),
            Waited::Over(grant) => return Ok(grant),
        };
        let renewed = self.send(broker, &asking, record.revision, &grant).await;
        // only now: what came of it is stored
        drop(turn);
        renewed
    }

    /// Waits for the turn, unless somebody else does what there is to do.
    async fn turn(&self, broker: &Broker) -> Result<Waited> {
        let start = Instant::now();
        let mut pause = FIRST_LOOK;
        loop {
            let turn = broker.vault.try_turn(self.wanted.generation)?;
            // after the turn, not before: somebody may have had it until now
            let (record, grant) = broker.current(&self.wanted)?;
            match (broker.decide(&self.wanted, &grant), turn) {
                (Decision::Use, _) => return Ok(Waited::Over(grant)),
                (Decision::SignIn, _) => return Err(words::ended(&self.wanted, &grant)),
                (Decision::Wait(pause), _) => return Err(words::later(&self.wanted, &grant, pause)),
                (Decision::Renew { .. }, Some(turn)) => return Ok(Waited::Mine(turn, record, grant)),
                (Decision::Renew { urgent: false }, None) => return Ok(Waited::Over(grant)),
                (Decision::Renew { urgent: true }, None) => {}
            }
            if start.elapsed() >= TURN_WITHIN {
                return Err(words::elsewhere(&self.wanted, TURN_WITHIN));
            }
            tokio::time::sleep(pause.mul_f64(0.5 + chance() / 2.0)).await;
            pause = (pause * 2).min(LAST_LOOK);
        }
    }

    /// With the turn: writes down what it is about to do, does it, stores what came of it.
    async fn send(&self, broker: &Broker, asking: &Asking, revision: Revision, grant: &Grant) -> Result<Arc<Grant>> {
        let name = &self.wanted.name;
        let Some(token) = grant.refresh.clone() else { return Err(words::ended(&self.wanted, grant)) };
        let Some(intent) = next_intent(grant, SystemTime::now()) else {
            broker.vault.replace(name, revision, Arc::new(outcome::ended(grant, UNKNOWN)))?;
            self.record(broker, grant, Some(Code::SignInAgain));
            return Err(words::sign_in_again(name, grant, UNKNOWN));
        };
        if intent.tries > 1 {
            tracing::warn!(secret = name.as_str(), "a refresh was begun and its outcome not written down; it is tried again");
        }
        let mut sending = grant.clone();
        sending.renewal.intent = Some(intent);
        let revision = broker.vault.replace(name, revision, Arc::new(sending.clone()))?;
        let Some(revision) = revision else { return Err(words::replaced(&self.wanted)) };
        self.seat.sent();
        let answer = asking.ask(broker, name, &sending, token).await;
        let code = match &answer {
            Answer::Renewed(_) => None,
            Answer::Ended(_) => Some(Code::SignInAgain),
            Answer::Failed(trouble) => Some(trouble.error.code()),
        };
        self.record(broker, grant, code);
        let stored = self.store(broker, revision, sending, &answer).await?;
        match (answer, &stored.ended) {
            (Answer::Renewed(_), None) => Ok(stored),
            (_, Some(why)) => Err(words::sign_in_again(name, &stored, why)),
            (Answer::Ended(why), None) => Err(words::sign_in_again(name, &stored, &why)),
            (Answer::Failed(trouble), None) => Err(trouble.error),
        }
    }

    /// Stores what came of it before anybody sees it. New tokens are held, and the turn with them, until they are stored:
    /// there is no second copy.
    async fn store(&self, broker: &Broker, mut revision: Revision, mut sent: Grant, answer: &Answer) -> Result<Arc<Grant>> {
        let name = &self.wanted.name;
        let start = Instant::now();
        let mut pause = FIRST_STORE;
        loop {
            let next = Arc::new(settle(&sent, answer, SystemTime::now(), chance()));
            match broker.vault.replace(name, revision, Arc::clone(&next)) {
                Ok(Some(_)) => return Ok(next),
                Ok(None) => {
                    // Revoked meanwhile: what came of it has to be revoked, too.
                    if matches!(answer, Answer::Renewed(_)) && broker.leave_to_tombstone(name, self.wanted.generation, &next)? {
                        return Err(words::replaced(&self.wanted));
                    }
                    // Written meanwhile, though not by a renewal: the same login with something else changed, or another.
                    let (record, _) = broker.current(&self.wanted)?;
                    let Stored::Grant(now) = record.stored else { return Err(words::replaced(&self.wanted)) };
                    (revision, sent) = (record.revision, (*now).clone());
                }
                Err(error) if matches!(answer, Answer::Renewed(_)) && may_pass(&error) && start.elapsed() < STORED_WITHIN => {
                    tracing::warn!(secret = name.as_str(), "new tokens cannot be stored yet: {error}");
                    self.seat.stuck(&error);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LAST_STORE);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn record(&self, broker: &Broker, grant: &Grant, code: Option<Code>) {
        broker.audit.record(Event {
            event: "refresh",
            outcome: if code.is_none() { Outcome::Ok } else { Outcome::Failed },
            secret: Some(self.wanted.name.as_str()),
            provider: Some(&grant.provider),
            code,
            ..Event::default()
        });
    }
}

/// Whether the vault may take the same write a moment later.
fn may_pass(error: &Error) -> bool {
    matches!(error.code(), Code::VaultBusy | Code::VaultUnwritable | Code::VaultLocked)
}

/// A number from 0 to 1, so that those who failed together do not try again together.
fn chance() -> f64 {
    let mut byte = [0_u8];
    // without randomness everybody waits equally long
    let _ = ring::rand::SystemRandom::new().fill(&mut byte);
    f64::from(byte[0]) / 255.0
}
