//! Which flow a request belongs to: the table of states.
//!
//! Only a digest of each state is kept, and compared in constant time against every flow of the path. A wrong state is
//! counted and changes nothing else, because any web page can send one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::request::Parts;
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tokio::sync::{mpsc, oneshot};

use super::request::{check_head, read_query};
use super::{Arrival, Page, Reply};
use crate::secret::Secret;

/// How many requests without the right state a flow stands for. Beyond, they get a shorter answer; the right state is
/// always taken, or else any web page could use the number up and end the flow.
const REQUESTS_PER_FLOW: u32 = 60;

/// How many flows that ended are remembered, for a page that says so.
const MAX_ENDED: usize = 64;

/// Names a flow within its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowId(u64);

/// What a flow is registered with.
pub(super) struct Registration<'a> {
    pub(super) path: &'a str,
    pub(super) state: &'a Secret,
    pub(super) title: &'a str,
    pub(super) arrival: mpsc::Sender<Arrival>,
}

/// What is to be done about a request.
#[derive(Debug)]
pub(super) enum Verdict {
    /// A page at once. The title is the provider's, where the request proved to belong to a flow.
    Answer(Page, Option<Arc<str>>),
    /// The flow has its answer; the page comes when the broker has decided.
    Arrived(oneshot::Receiver<Page>, Arc<str>),
}

/// The flows of one port.
#[derive(Debug)]
pub(super) struct Flows {
    /// What the `Host` header has to be.
    authority: String,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    pending: Vec<Flow>,
    ended: VecDeque<Ended>,
    /// How many more requests without the right state are answered in full.
    allowance: u32,
}

#[derive(Debug)]
struct Flow {
    id: FlowId,
    path: Box<str>,
    state: StateDigest,
    title: Arc<str>,
    wrong_states: u64,
    /// Taken by the one request that carries the right state.
    arrival: Option<mpsc::Sender<Arrival>>,
}

#[derive(Debug)]
struct Ended {
    path: Box<str>,
    state: StateDigest,
    title: Arc<str>,
    arrived: bool,
}

type StateDigest = [u8; 32];

fn digest(state: &Secret) -> StateDigest {
    Sha256::digest(state.expose().as_bytes()).into()
}

/// The place of the state among those of the same path. Looks at all of them, so that the time tells nothing.
fn position<'a>(state: &StateDigest, path: &str, entries: impl Iterator<Item = (&'a str, &'a StateDigest)>) -> Option<usize> {
    let mut found = u64::MAX;
    for (index, (entry_path, entry_state)) in (0u64..).zip(entries) {
        let same_path = subtle::Choice::from(u8::from(entry_path == path));
        found.conditional_assign(&index, entry_state.ct_eq(state) & same_path);
    }
    usize::try_from(found).ok().filter(|_| found != u64::MAX)
}

impl Flows {
    pub(super) fn new(authority: String) -> Self {
        Self { authority, table: Mutex::default() }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn register(&self, flow: Registration<'_>) -> FlowId {
        let mut table = self.table();
        let id = FlowId(table.next);
        table.next += 1;
        table.allowance = table.allowance.saturating_add(REQUESTS_PER_FLOW);
        table.pending.push(Flow {
            id,
            path: flow.path.into(),
            state: digest(flow.state),
            title: flow.title.into(),
            wrong_states: 0,
            arrival: Some(flow.arrival),
        });
        id
    }

    pub(super) fn end(&self, id: FlowId) {
        let mut table = self.table();
        let Some(index) = table.pending.iter().position(|flow| flow.id == id) else { return };
        let flow = table.pending.swap_remove(index);
        if table.ended.len() == MAX_ENDED {
            table.ended.pop_front();
        }
        table.ended.push_back(Ended { path: flow.path, state: flow.state, title: flow.title, arrived: flow.arrival.is_none() });
    }

    pub(super) fn wrong_states(&self, id: FlowId) -> u64 {
        self.table().pending.iter().find(|flow| flow.id == id).map_or(0, |flow| flow.wrong_states)
    }

    /// The same for an answer that was brought by hand, for this flow and no other.
    pub(super) fn judge_for(&self, id: FlowId, parts: &Parts) -> Verdict {
        self.table().judge(parts, &self.authority, Some(id))
    }

    /// Decides about a request, and gives its flow the answer if it is the one waited for. Does no I/O.
    pub(super) fn judge(&self, parts: &Parts) -> Verdict {
        let mut table = self.table();
        match table.judge(parts, &self.authority, None) {
            Verdict::Answer(page, None) if table.allowance == 0 && page != Page::Prefetch => Verdict::Answer(Page::TooMany, None),
            Verdict::Answer(page, None) => {
                table.allowance -= u32::from(table.allowance > 0);
                Verdict::Answer(page, None)
            }
            verdict => verdict,
        }
    }
}

impl Table {
    fn judge(&mut self, parts: &Parts, authority: &str, only: Option<FlowId>) -> Verdict {
        let refused = |page| Verdict::Answer(page, None);
        if let Err(page) = check_head(parts, authority) {
            return refused(page);
        }
        // Compared as it was sent: nothing is decoded or normalized, so nothing else can mean the same.
        let path = parts.uri.path();
        if !self
            .pending
            .iter()
            .map(|flow| &flow.path)
            .chain(self.ended.iter().map(|flow| &flow.path))
            .any(|known| &**known == path)
        {
            return refused(Page::NotFound);
        }
        let answer = match read_query(parts.uri.query().unwrap_or_default()) {
            Ok(answer) => answer,
            Err(page) => return refused(page),
        };
        let state = digest(&answer.state);
        if let Some(index) = position(&state, path, self.ended.iter().map(|flow| (&*flow.path, &flow.state))) {
            let page = if self.ended[index].arrived { Page::AlreadyUsed } else { Page::Expired };
            return Verdict::Answer(page, Some(Arc::clone(&self.ended[index].title)));
        }
        let Some(index) = position(&state, path, self.pending.iter().map(|flow| (&*flow.path, &flow.state))) else {
            for flow in self.pending.iter_mut().filter(|flow| &*flow.path == path) {
                flow.wrong_states = flow.wrong_states.saturating_add(1);
            }
            return refused(Page::Rejected);
        };
        if only.is_some_and(|id| self.pending[index].id != id) {
            return refused(Page::Rejected);
        }
        let flow = &mut self.pending[index];
        let title = Arc::clone(&flow.title);
        let Some(outcome) = answer.outcome else { return Verdict::Answer(Page::Rejected, Some(title)) };
        let Some(arrival) = flow.arrival.take() else { return Verdict::Answer(Page::AlreadyUsed, Some(title)) };
        let (reply, page) = oneshot::channel();
        // There is room for one, and this is the one. Where nobody listens any more, the reply is dropped and says so.
        let _ = arrival.try_send(Arrival { outcome, iss: answer.iss, reply: Reply(reply) });
        Verdict::Arrived(page, title)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callback::Outcome;

    const PATH: &str = "/oauth/callback";

    fn table() -> Flows {
        Flows::new("localhost:9876".to_owned())
    }

    fn register(flows: &Flows, path: &str, state: &str) -> (FlowId, mpsc::Receiver<Arrival>) {
        let (arrival, arrivals) = mpsc::channel(1);
        let id = flows.register(Registration { path, state: &Secret::from(state), title: "GitHub", arrival });
        (id, arrivals)
    }

    fn get(flows: &Flows, target: &str) -> Verdict {
        let request = http::Request::builder().uri(target).header("host", "localhost:9876").body(()).unwrap();
        flows.judge(&request.into_parts().0)
    }

    fn page(verdict: &Verdict) -> Page {
        match verdict {
            Verdict::Answer(page, _) => *page,
            Verdict::Arrived(..) => panic!("arrived"),
        }
    }

    #[test]
    fn a_wrong_state_leaves_the_flow_pending_and_is_counted() {
        let flows = table();
        let (id, mut arrivals) = register(&flows, PATH, "right");
        for query in ["code=c&state=wrong", "code=c&state=", "code=c", "error=access_denied&state=wrong", "error=access_denied"] {
            assert_eq!(page(&get(&flows, &format!("{PATH}?{query}"))), Page::Rejected, "{query}");
        }
        assert_eq!(flows.wrong_states(id), 5);
        assert!(arrivals.try_recv().is_err());
        assert!(matches!(get(&flows, &format!("{PATH}?code=c&state=right")), Verdict::Arrived(..)));
        assert!(matches!(arrivals.try_recv().unwrap().outcome, Outcome::Code(code) if code.expose() == "c"));
    }

    #[test]
    fn a_state_is_taken_once() {
        let flows = table();
        let (id, mut arrivals) = register(&flows, PATH, "s");
        let target = format!("{PATH}?code=c&state=s");
        assert!(matches!(get(&flows, &target), Verdict::Arrived(..)));
        assert_eq!(page(&get(&flows, &target)), Page::AlreadyUsed);
        assert!(arrivals.try_recv().is_ok());
        assert!(arrivals.try_recv().is_err());
        flows.end(id);
        assert_eq!(page(&get(&flows, &target)), Page::AlreadyUsed);
    }

    #[test]
    fn a_flow_that_ended_without_an_answer_has_expired() {
        let flows = table();
        let (first, _) = register(&flows, PATH, "first");
        let _second = register(&flows, "/oauth/callback/acme", "second");
        flows.end(first);
        assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=first"))), Page::Expired);
        assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=other"))), Page::Rejected);
    }

    #[test]
    fn a_state_counts_on_its_own_path_only() {
        let flows = table();
        let (_, mut honest) = register(&flows, PATH, "honest");
        let (other, mut arrivals) = register(&flows, "/oauth/callback/acme", "acme");
        assert_eq!(page(&get(&flows, "/oauth/callback/acme?code=c&state=honest")), Page::Rejected);
        assert_eq!(flows.wrong_states(other), 1);
        assert!(honest.try_recv().is_err() && arrivals.try_recv().is_err());
    }

    #[test]
    fn flows_of_one_path_are_told_apart_by_their_states() {
        let flows = table();
        let mut all: Vec<_> = ["a", "b", "c"].into_iter().map(|state| register(&flows, PATH, state)).collect();
        assert!(matches!(get(&flows, &format!("{PATH}?code=1&state=b")), Verdict::Arrived(..)));
        let arrived: Vec<bool> = all.iter_mut().map(|(_, arrivals)| arrivals.try_recv().is_ok()).collect();
        assert_eq!(arrived, [false, true, false]);
    }

    #[test]
    fn a_path_that_is_almost_right_is_wrong() {
        let flows = table();
        let (id, mut arrivals) = register(&flows, PATH, "s");
        for path in [
            "/",
            "//oauth/callback",
            "/x/../oauth/callback",
            "/oauth/callback/",
            "/oauth%2Fcallback",
            "/OAuth/callback",
            "/oauth/callback/acme",
            "/favicon.ico",
        ] {
            assert_eq!(page(&get(&flows, &format!("{path}?code=c&state=s"))), Page::NotFound, "{path}");
        }
        assert!(arrivals.try_recv().is_err());
        assert_eq!(flows.wrong_states(id), 0);
    }

    #[test]
    fn an_answer_that_makes_no_sense_leaves_the_flow_pending() {
        let flows = table();
        let (id, mut arrivals) = register(&flows, PATH, "s");
        for query in ["state=s", "code=c&error=e&state=s", "code=c&code=d&state=s", "code=%00&state=s"] {
            assert_eq!(page(&get(&flows, &format!("{PATH}?{query}"))), Page::Rejected, "{query}");
        }
        assert!(arrivals.try_recv().is_err());
        assert_eq!(flows.wrong_states(id), 0);
        assert!(matches!(get(&flows, &format!("{PATH}?code=c&state=s")), Verdict::Arrived(..)));
    }

    #[test]
    fn no_number_of_wrong_requests_uses_a_flow_up() {
        let flows = table();
        let (id, _arrivals) = register(&flows, PATH, "s");
        for _ in 0..REQUESTS_PER_FLOW {
            assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=x"))), Page::Rejected);
        }
        assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=x"))), Page::TooMany);
        assert_eq!(flows.wrong_states(id), u64::from(REQUESTS_PER_FLOW) + 1);
        assert!(matches!(get(&flows, &format!("{PATH}?code=c&state=s")), Verdict::Arrived(..)));
    }

    #[test]
    fn an_answer_that_is_brought_for_one_flow_is_not_given_to_another() {
        let flows = table();
        let (mine, mut mine_arrives) = register(&flows, PATH, "mine");
        let (_theirs, mut theirs_arrives) = register(&flows, PATH, "theirs");
        let brought = |state: &str| {
            let target = format!("{PATH}?code=c&state={state}");
            let request = http::Request::builder().uri(target).header("host", "localhost:9876").body(()).unwrap();
            flows.judge_for(mine, &request.into_parts().0)
        };
        assert_eq!(page(&brought("theirs")), Page::Rejected);
        assert_eq!(page(&brought("neither")), Page::Rejected);
        assert!(theirs_arrives.try_recv().is_err());
        assert!(matches!(brought("mine"), Verdict::Arrived(..)) && mine_arrives.try_recv().is_ok());
        assert_eq!(page(&brought("mine")), Page::AlreadyUsed);
    }

    #[test]
    fn only_so_many_ended_flows_are_remembered() {
        let flows = table();
        let _open = register(&flows, PATH, "open");
        for number in 0..=MAX_ENDED {
            let (id, _) = register(&flows, PATH, &number.to_string());
            flows.end(id);
        }
        assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=0"))), Page::Rejected);
        assert_eq!(page(&get(&flows, &format!("{PATH}?code=c&state=1"))), Page::Expired);
    }
}
