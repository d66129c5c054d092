//! The MCP server: which tools there are, and which function each is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ErrorData, Implementation, ListToolsResult, PaginatedRequestParams,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};

use super::answers::failure;
use super::arguments::Arguments;
use super::progress::Progress;
use super::{INSTRUCTIONS, catalog, login, overview, request, secrets, tokens};
use crate::broker::Broker;
use crate::error::{Code, Error, foreign};

/// Serves one client.
pub(super) struct Server {
    broker: Arc<Broker>,
    /// Whether the audit trail knows who the client is.
    introduced: AtomicBool,
}

impl Server {
    pub(super) const fn new(broker: Arc<Broker>) -> Self {
        Self { broker, introduced: AtomicBool::new(false) }
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

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(catalog::tools().to_vec()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        self.introduce(&context);
        let broker = &self.broker;
        broker.catch_up();
        let Some(tool) = catalog::tools().iter().find(|tool| tool.name == request.name) else {
            let unknown = Error::new(
                Code::InvalidArgument,
                format!("Unknown tool: {}.", foreign(&request.name)),
                "tools/list shows which there are.",
            );
            return Ok(failure(&unknown).into());
        };
        let std::borrow::Cow::Borrowed(name) = tool.name else {
            return Err(ErrorData::internal_error("the catalog is not static", None));
        };
        if let Err(error) = broker.ready(name).await {
            return Ok(failure(&error).into());
        }
        let arguments = Arguments::new(name, request.arguments.unwrap_or_default());
        let progress = Progress::of(&context);
        let call = async {
            match name {
                "start_oauth_flow" => login::start(broker, arguments, &context, &progress).await,
                "await_oauth_flow" => login::await_flow(broker, arguments, &context, &progress).await,
                "get_secret" => secrets::get(broker, arguments).await,
                "resolve_secret" => secrets::resolve(broker, arguments).await,
                "store_secret" => secrets::store(broker, arguments),
                "list_secrets" => secrets::list(broker, arguments),
                "delete_secret" => secrets::delete(broker, arguments),
                "revoke_secret" => secrets::revoke(broker, arguments).await,
                "mint_token" => tokens::mint(broker, arguments).await,
                "revoke_token" => tokens::revoke(broker, arguments),
                "verify_token" => tokens::verify(broker, arguments),
                "http_request" => request::send(broker, arguments, &context).await,
                "read_response" => request::read(broker, arguments),
                "list_providers" => overview::providers(broker, arguments).await,
                "get_broker_stats" => overview::stats(broker, arguments),
                other => Err(Error::new(Code::Internal, format!("The tool {other} has no function."), "Report this.")),
            }
        };
        let done = if progress.is_wanted() { progress.during(broker.compiling(), Box::pin(call)).await } else { call.await };
        Ok(done.unwrap_or_else(|error| failure(&broker.redacted(error))).into())
    }
}
