//! The renewals under way in this process, and those who wait for them: one a login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::error::{Code, Error, Result};
use crate::vault::{Generation, Grant};

/// What came of a renewal: a token that can be used, be it the old one, which another process is about to renew.
pub(super) type Landed = Result<Arc<Grant>>;

/// All of them.
#[derive(Default)]
pub(super) struct Flights(Arc<Mutex<HashMap<Generation, watch::Receiver<State>>>>);

/// How one stands.
#[derive(Clone, Default)]
struct State {
    /// Whether a refresh token may be on its way.
    sent: bool,
    /// Why the new tokens cannot be stored yet.
    stuck: Option<Error>,
    landed: Option<Landed>,
}

/// A renewal as those see it who wait for it.
pub(super) struct Flight(watch::Receiver<State>);

/// A renewal as its task sees it. Dropped without [`Seat::land`], the others are told that it broke down.
pub(super) struct Seat {
    flights: Arc<Mutex<HashMap<Generation, watch::Receiver<State>>>>,
    generation: Generation,
    tell: watch::Sender<State>,
}

/// Where a caller finds itself.
pub(super) enum Joined {
    /// Nobody was at it: it has to start the task.
    First(Seat, Flight),
    /// Somebody is at it.
    UnderWay(Flight),
}

type All<'a> = MutexGuard<'a, HashMap<Generation, watch::Receiver<State>>>;

impl Flights {
    /// The renewal of that login.
    pub(super) fn join(&self, generation: Generation) -> Joined {
        let mut all = self.lock();
        if let Some(flight) = all.get(&generation) {
            return Joined::UnderWay(Flight(flight.clone()));
        }
        let (tell, flight) = watch::channel(State::default());
        all.insert(generation, flight.clone());
        Joined::First(Seat { flights: Arc::clone(&self.0), generation, tell }, Flight(flight))
    }

    /// Waits until none has a refresh token on its way.
    pub(super) async fn landed(&self) {
        let all: Vec<_> = self.lock().values().cloned().collect();
        for mut flight in all {
            // Err: its task is gone, and with it what there was to wait for
            let _ = flight.wait_for(|state| state.landed.is_some() || !state.sent).await;
        }
    }

    fn lock(&self) -> All<'_> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Waits for its end.
    pub(super) async fn landing(&mut self) -> Landed {
        let broke_down =
            || Error::new(Code::Internal, "The renewal of a login broke down.", "Try again; if it goes on, report it.");
        let state = self.0.wait_for(|state| state.landed.is_some()).await.map_err(|_| broke_down())?;
        state.landed.clone().unwrap_or_else(|| Err(broke_down()))
    }

    /// Why its tokens cannot be stored yet, if so.
    pub(super) fn stuck(&self) -> Option<Error> {
        self.0.borrow().stuck.clone()
    }
}

impl Seat {
    /// From now on a refresh token may be on its way.
    pub(super) fn sent(&self) {
        self.tell.send_modify(|state| state.sent = true);
    }

    /// New tokens cannot be stored yet.
    pub(super) fn stuck(&self, error: &Error) {
        self.tell.send_modify(|state| state.stuck = Some(error.clone()));
    }

    /// The end. Whoever comes after this starts anew, with what is stored now.
    pub(super) fn land(self, landed: Landed) {
        self.leave();
        self.tell.send_modify(|state| state.landed = Some(landed));
    }

    fn leave(&self) {
        let mut all = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        // after `land` another task may be under way already
        if all.get(&self.generation).is_some_and(|flight| flight.same_channel(&self.tell.subscribe())) {
            all.remove(&self.generation);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::grant::sample;

    fn first(flights: &Flights) -> (Seat, Flight) {
        match flights.join(Generation(1)) {
            Joined::First(seat, flight) => (seat, flight),
            Joined::UnderWay(_) => panic!("somebody is at it"),
        }
    }

    #[tokio::test]
    async fn all_who_come_while_one_is_under_way_get_what_it_brings() {
        let flights = Flights::default();
        let (seat, mut mine) = first(&flights);
        let Joined::UnderWay(mut other) = flights.join(Generation(1)) else { panic!("nobody is at it") };
        seat.sent();
        seat.land(Ok(Arc::new(sample())));
        assert!(mine.landing().await.is_ok() && other.landing().await.is_ok());
        let (next, _) = first(&flights);
        drop(next);
        first(&flights);
    }

    #[tokio::test]
    async fn a_task_that_breaks_down_leaves_nobody_waiting() {
        let flights = Flights::default();
        let (seat, mut flight) = first(&flights);
        seat.sent();
        drop(seat);
        assert_eq!(flight.landing().await.unwrap_err().code(), Code::Internal);
        flights.landed().await;
    }

    #[tokio::test]
    async fn the_end_of_the_process_waits_only_for_what_was_sent() {
        let flights = Flights::default();
        let (seat, _flight) = first(&flights);
        flights.landed().await;
        seat.sent();
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), flights.landed()).await.is_err());
        seat.land(Ok(Arc::new(sample())));
        flights.landed().await;
    }
}
