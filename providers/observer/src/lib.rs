//! A component that tries to get at what it must not. A test of the sandbox, not a provider.
//!
//! Its setting `mode` says what to try:
//!
//! | mode | what it does |
//! |---|---|
//! | `read` | signs in as it should, then asks for everything it can think of: settings under secret names, every member, header and handle of every answer, its own memory |
//! | `read-and-fail` | the same, told through a failure |
//! | `list` | `resolve` names the attempts, under `attempts` |
//! | an attempt, such as `code-to-metadata` | builds a request that the table does not allow and sends it ([`reach`]) |
//! | `argument` | an argument that would climb out of its path segment, were it not encoded |
//! | `sent-twice` | sends a good request a second time |
//! | `swap-client-secret`, `swap-code`, `swap-other` | hands over as an access token what is none |
//! | `revoke-word`, `revoke-elsewhere`, `device-other`, `device-lie`, `device-swap` | misuses an optional interface ([`optional`]) |
//! | `trap`, `loop`, `memory` | breaks, never ends, takes all memory |
//! | `churn` | takes much memory and gives it back, again and again |
//!
//! It exports every optional interface too ([`optional`]).
//!
//! Whatever it could read it tells in every way there is ([`report`]): lines of the log, pairs of `resolve` and
//! `authorization`, notes of tokens, the message and details of a failure. A test that gives it canaries for secrets
//! and finds none in all of that has seen the first property held; one that counts what arrives at `base` and elsewhere,
//! the second.

mod memory;
mod optional;
mod reach;
mod read;
mod report;

use credentials_broker_provider::{
    Failure, Pairs, Provider, Refresh, Request, Response, Secret, Tokens, export_provider, pair, setting, setting_secret,
    standard,
};
use reach::Held;
use report::Report;

/// The observer.
pub struct Observer;

impl Provider for Observer {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn resolve() -> Result<Pairs, Failure> {
        if mode() == "list" {
            return Ok(vec![pair("attempts", reach::names())]);
        }
        let mut report = Report::default();
        read::surroundings(&mut report);
        if let Ok(answer) = Request::new("metadata", &[]).send() {
            read::answer(&answer, &mut report);
        }
        memory::search(&mut report);
        report.log();
        Ok(report.pairs())
    }

    fn authorization(scopes: &[String]) -> Result<Pairs, Failure> {
        let mut report = Report::default();
        scopes.iter().for_each(|scope| report.add("scope", scope));
        read::surroundings(&mut report);
        memory::search(&mut report);
        report.log();
        Ok(report.pairs())
    }

    fn exchange(code: &Secret, verifier: &Secret, redirect_uri: &str) -> Result<Tokens, Failure> {
        let request = Request::new("token", &[]);
        request.form("grant_type", "authorization_code");
        request.form("redirect_uri", redirect_uri);
        request.form_secret("code", code);
        request.form_secret("code_verifier", verifier);
        standard::authenticate::<Self>(&request)?;
        observe(&request, Held { code: Some(code), verifier: Some(verifier), ..Held::default() })
    }

    fn client_auth() -> Result<standard::ClientAuth, Failure> {
        Ok(standard::ClientAuth::Post)
    }
}

impl Refresh for Observer {
    fn refresh(token: &Secret, scopes: &[String], notes: &[(String, String)]) -> Result<Tokens, Failure> {
        let _ = (scopes, notes);
        let request = Request::new("token", &[]);
        request.form("grant_type", "refresh_token");
        request.form_secret("refresh_token", token);
        standard::authenticate::<Self>(&request)?;
        observe(&request, Held { refresh: Some(token), ..Held::default() })
    }
}

/// Does what the mode says, with a good request at hand and the secrets that this call was lent.
fn observe(good: &Request, lent: Held<'_>) -> Result<Tokens, Failure> {
    let client_secret = setting_secret("client_secret");
    let key = setting_secret("signing_key");
    let held = Held { client_secret: client_secret.as_ref(), key: key.as_ref(), ..lent };
    match mode().as_str() {
        "trap" => std::process::abort(),
        "loop" => loop {
            std::hint::black_box(());
        },
        "memory" => memory::exhaust(),
        "churn" => Err(memory::churn()),
        "argument" => {
            let climbing = pair("id", "x/../../token?a=b#c@evil.example");
            Err(told(Request::new("item", &[climbing]).send()))
        }
        "sent-twice" => {
            good.send()?;
            Err(told(good.send()))
        }
        "swap-client-secret" => swapped(held.client_secret),
        "swap-code" => swapped(held.code.or(held.refresh)),
        "swap-other" => swapped(good.send()?.secret("/team").as_ref()),
        mode => {
            if let Some(attempt) = reach::find(mode) {
                return Err(told(attempt(&held).send()));
            }
            read_everything(good, &held, mode == "read-and-fail")
        }
    }
}

fn read_everything(good: &Request, held: &Held<'_>, fail: bool) -> Result<Tokens, Failure> {
    let mut report = Report::default();
    read::surroundings(&mut report);
    held.all().for_each(|secret| read::handle("lent", secret, &mut report));
    let answer = good.send()?;
    read::answer(&answer, &mut report);
    let access = answer.secret("/access_token");
    if let Some(access) = &access {
        let request = Request::new("account", &[]);
        request.authenticate("bearer", "", access);
        if let Ok(account) = request.send() {
            read::answer(&account, &mut report);
        }
    }
    memory::search(&mut report);
    report.log();
    match access {
        Some(_) if !fail => {
            let tokens = standard::tokens_in(&answer)?;
            report.pairs().iter().for_each(|(name, value)| tokens.set(&format!("note.{name}"), value));
            Ok(tokens)
        }
        _ => Err(report.failure()),
    }
}

/// What became of a request that should not have left. The code is not the broker's own, so that it is not taken for it.
fn told(outcome: Result<Response, Failure>) -> Failure {
    match outcome {
        Ok(answer) => Failure::of("observed_an_answer", format!("sent: {} {}", answer.status(), answer.body())),
        Err(failure) => Failure::of("observed_a_refusal", format!("{}: {}", failure.code, failure.message)),
    }
}

fn swapped(secret: Option<&Secret>) -> Result<Tokens, Failure> {
    secret.map(Tokens::new).ok_or_else(|| Failure::of("nothing_to_swap", "That secret is not here."))
}

fn mode() -> String {
    setting("mode").unwrap_or_default()
}

export_provider!(Observer, Refresh, Revocation, Account, Device, Minting);

#[cfg(test)]
mod tests;
