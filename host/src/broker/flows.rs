//! Logins under way, and how the last ones ended.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use url::Url;

use super::device::DeviceCode;
use super::login::LoggedIn;
use super::ttl::Deadline;
use crate::callback::Paste;
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
    /// Where the person signs in: for a device flow, where they enter the code.
    pub authorization_url: Url,
    /// What the person enters there, if it is a device flow.
    pub device: Option<DeviceCode>,
    /// Where the code will be redeemed, as configured or discovered: pinned for this login and its refreshes.
    pub token_endpoint: Option<Url>,
    /// Whether a browser was started for the person.
    pub browser_opened: AtomicBool,
    /// When nobody waits any longer.
    pub deadline: Deadline,
    /// Takes the address that a person brings by hand, if a browser is to come back.
    pub(super) paste: Option<Paste>,
    pub(super) status: watch::Receiver<Status>,
    /// What carries it out.
    pub(super) task: Option<AbortHandle>,
}

impl Flow {
    /// Whether it is under way. One that was cancelled is over, although nobody is left to say so.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        matches!(*self.status.borrow(), Status::Pending) && self.task.as_ref().is_some_and(|task| !task.is_finished())
    }

    /// Ends it, with whatever it holds.
    pub(super) fn abort(&self) {
        if let Some(task) = &self.task {
            task.abort();
        }
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
        table.check_free(name)?;
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

    /// Whether no login under way has that name.
    ///
    /// # Errors
    /// `conflict`, naming the login.
    pub fn check_free(&self, name: &SecretName) -> Result<()> {
        lock(&self.0).check_free(name)
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

impl Table {
    fn check_free(&self, name: &SecretName) -> Result<()> {
        if !self.names.contains(name) {
            return Ok(());
        }
        let id = self.by_id.values().find(|flow| flow.name == *name && flow.is_pending()).map(|flow| flow.id.clone());
        let hint = id.map_or_else(
            || "Wait until it has ended.".to_owned(),
            |id| format!("Call await_oauth_flow with flow_id \"{id}\", or use another name."),
        );
        Err(Error::new(Code::Conflict, format!("A login for \"{name}\" is under way already."), hint))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> SecretName {
        SecretName::parse(text).unwrap()
    }

    /// A login whose task does nothing, and the end of it that tells how it went.
    fn flow(id: &str, secret: &str) -> (Arc<Flow>, watch::Sender<Status>) {
        let (tell, status) = watch::channel(Status::Pending);
        let flow = Flow {
            id: id.to_owned(),
            name: name(secret),
            provider: "Acme".to_owned(),
            authorization_url: Url::parse("https://acme.example/authorize").unwrap(),
            device: None,
            paste: None,
            token_endpoint: None,
            browser_opened: AtomicBool::new(false),
            deadline: Deadline::after(300),
            status,
            task: Some(tokio::spawn(async {}).abort_handle()),
        };
        (Arc::new(flow), tell)
    }

    #[tokio::test]
    async fn a_name_has_one_login_at_a_time_and_the_refusal_says_which() {
        let flows = Flows::default();
        let held = flows.reserve(&name("a")).unwrap();
        let (flow, _tell) = flow("f-1", "a");
        flows.add(flow);
        let error = flows.reserve(&name("a")).err().unwrap();
        assert!(error.code() == Code::Conflict && error.hint().contains("f-1"), "{error}");
        drop(held);
        assert!(flows.reserve(&name("a")).is_ok());
    }

    #[tokio::test]
    async fn too_many_logins_are_refused_and_the_old_ones_stay() {
        let flows = Flows::default();
        let held: Vec<_> = (0..MAX_PENDING).map(|index| flows.reserve(&name(&format!("n{index}"))).unwrap()).collect();
        assert_eq!(flows.reserve(&name("more")).err().unwrap().code(), Code::Limit);
        drop(held);
        assert!(flows.reserve(&name("more")).is_ok());
    }

    #[tokio::test]
    async fn finished_logins_are_forgotten_in_time_and_pending_ones_never() {
        let flows = Flows::default();
        let (first, _still_waiting) = flow("first", "first");
        flows.add(first);
        for index in 0..200 {
            let (flow, tell) = flow(&format!("f{index}"), "x");
            tell.send(Status::Failed(Error::new(Code::Expired, "over", ""))).unwrap();
            flows.add(flow);
        }
        assert!(flows.get("first").is_ok());
        assert_eq!(flows.get("f0").err().unwrap().code(), Code::UnknownFlow);
        assert!(flows.get("f199").is_ok());
        assert_eq!(flows.pending().len(), 1);
    }
}
