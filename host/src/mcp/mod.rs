//! The face to agents: MCP over standard input and output. Translates; decides nothing.

mod answers;
mod arguments;
mod catalog;
mod login;
mod overview;
mod progress;
mod request;
mod secrets;
mod server;
mod tokens;
mod transport;

use std::io::{BufReader, Read, Stdin};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use rmcp::ServiceExt as _;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::broker::Broker;
use crate::broker::revocation::Revoked;
use crate::broker::secrets::Overview;
use crate::pipe::{Alert, Output};
use crate::vault::Account;

/// What agents are told about using the broker: the rules that also stand in the documentation.
pub const INSTRUCTIONS: &str = include_str!("../../../docs/agent-rules.md");

/// What is told of a secret, in the form of `list_secrets`: never its value.
#[must_use]
pub fn shown_secret(overview: &Overview) -> Value {
    secrets::shown(overview)
}

/// What is told of a revocation, in the form of `revoke_secret`.
#[must_use]
pub fn shown_revocation(revoked: &Revoked) -> Value {
    secrets::revoked(revoked)
}

/// What is told of an account.
#[must_use]
pub fn shown_account(account: &Account) -> Value {
    answers::account(account)
}

/// How long calls under way may take to answer once the client has gone.
const LEAVE: Duration = Duration::from_millis(300);

/// How long a server that is told to end waits for the call that is being answered at once before it writes down what was
/// done: another process may be writing to the vault.
const LAST: Duration = Duration::from_secs(1);

/// How long it waits for that in the end: longer than the vault waits for others, twice.
const LAST_OF_ALL: Duration = Duration::from_secs(12);

/// How much of the input is best read at once, in bytes: some hundred calls, whose answers fill more than one write. The
/// first read clears the whole buffer, which is a part of every start.
pub const READ: usize = 16 * 1024;

/// Standard input, for [`serve`].
#[must_use]
pub fn standard_input() -> BufReader<Alert<Stdin>> {
    BufReader::with_capacity(READ, Alert(std::io::stdin()))
}

/// Why a server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The client went: end of input, or nobody reads the output.
    ClientLeft,
    /// It was told to.
    Told,
}

/// Tells a server to end.
pub struct Stop {
    server: Arc<server::Server>,
    told: Arc<Notify>,
}

impl Stop {
    /// From when this returns no call is begun, whatever the server is busy with.
    pub fn tell(&self) {
        self.server.stop();
        self.told.notify_one();
    }
}

/// Serves one client until it goes, or the server is told to end. What is in the input's buffer already is answered first; then
/// `arm` is given what to tell it by, and only then a thread is started to read more. The broker is left, and whoever made it
/// shuts it ([`Broker::shut`]) once the runtime is gone: with that go calls that nobody waits for any longer.
pub async fn serve(
    broker: Arc<Broker>,
    input: BufReader<impl Read + Send + 'static>,
    output: impl Output,
    arm: impl FnOnce(Stop) + Send + 'static,
) -> End {
    let server = Arc::new(server::Server::new(Arc::clone(&broker)));
    let calls = Arc::clone(&server);
    let at_once = server::AtOnce { server: Arc::clone(&server), runtime: Handle::current() };
    let told = Arc::<Notify>::default();
    let stop = Stop { server: Arc::clone(&server), told: Arc::clone(&told) };
    let (lines, ends) = transport::Lines::new(input, output, at_once, move || arm(stop));
    // Boxed: as one type it is deeper than the compiler looks.
    let mut serving: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        // Err: the client left before it said a word.
        if let Ok(service) = server.serve(lines).await {
            let _ = service.waiting().await;
        }
    });
    let (end, over) = tokio::select! {
        () = &mut serving => (End::ClientLeft, true),
        () = ends.ended.notified() => (End::ClientLeft, false),
        () = told.notified() => (End::Told, true),
    };
    if end == End::Told {
        // Nothing more is answered, and what was done is written down: whoever told it may not wait for the rest.
        calls.settled(LAST);
        ends.shut();
        broker.audit().flush();
    }
    broker.leave().await;
    if !over {
        // Answers that are ready still go out; a call that waits for a person does not hold the process up.
        let _ = tokio::time::timeout(LEAVE, &mut serving).await;
    }
    ends.written().await;
    // Where nobody reads the output, or nobody waited long enough above, a call may still be under way, and others to come.
    calls.stop();
    calls.settled(LAST_OF_ALL);
    end
}
