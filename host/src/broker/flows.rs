//! Logins under way, and how the last ones ended.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::Url;

use super::login::LoggedIn;
use super::ttl::Deadline;
use crate::error::{Code, Error, Result};
use crate::secret::SecretName;

/// The most logins under way at once.
const MAX_PENDING: usize = 16;
/// How many finished logins are remembered, so that await_oauth_flow can still tell how they ended.
const MAX_FINISHED: usize = 64;

/// How a login stands.
#[derive(Debug, Clone)]
pub enum Status {
    /// A person has to act, or the exchange is under way.
    Pending,
    /// Signed in and stored.
    Done(Arc<LoggedIn>),
    /// Not signed in.
    Failed(Error),
}

/// A login.
pub struct Flow {
    /// Its id, for await_oauth_flow.
    pub id: String,
    /// The name its tokens will have.
    pub name: SecretName,
    /// The provider's title.
    pub provider: String,
    /// Where the person signs in.
    pub authorization_url: Url,
    /// When nobody waits any longer.
    pub deadline: Deadline,
    pub(super) status: watch::Receiver<Status>,
    pub(super) task: AbortHandle,
}

impl Flow {
    /// Whether it is under way. One that was cancelled is over, although nobody is left to say so.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(*self.status.borrow(), Status::Pending) && !self.task.is_finished()
    }
}

/// All logins of this process.
#[derive(Default)]
pub struct Flows(Arc<Mutex<Table>>);

#[derive(Default)]
struct Table {
    by_id: HashMap<String, Arc<Flow>>,
    names: HashSet<SecretName>,
    finished: VecDeque<String>,
}

/// A name that a login holds; dropping it lets go.
pub struct Reservation {
    table: Arc<Mutex<Table>>,
    name: SecretName,
}

impl Flows {
    /// Holds a name for a login.
    ///
    /// # Errors
    /// `conflict` where another login under way has it, naming that one; `limit` where too many are under way.
    pub fn reserve(&self, name: &SecretName) -> Result<Reservation> {
        let mut table = lock(&self.0);
        if table.names.contains(name) {
            let id = table.by_id.values().find(|flow| flow.name == *name && flow.is_pending()).map(|flow| flow.id.clone());
            let hint = id.map_or_else(
                || "Wait until it has ended.".to_owned(),
                |id| format!("Call await_oauth_flow with flow_id \"{id}\", or use another secret_name."),
            );
            return Err(Error::new(Code::Conflict, format!("A login for \"{name}\" is under way already."), hint));
        }
        if table.names.len() >= MAX_PENDING {
            return Err(Error::new(
                Code::Limit,
                format!("{MAX_PENDING} logins are under way already."),
                "Finish one of them, or wait until they expire.",
            ));
        }
        table.names.insert(name.clone());
        Ok(Reservation { table: Arc::clone(&self.0), name: name.clone() })
    }

    /// Takes a started login in.
    pub fn add(&self, flow: Arc<Flow>) {
        let mut table = lock(&self.0);
        table.finished.push_back(flow.id.clone());
        table.by_id.insert(flow.id.clone(), flow);
        // The oldest that have ended are forgotten; one under way never is.
        while table.finished.len() > MAX_FINISHED + MAX_PENDING {
            let ended = |id: &String| table.by_id.get(id).is_none_or(|flow| !flow.is_pending());
            let Some(place) = table.finished.iter().position(ended) else { return };
            if let Some(id) = table.finished.remove(place) {
                table.by_id.remove(&id);
            }
        }
    }

    /// The login of that id.
    ///
    /// # Errors
    /// `unknown_flow`.
    pub fn get(&self, id: &str) -> Result<Arc<Flow>> {
        lock(&self.0).by_id.get(id).cloned().ok_or_else(|| {
            Error::new(
                Code::UnknownFlow,
                "There is no login of that id, or it ended long ago.",
                "Call list_secrets to see what is stored, or start_oauth_flow for a new login.",
            )
        })
    }

    /// Every login under way.
    #[must_use]
    pub fn pending(&self) -> Vec<Arc<Flow>> {
        lock(&self.0).by_id.values().filter(|flow| flow.is_pending()).cloned().collect()
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        lock(&self.table).names.remove(&self.name);
    }
}

fn lock(table: &Mutex<Table>) -> MutexGuard<'_, Table> {
    table.lock().unwrap_or_else(PoisonError::into_inner)
}
