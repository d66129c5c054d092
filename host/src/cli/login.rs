//! `login`: signs a person in, as start_oauth_flow does, and waits.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Options;
use super::failure::in_a_line;
use super::output::{print_json, say};
use super::session::Session;
use super::terminal::{Echo, Progress, hidden_line, interrupted};
use crate::broker::Broker;
use crate::broker::flows::{Flow, Status};
use crate::broker::login::{LoggedIn, LoginMode, LoginRequest};
use crate::error::{Code, Error, Result};
use crate::mcp;

#[derive(Debug, clap::Args)]
pub(super) struct Login {
    /// The provider, by the name or another name that `providers list` shows.
    provider: String,
    /// The name that the login gets. Default: the provider's.
    #[arg(long)]
    name: Option<String>,
    /// A scope to ask for; may be given more than once.
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Sign in with a code, at any other machine, where the provider and the client's registration allow it.
    #[arg(long, conflicts_with = "paste")]
    device: bool,
    /// Bring the address that the browser ends at by hand, where the browser cannot reach this machine.
    #[arg(long)]
    paste: bool,
    /// Replace the login of this name, even if it is another account's or client's.
    #[arg(long)]
    replace: bool,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(login: Login, options: &Options) -> Result<()> {
    Session::open(options, "login")?.run(async |broker| {
        let json = login.json;
        let done = sign_in(broker, login).await?;
        if json { print_json(&as_json(&done)) } else { say(&in_words(&done)) }
    })
}

async fn sign_in(broker: &Arc<Broker>, login: Login) -> Result<Arc<LoggedIn>> {
    let request = LoginRequest {
        secret_name: login.name.unwrap_or_else(|| login.provider.clone()),
        provider: login.provider,
        scopes: login.scopes,
        mode: if login.device {
            Some(LoginMode::Device)
        } else if login.paste {
            Some(LoginMode::Browser)
        } else {
            None
        },
        replace: login.replace,
        ..LoginRequest::default()
    };
    let mut ctrl_c = std::pin::pin!(interrupted());
    let started = tokio::select! {
        started = broker.start_login(request) => started?,
        () = &mut ctrl_c => return Err(given_up()),
    };
    let flow = started.flow;
    tell(&flow, started.browser_opened, login.paste);
    let _shown_again = Echo::keep();
    if login.paste {
        tokio::select! {
            pasted = paste_back(broker, &flow) => pasted?,
            () = &mut ctrl_c => {
                broker.cancel_login(&flow);
                return Err(given_up());
            }
        }
    }
    let progress = Progress::new();
    loop {
        progress.show(&format!("Waiting for you to sign in with {}: {} left. Ctrl-C ends it.", flow.provider, left(&flow)));
        let waited = tokio::select! {
            waited = broker.await_login(&flow.id, Duration::from_secs(1)) => waited?,
            () = &mut ctrl_c => {
                broker.cancel_login(&flow);
                return Err(given_up());
            }
        };
        match waited.1 {
            Status::Done(done) => return Ok(done),
            Status::Failed(error) => return Err(error),
            Status::Pending => {}
        }
    }
}

/// On standard error: standard output is for what came of it.
fn tell(flow: &Flow, browser_opened: bool, paste: bool) {
    let provider = &flow.provider;
    if let Some(device) = &flow.device {
        eprintln!("To sign in with {provider}, open this page in any browser:\n\n  {}\n", device.verification_uri);
        eprintln!("and enter this code, which is for you alone:\n\n  {}\n", device.user_code);
        return;
    }
    let first = if browser_opened {
        format!("Sign in with {provider} in the browser that was opened. If it does not show the page, open:")
    } else if paste {
        format!("To sign in with {provider}, open this page in any browser:")
    } else {
        format!("To sign in with {provider}, open this page in a browser on this machine:")
    };
    eprintln!("{first}\n\n  {}\n", flow.authorization_url);
    if paste {
        eprintln!("At the end the browser shows that it cannot reach localhost. Copy the address from its address bar.");
    }
}

/// Reads the address that the browser ended at. It holds the code: it is not shown, and said nowhere.
async fn paste_back(broker: &Arc<Broker>, flow: &Flow) -> Result<()> {
    const TRIES: usize = 3;
    let mut tried = 1;
    loop {
        let pasted = tokio::task::spawn_blocking(|| hidden_line("Paste it here (it is not shown): ", "the address")).await;
        let pasted = pasted.map_err(|_| Error::new(Code::Internal, "Nothing could be read.", "Try again."))??;
        match broker.complete_login(&flow.id, &pasted) {
            // the login is still waiting for the right one
            Err(error) if error.code() == Code::InvalidArgument && tried < TRIES && std::io::stdin().is_terminal() => {
                eprintln!("{}", in_a_line(&error));
                tried += 1;
            }
            Err(error) => {
                broker.cancel_login(flow);
                return Err(error);
            }
            Ok(()) => return Ok(()),
        }
    }
}

fn left(flow: &Flow) -> String {
    let seconds = flow.deadline.steady().saturating_duration_since(Instant::now()).as_secs();
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

fn given_up() -> Error {
    Error::new(Code::Cancelled, "The sign-in was ended. Nothing was stored.", "Start it again when you are ready.")
}

fn in_words(done: &LoggedIn) -> String {
    let account = done.account.as_ref().map(|account| account.label.as_ref().unwrap_or(&account.subject));
    let account = account.map_or_else(String::new, |account| format!(" as {}", crate::error::foreign(account)));
    let mut text = format!("Signed in with {}{account}. The login is stored as \"{}\".", done.provider, done.name);
    if !done.missing_scopes.is_empty() {
        text.push_str(&format!("\nNot granted: {}", done.missing_scopes.join(", ")));
    }
    if !done.extra_scopes.is_empty() {
        text.push_str(&format!("\nGranted beyond what was asked: {}", done.extra_scopes.join(", ")));
    }
    if !done.has_refresh_token
        && let Some(seconds) = done.expires_in
    {
        text.push_str(&format!(
            "\nIt cannot be renewed: it ends in {}.",
            humantime::format_duration(Duration::from_secs(seconds))
        ));
    }
    text
}

fn as_json(done: &LoggedIn) -> serde_json::Value {
    json!({
        "name": done.name.as_str(),
        "provider": done.provider_name,
        "account": done.account.as_ref().map(mcp::shown_account),
        "scopes": done.scopes,
        "missingScopes": done.missing_scopes,
        "extraScopes": done.extra_scopes,
        "expiresIn": done.expires_in,
        "hasRefreshToken": done.has_refresh_token,
    })
}
