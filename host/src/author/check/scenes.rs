//! The flows and faults, each with what must come of it.
//!
//! A scene says what was seen, or what was wrong and what to change. What the stage complains of is wrong whatever came
//! of the scene.

use super::Subject;
use super::play::{Outcome, Play};
use super::report::{Finding, Verdict};
use crate::error::{Code, Error};
use crate::rehearsal::stage::Fault;

/// What was wrong, and what to change.
struct Wrong {
    seen: String,
    change: &'static str,
}

type Seen = Result<String, Wrong>;

/// What must hold for a scene to be played.
#[derive(Clone, Copy)]
enum Claim {
    Login,
    Refresh,
    Device,
    /// A capability that no grant stands for: it is there or not.
    Account,
    Revocation,
}

/// A scene: its word, what is played, and what it takes.
struct Scene {
    id: &'static str,
    what: &'static str,
    claim: Claim,
    act: Act,
}

/// What a scene does.
#[derive(Clone, Copy)]
enum Act {
    SignIn,
    WrongState,
    /// A login at which the token endpoint goes wrong, and which must fail.
    Fails(Fault),
    Busy,
    TextExpiry,
    NoRefreshToken,
    Refresh,
    RefreshKeepsOld,
    RefreshRefused,
    RefreshBusy,
    Device,
    DeviceRefused,
    Account,
    Revoke,
}

const SCENES: &[Scene] = &[
    Scene {
        id: "sign-in",
        what: "a login: code, PKCE verifier, client authentication, tokens",
        claim: Claim::Login,
        act: Act::SignIn,
    },
    Scene {
        id: "wrong-state",
        what: "a callback with a wrong state, then the right one",
        claim: Claim::Login,
        act: Act::WrongState,
    },
    Scene {
        id: "refused",
        what: "the code is refused, in the service's own words",
        claim: Claim::Login,
        act: Act::Fails(Fault::Refused),
    },
    Scene {
        id: "error-with-200",
        what: "an error that comes with status 200",
        claim: Claim::Login,
        act: Act::Fails(Fault::RefusedWith200),
    },
    Scene { id: "text-expires-in", what: "expires_in as a text", claim: Claim::Login, act: Act::TextExpiry },
    Scene { id: "no-refresh-token", what: "a login without a refresh token", claim: Claim::Login, act: Act::NoRefreshToken },
    Scene { id: "busy", what: "status 503 with Retry-After", claim: Claim::Login, act: Act::Busy },
    Scene { id: "redirect", what: "a redirect in the place of an answer", claim: Claim::Login, act: Act::Fails(Fault::Redirect) },
    Scene { id: "page", what: "a page for people in the place of an answer", claim: Claim::Login, act: Act::Fails(Fault::Page) },
    Scene { id: "huge-body", what: "an answer larger than the broker takes", claim: Claim::Login, act: Act::Fails(Fault::Huge) },
    Scene {
        id: "hanging",
        what: "no answer at all, for as long as the broker waits",
        claim: Claim::Login,
        act: Act::Fails(Fault::Hanging),
    },
    Scene {
        id: "refresh",
        what: "two refreshes, the refresh token replaced each time",
        claim: Claim::Refresh,
        act: Act::Refresh,
    },
    Scene {
        id: "refresh-keeps-old",
        what: "a refresh whose answer has no refresh token, and another",
        claim: Claim::Refresh,
        act: Act::RefreshKeepsOld,
    },
    Scene { id: "refresh-refused", what: "the refresh token is refused", claim: Claim::Refresh, act: Act::RefreshRefused },
    Scene { id: "refresh-busy", what: "status 503 at a refresh, and another try", claim: Claim::Refresh, act: Act::RefreshBusy },
    Scene { id: "device", what: "a login by the device flow", claim: Claim::Device, act: Act::Device },
    Scene { id: "device-refused", what: "the device code is refused", claim: Claim::Device, act: Act::DeviceRefused },
    Scene { id: "account", what: "who signed in, by the component's own question", claim: Claim::Account, act: Act::Account },
    Scene {
        id: "revoke",
        what: "the login is revoked at the provider, refresh token and access token",
        claim: Claim::Revocation,
        act: Act::Revoke,
    },
];

/// Plays all of them, at the same time: one waits for an answer that never comes.
pub(super) async fn play(subject: &Subject) -> Vec<Finding> {
    let mut findings = Vec::with_capacity(SCENES.len());
    let hanging = SCENES.iter().filter(|scene| matches!(scene.act, Act::Fails(Fault::Hanging)));
    let others = SCENES.iter().filter(|scene| !matches!(scene.act, Act::Fails(Fault::Hanging)));
    let waiting = async {
        let mut found = Vec::new();
        for scene in hanging {
            found.push(scene.play(subject).await);
        }
        found
    };
    let rest = async {
        let mut found = Vec::new();
        for scene in others {
            found.push(scene.play(subject).await);
        }
        found
    };
    let (waited, rest) = tokio::join!(waiting, rest);
    findings.extend(rest);
    findings.extend(waited);
    findings
}

impl Scene {
    async fn play(&self, subject: &Subject) -> Finding {
        let finding = |verdict, seen, change: Option<&str>| Finding {
            id: self.id,
            verdict,
            what: self.what,
            seen,
            change: change.map(str::to_owned),
        };
        let descriptor = subject.descriptor();
        let claims = |grant: &str| descriptor.grants.iter().any(|known| known == grant);
        let able = &subject.drop_in.prepared;
        let missing = match self.claim {
            _ if !descriptor.can_log_in() => Some("the grant authorization_code"),
            Claim::Refresh if !claims("refresh_token") => Some("the grant refresh_token"),
            Claim::Device if !claims("device_code") => Some("the grant device_code"),
            Claim::Account if !able.can_tell_account() => Some("the capability Account"),
            Claim::Revocation if !able.can_revoke() => Some("the capability Revocation"),
            _ => None,
        };
        if let Some(what) = missing {
            return finding(Verdict::Skipped, format!("it does not claim {what}"), None);
        }
        let play = match Play::start(subject).await {
            Ok(play) => play,
            Err(error) => return finding(Verdict::Failed, error.message().to_owned(), Some(error.hint())),
        };
        let seen = self.act.perform(&play).await;
        play.end();
        match (seen, play.complaint()) {
            (Err(wrong), Some(complaint)) => {
                finding(Verdict::Failed, format!("{}; and {complaint}", wrong.seen), Some(wrong.change))
            }
            (Err(wrong), None) => finding(Verdict::Failed, wrong.seen, Some(wrong.change)),
            (Ok(_), Some(complaint)) => {
                finding(Verdict::Failed, complaint, Some("Send what the service expects; the standard of the SDK does."))
            }
            (Ok(seen), None) => finding(Verdict::Passed, seen, None),
        }
    }
}

impl Act {
    async fn perform(self, play: &Play<'_>) -> Seen {
        match self {
            Self::SignIn => sign_in(play).await,
            Self::WrongState => wrong_state(play).await,
            Self::Fails(fault) => fails(play, fault).await.map(|error| told(&error)),
            Self::Busy => busy(play).await,
            Self::TextExpiry => text_expiry(play).await,
            Self::NoRefreshToken => no_refresh_token(play).await,
            Self::Refresh => refresh(play).await,
            Self::RefreshKeepsOld => refresh_keeps_old(play).await,
            Self::RefreshRefused => refresh_refused(play).await,
            Self::RefreshBusy => refresh_busy(play).await,
            Self::Device => device(play).await,
            Self::DeviceRefused => device_refused(play).await,
            Self::Account => account(play).await,
            Self::Revoke => revoke(play).await,
        }
    }
}

fn told(error: &Error) -> String {
    format!("{}: {}", error.code().as_str(), error.message())
}

fn wrong(seen: impl Into<String>, change: &'static str) -> Wrong {
    Wrong { seen: seen.into(), change }
}

/// A login that must succeed.
async fn signed_in(play: &Play<'_>) -> Result<std::sync::Arc<crate::broker::login::LoggedIn>, Wrong> {
    let done = play.sign_in().await;
    done.map_err(|error| {
        wrong(
            format!("the login failed: {}", told(&error)),
            "Read an answer as the service gives it; if this is not how it answers, put its answers into the fixtures.",
        )
    })
}

fn stored(play: &Play<'_>) -> Result<std::sync::Arc<crate::vault::Grant>, Wrong> {
    let grant = play.grant().ok().flatten();
    grant.ok_or_else(|| wrong("the login is not stored", "This is the broker's own fault: report it."))
}

async fn sign_in(play: &Play<'_>) -> Seen {
    let done = signed_in(play).await?;
    let grant = stored(play)?;
    if !play.stage.is_newest_access(&grant.access) {
        return Err(wrong(
            "what is stored as the access token is not the one that the server gave",
            "Take the access token from the answer's member for it: Tokens::new(&answer.secret(\"/access_token\")).",
        ));
    }
    if let Some(token) = &grant.refresh
        && !play.stage.is_working_refresh(token)
    {
        return Err(wrong(
            "what is stored as the refresh token is not the one that the server gave",
            "Take the refresh token from the answer's member for it, with tokens.set_refresh.",
        ));
    }
    let lives = done.expires_in.map_or_else(|| "no expiry known".to_owned(), |seconds| format!("{seconds} s"));
    Ok(format!("scopes \"{}\", {lives}, refresh token: {}", done.scopes.join(" "), done.has_refresh_token))
}

async fn wrong_state(play: &Play<'_>) -> Seen {
    let begin = play.begin().await.map_err(|error| wrong(told(&error), "Make a plain login work first."))?;
    let (flow, back) = begin;
    let before = play.stage.requests();
    play.come_back(&back, "guessed").await.map_err(|error| wrong(told(&error), "This is the broker's own fault: report it."))?;
    if !play.waits(&flow).await || play.stage.requests() != before {
        return Err(wrong("a callback with a wrong state was not ignored", "This is the broker's own fault: report it."));
    }
    let back_again = play.come_back(&back, &back.state).await;
    back_again.map_err(|error| wrong(told(&error), "Make a plain login work first."))?;
    match play.finish(&flow).await {
        Ok(_) => Ok("ignored; the right one signed in".to_owned()),
        Err(error) => Err(wrong(told(&error), "Make a plain login work first.")),
    }
}

/// A login that must fail, and leave nothing behind.
async fn fails(play: &Play<'_>, fault: Fault) -> Result<Error, Wrong> {
    play.stage.go_wrong(Some(fault));
    let error = failed(play.sign_in().await)?;
    match play.grant() {
        Ok(None) => Ok(error),
        _ => Err(wrong("something was stored all the same", "This is the broker's own fault: report it.")),
    }
}

fn failed(outcome: Outcome) -> Result<Error, Wrong> {
    match outcome {
        Ok(_) => Err(wrong(
            "the login succeeded all the same",
            "Look for an error in every answer, whatever its status: standard::failure_in does.",
        )),
        Err(error) if matches!(error.code(), Code::ComponentFault | Code::Internal) => Err(wrong(
            told(&error),
            "Return a failure instead: a component that traps or reaches outside its table tells nobody what is wrong.",
        )),
        Err(error) => Ok(error),
    }
}

async fn busy(play: &Play<'_>) -> Seen {
    let error = fails(play, Fault::Busy).await?;
    if error.code() != Code::Unavailable {
        return Err(wrong(
            told(&error),
            "Return the code temporarily_unavailable for 429 and 5xx: it says that trying again may help.",
        ));
    }
    Ok(told(&error))
}

async fn text_expiry(play: &Play<'_>) -> Seen {
    play.stage.go_wrong(Some(Fault::TextExpiry));
    let done = signed_in(play).await?;
    match done.expires_in {
        Some(seconds) => Ok(format!("understood as {seconds} s")),
        None => {
            Err(wrong("the lifetime was lost", "Hand expires_in over as it came: tokens.set(\"expires_in\", …) takes texts too."))
        }
    }
}

async fn no_refresh_token(play: &Play<'_>) -> Seen {
    play.stage.go_wrong(Some(Fault::NoRefreshToken));
    let done = signed_in(play).await?;
    if done.has_refresh_token {
        return Err(wrong(
            "the broker was told of a refresh token that there is not",
            "Set a refresh token only if the answer has one.",
        ));
    }
    Ok("signed in, until the access token ends".to_owned())
}

/// A login that can be refreshed.
async fn refreshable(play: &Play<'_>) -> Result<(), Wrong> {
    signed_in(play).await?;
    if stored(play)?.refresh.is_none() {
        return Err(wrong(
            "the login has no refresh token, although the descriptor names the grant refresh_token",
            "Take it from the answer with tokens.set_refresh; if this service gives none here, put its answers into the fixtures.",
        ));
    }
    Ok(())
}

async fn refreshed(play: &Play<'_>) -> Result<(), Wrong> {
    let requests = play.stage.requests();
    play.use_later().await.map_err(|error| {
        wrong(
            format!("the refresh failed: {}", told(&error)),
            "Send the refresh token to the token endpoint: standard::refresh does.",
        )
    })?;
    let after = stored(play)?;
    if play.stage.requests() == requests || !play.stage.is_newest_access(&after.access) {
        return Err(wrong(
            "after the refresh the stored access token is not the new one",
            "Return the tokens of the new answer.",
        ));
    }
    match &after.refresh {
        Some(token) if play.stage.is_working_refresh(token) => Ok(()),
        _ => Err(wrong(
            "after the refresh the stored refresh token is not the one that works now",
            "Hand a new refresh token over with tokens.set_refresh; without one the broker keeps the old.",
        )),
    }
}

async fn refresh(play: &Play<'_>) -> Seen {
    refreshable(play).await?;
    refreshed(play).await?;
    refreshed(play).await?;
    Ok("each gave a new access token, with the newest refresh token".to_owned())
}

async fn refresh_keeps_old(play: &Play<'_>) -> Seen {
    refreshable(play).await?;
    play.stage.go_wrong(Some(Fault::NoRefreshToken));
    refreshed(play).await?;
    play.stage.go_wrong(None);
    refreshed(play).await?;
    Ok("the old refresh token was kept".to_owned())
}

async fn refresh_refused(play: &Play<'_>) -> Seen {
    refreshable(play).await?;
    play.stage.go_wrong(Some(Fault::Refused));
    match play.use_later().await {
        Err(error) if error.code() == Code::SignInAgain => Ok(told(&error)),
        Err(error) => Err(wrong(
            format!("the person is not asked to sign in again: {}", told(&error)),
            "Say invalid_grant for it in `explain`, whatever the service calls it: failure.as_code(\"invalid_grant\").",
        )),
        Ok(()) => Err(wrong("the refresh succeeded all the same", "Look for an error in every answer, whatever its status.")),
    }
}

async fn refresh_busy(play: &Play<'_>) -> Seen {
    refreshable(play).await?;
    play.stage.go_wrong(Some(Fault::Busy));
    match play.use_later().await {
        Err(error) if error.code() == Code::Unavailable => {}
        Err(error) => {
            return Err(wrong(told(&error), "Return the code temporarily_unavailable for 429 and 5xx: the login is still good."));
        }
        Ok(()) => return Err(wrong("the refresh succeeded all the same", "Look at the status of every answer.")),
    }
    play.stage.go_wrong(None);
    refreshed(play).await?;
    Ok("the login was kept, and refreshed later".to_owned())
}

async fn device(play: &Play<'_>) -> Seen {
    let done = play.sign_in_elsewhere().await.map_err(|error| {
        wrong(
            format!("the login failed: {}", told(&error)),
            "Ask the endpoint `device` for a code and the endpoint `token` for the outcome: the standard of Device does; say authorization_pending while the person has not finished.",
        )
    })?;
    if !play.stage.is_newest_access(&stored(play)?.access) {
        return Err(wrong("what is stored is not the access token that the server gave", "Return the tokens of the answer."));
    }
    Ok(format!("scopes \"{}\"", done.scopes.join(" ")))
}

async fn device_refused(play: &Play<'_>) -> Seen {
    play.stage.go_wrong(Some(Fault::Refused));
    failed(play.sign_in_elsewhere().await).map(|error| told(&error))
}

/// Asked by the broker at a login that no id_token vouches for, so one is made without the scope openid.
async fn account(play: &Play<'_>) -> Seen {
    let done = play.sign_in_without_openid().await.map_err(|error| wrong(told(&error), "Make a plain login work first."))?;
    match &done.account {
        Some(account) => Ok(format!("{}, {}", account.subject, account.label.as_deref().unwrap_or("without a name for people"))),
        None => Err(wrong(
            "the component did not say who signed in",
            "Return at least `id`; list the texts that it reads under `readable` in the table; if this is not how the service answers, put its answer into the fixtures.",
        )),
    }
}

async fn revoke(play: &Play<'_>) -> Seen {
    signed_in(play).await?;
    let grant = stored(play)?;
    let revoked = play.revoke().await.map_err(|error| wrong(told(&error), "This is the broker's own fault: report it."))?;
    let steps = revoked.steps.iter().map(|(kind, step)| format!("{}: {}", kind.as_str(), step.as_str()));
    let steps = steps.collect::<Vec<_>>().join(", ");
    if !revoked.is_complete() {
        return Err(wrong(
            steps,
            "Return `revoked` for the service's own way of saying so, and `unsupported` for a token that it cannot revoke.",
        ));
    }
    let ended = |token: &crate::secret::Secret| play.stage.revoked(token);
    if !ended(&grant.access) && !grant.refresh.as_ref().is_some_and(ended) {
        return Err(wrong(
            format!("neither token was revoked at the server ({steps})"),
            "Do not export Revocation if the service cannot revoke; otherwise send the token.",
        ));
    }
    Ok(steps)
}
