//! `start_oauth_flow` and `await_oauth_flow`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rmcp::RoleServer;
use rmcp::service::RequestContext;
use serde_json::json;

use super::answers::{Answer, account, failure, success, unfinished};
use super::arguments::Arguments;
use super::progress::{self, Progress};
use crate::broker::Broker;
use crate::broker::flows::{Flow, Status};
use crate::broker::login::{LoggedIn, LoginMode, LoginRequest};
use crate::error::{Code, Error, Result, foreign};

/// Clients give a call up after 60 seconds; this leaves them time to hear the answer.
const WAIT: Duration = Duration::from_secs(45);

pub(super) async fn start(
    broker: &Arc<Broker>,
    mut arguments: Arguments,
    context: &RequestContext<RoleServer>,
    progress: &Progress<'_>,
) -> Result<Answer> {
    let request = LoginRequest {
        provider: arguments.text("provider")?,
        scopes: arguments.list("scopes")?,
        secret_name: arguments.text("secret_name")?,
        authorization_endpoint: arguments.optional_text("authorization_endpoint")?,
        token_endpoint: arguments.optional_text("token_endpoint")?,
        mode: arguments.optional_text("mode")?.as_deref().map(mode).transpose()?,
        // Only a person may say that another account's login is to be replaced.
        replace: false,
    };
    arguments.end()?;
    let started = tokio::select! {
        started = broker.start_login(request) => started?,
        () = context.ct.cancelled() => return Err(given_up()),
    };
    if !started.browser_opened {
        // Nobody can act before seeing the URL.
        return Ok(pending(&started.flow));
    }
    tokio::select! {
        answer = wait(broker, &started.flow.id, progress) => answer,
        () = context.ct.cancelled() => {
            broker.cancel_login(&started.flow);
            Err(given_up())
        }
    }
}

pub(super) async fn await_flow(
    broker: &Arc<Broker>,
    mut arguments: Arguments,
    context: &RequestContext<RoleServer>,
    progress: &Progress<'_>,
) -> Result<Answer> {
    let flow_id = arguments.text("flow_id")?;
    arguments.end()?;
    tokio::select! {
        answer = wait(broker, &flow_id, progress) => answer,
        () = context.ct.cancelled() => Err(given_up()),
    }
}

fn mode(word: &str) -> Result<LoginMode> {
    match word {
        "browser" => Ok(LoginMode::Browser),
        "device" => Ok(LoginMode::Device),
        _ => Err(Error::new(
            Code::InvalidArgument,
            format!("mode is {}.", foreign(word)),
            "Use \"browser\" or \"device\", or leave it out.",
        )),
    }
}

fn given_up() -> Error {
    Error::new(Code::Cancelled, "The call was cancelled.", "Call it again when the person is ready.")
}

async fn wait(broker: &Broker, flow_id: &str, progress: &Progress<'_>) -> Result<Answer> {
    let until = Instant::now() + WAIT;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let (flow, status) =
            broker.await_login(flow_id, if progress.is_wanted() { left.min(progress::EVERY) } else { left }).await?;
        match status {
            Status::Done(done) => return Ok(signed_in(&done)),
            Status::Failed(error) => return Ok(failure(&broker.redacted(error))),
            Status::Pending if Instant::now() >= until => return Ok(pending(&flow)),
            Status::Pending => progress.tell(format!("Waiting for the person to sign in with {}.", flow.provider)).await,
        }
    }
}

fn pending(flow: &Flow) -> Answer {
    let opened = flow.browser_opened.load(Ordering::Relaxed);
    let left = flow.deadline.steady().saturating_duration_since(Instant::now()).as_secs();
    let device = flow.device.as_ref();
    let how = match device {
        Some(device) => format!(
            "Show them the code {} and where to enter it, {}. They should enter it only if they want this sign-in; then call",
            device.user_code, device.verification_uri
        ),
        None if opened => "If the browser does not show it, show them the authorization_url as a link, then call".to_owned(),
        None => "Show them the authorization_url as a link, then call".to_owned(),
    };
    unfinished(json!({
        "status": "pending",
        "flow_id": flow.id,
        "authorization_url": flow.authorization_url.as_str(),
        "user_code": device.map(|device| device.user_code.as_str()),
        "verification_uri": device.map(|device| device.verification_uri.as_str()),
        "verification_uri_complete": device.and_then(|device| device.verification_uri_complete.as_ref()).map(url::Url::as_str),
        "token_endpoint": flow.token_endpoint.as_ref().map(url::Url::as_str),
        "expires_in": left,
        "browser_opened": opened,
        "message": format!(
            "Waiting for the person to sign in with {}. {how} await_oauth_flow with this flow_id. The tokens will be stored as '{}'.",
            flow.provider, flow.name
        ),
    }))
}

fn signed_in(done: &LoggedIn) -> Answer {
    let some = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());
    let mut message =
        format!("OAuth flow completed. Access token stored as '{}'. Use get_secret to get a reference to it.", done.name);
    if !done.missing_scopes.is_empty() {
        message.push_str(&format!(" Not granted: {}.", done.missing_scopes.join(", ")));
    }
    if !done.extra_scopes.is_empty() {
        message.push_str(&format!(" Granted beyond what was asked: {}.", done.extra_scopes.join(", ")));
    }
    success(json!({
        "message": message,
        "tokenType": "Bearer",
        "scope": done.scopes.join(" "),
        "expiresIn": done.expires_in,
        "hasRefreshToken": done.has_refresh_token,
        "account": done.account.as_ref().map(account),
        "missingScopes": some(&done.missing_scopes),
        "extraScopes": some(&done.extra_scopes),
    }))
}
