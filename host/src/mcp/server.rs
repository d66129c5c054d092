//! The MCP server: which tools there are, and which function each is.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{RoleServer, ServerHandler};
use tokio::runtime::Handle;

use super::answers::{Answer, failure};
use super::arguments::{Arguments, Members};
use super::progress::Progress;
use super::{INSTRUCTIONS, catalog, login, overview, request, secrets, tokens, transport};
use crate::broker::Broker;
use crate::error::{Code, Error, Result, foreign};

/// Serves one client.
pub(super) struct Server {
    broker: Arc<Broker>,
    /// Whether the audit trail knows who the client is.
    introduced: AtomicBool,
    calls: Mutex<Calls>,
    settled: Condvar,
}

/// What becomes of calls.
#[derive(Default)]
struct Calls {
    /// No more are begun.
    over: bool,
    /// One was begun at once, and its answer has not left yet.
    unsettled: bool,
}

impl Server {
    pub(super) fn new(broker: Arc<Broker>) -> Self {
        Self { broker, introduced: AtomicBool::new(false), calls: Mutex::default(), settled: Condvar::new() }
    }

    /// From now on no call is begun.
    pub(super) fn stop(&self) {
        self.calls().over = true;
    }

    /// Waits for the call that is being answered at once, at most for `limit`.
    pub(super) fn settled(&self, limit: Duration) {
        drop(self.settled.wait_timeout_while(self.calls(), limit, |calls| calls.unsettled));
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn introduce(&self, context: &RequestContext<RoleServer>) {
        if !self.introduced.swap(true, Ordering::Relaxed)
            && let Some(client) = context.client_info()
        {
            self.broker.audit().name_client(&client.name, &client.version);
        }
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let mut config = ServerConfig::new(ServerCapabilities::builder().enable_tools().build());
        config.server_info =
            Implementation::new("mcp-credentials-broker", env!("CARGO_PKG_VERSION")).with_title("Credentials Broker");
        config.instructions = Some(INSTRUCTIONS.to_owned());
        config
    }

    /// Not before: the client waits for its first answer.
    async fn on_initialized(&self, _: NotificationContext<RoleServer>) {
        self.broker.prepare().await;
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalog::tools().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        self.introduce(&context);
        // Boxed: what the SDK moves about for each message, a greeting too, has room for the largest call otherwise.
        let done = Box::pin(self.carry_out(request, &context)).await;
        Ok(done.unwrap_or_else(|error| failure(&self.broker.redacted(error))).into())
    }
}

impl Server {
    async fn carry_out(&self, request: CallToolRequestParams, context: &RequestContext<RoleServer>) -> Result<Answer> {
        let broker = &self.broker;
        let Some(name) = catalog::name(&request.name) else {
            return Err(Error::new(
                Code::InvalidArgument,
                format!("Unknown tool: {}.", foreign(&request.name)),
                "tools/list shows which there are.",
            ));
        };
        let not_begun = || {
            let what = "The broker did not begin this call: it is ending, or the call was cancelled.";
            Err(Error::new(Code::Cancelled, what, "Call it again."))
        };
        tokio::select! {
            biased;
            () = context.ct.cancelled() => return not_begun(),
            ready = broker.ready(name) => ready?,
        }
        if self.calls().over {
            return not_begun();
        }
        broker.catch_up();
        let arguments = Arguments::new(name, request.arguments.unwrap_or_default().into());
        let progress = Progress::of(context);
        let call = async {
            match name {
                "start_oauth_flow" => login::start(broker, arguments, context, &progress).await,
                "await_oauth_flow" => login::await_flow(broker, arguments, context, &progress).await,
                "revoke_secret" => secrets::revoke(broker, arguments).await,
                "mint_token" => tokens::mint(broker, arguments).await,
                "http_request" => request::send(broker, arguments, context).await,
                "list_providers" => overview::providers(broker, arguments).await,
                _ => Self::prompt(broker, name, arguments).await,
            }
        };
        if progress.is_wanted() { progress.during(broker.compiling(), Box::pin(call)).await } else { call.await }
    }

    /// The tools that wait for nobody, but for a provider where a login has to be renewed. Such a call may be given up
    /// while it waits, as a cancelled one is, and made again.
    async fn prompt(broker: &Broker, name: &'static str, arguments: Arguments) -> Result<Answer> {
        match name {
            "get_secret" => secrets::get(broker, arguments).await,
            "resolve_secret" => secrets::resolve(broker, arguments).await,
            "store_secret" => secrets::store(broker, arguments),
            "list_secrets" => secrets::list(broker, arguments),
            "delete_secret" => secrets::delete(broker, arguments),
            "revoke_token" => tokens::revoke(broker, arguments),
            "verify_token" => tokens::verify(broker, arguments),
            "read_response" => request::read(broker, arguments),
            "get_broker_stats" => overview::stats(broker, arguments),
            other => Err(Error::new(Code::Internal, format!("The tool {other} has no function."), "Report this.")),
        }
    }
}

/// The server, where it answers without waiting.
pub(super) struct AtOnce {
    pub(super) server: Arc<Server>,
    pub(super) runtime: Handle,
}

impl transport::AtOnce for AtOnce {
    fn knows(&self, tool: &str) -> bool {
        PROMPT.contains(&tool)
    }

    fn may_wait(&self, tool: &str) -> bool {
        WRITING.contains(&tool) && self.server.broker.is_shared()
    }

    fn answer(&self, tool: &str, arguments: Members) -> Option<Answer> {
        let Server { broker, introduced, .. } = &*self.server;
        let tool = PROMPT.into_iter().find(|prompt| *prompt == tool)?;
        // A vault that is locked may have to ask a person; and who the client is, only the SDK tells.
        if !introduced.load(Ordering::Relaxed) || !broker.is_ready() {
            return None;
        }
        {
            let mut calls = self.server.calls();
            if calls.over {
                return None;
            }
            calls.unsettled = true;
        }
        broker.audit().hold();
        // What outlives the call, such as a refresh, is begun as a task.
        let _runtime = self.runtime.enter();
        broker.catch_up();
        let call = pin!(Server::prompt(broker, tool, Arguments::new(tool, arguments)));
        // What goes wrong in one call ends no other, as on the SDK's tasks.
        let polled = catch_unwind(AssertUnwindSafe(|| call.poll(&mut Context::from_waker(Waker::noop()))));
        let internal = || Error::new(Code::Internal, format!("{tool} failed inside the broker."), "Report this.");
        match polled.unwrap_or_else(|_| Poll::Ready(Err(internal()))) {
            Poll::Ready(done) => Some(done.unwrap_or_else(|error| failure(&broker.redacted(error)))),
            Poll::Pending => None,
        }
    }

    fn settle(&self) {
        self.server.broker.audit().settle();
        let mut calls = self.server.calls();
        calls.unsettled = false;
        if calls.over {
            self.server.settled.notify_all();
        }
    }
}

/// What writes to the vault of that.
const WRITING: [&str; 2] = ["store_secret", "delete_secret"];

/// What [`Server::prompt`] does.
const PROMPT: [&str; 9] = [
    "get_secret",
    "resolve_secret",
    "store_secret",
    "list_secrets",
    "delete_secret",
    "revoke_token",
    "verify_token",
    "read_response",
    "get_broker_stats",
];
