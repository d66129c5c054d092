//! The device flow (RFC 8628): the person signs in anywhere, by entering a code, and the broker asks until they have.
//!
//! | file | what it decides |
//! |---|---|
//! | `polling` | when to ask |
//! | `start` | what of the component's answer a person is shown |

mod polling;
mod start;

use std::time::{Instant, SystemTime};

use tokio::sync::watch;

pub use start::DeviceCode;
pub(super) use start::{Begun, read};

use super::attempt::Attempt;
use super::failure::{During, explain};
use super::flows::{Reservation, Status};
use crate::error::{Code, Error, Result};
use crate::sandbox::{Failed, Tokens};
use crate::secret::Secret;
use polling::{Asked, Heard, until_over};

impl Attempt {
    /// The flow's task. When it is aborted, the device code is forgotten, and nobody asks any more.
    pub(super) async fn run_device(self, begun: Begun, tell: watch::Sender<Status>, reservation: Reservation) {
        let Begun { code, polling, within, .. } = begun;
        let began = Instant::now();
        let asked = until_over(&began, polling, within, || self.poll(code.clone()));
        let result = match asked.await {
            Some(Ok((tokens, before))) => self.conclude(tokens, before, None).await,
            Some(Err(error)) => Err(error),
            None => Err(too_late(self.title())),
        };
        self.end(result, &tell, reservation);
    }

    /// Asks once; the tokens come with the time before they were asked for.
    async fn poll(&self, code: Secret) -> Asked<Result<(Tokens, SystemTime)>> {
        let before = SystemTime::now();
        match self.prepared.poll_device(&self.context, code).await {
            Ok(Some(tokens)) => Asked::Over(Ok((tokens, before))),
            Ok(None) => Asked::Over(Err(no_device_flow(self.title()))),
            Err(failed) => sort(self.title(), failed),
        }
    }
}

/// What a failed poll means: that the person has not finished, that nobody answers, or the end.
fn sort<T>(title: &str, failed: Failed) -> Asked<Result<T>> {
    let said = match failed {
        Failed::Fault(error) if error.code() == Code::Unavailable => return Asked::Again(Heard::Silence(None)),
        Failed::Said(said) => said,
        fault @ Failed::Fault(_) => return Asked::Over(Err(explain(title, During::Device, fault))),
    };
    match said.code.as_str() {
        "authorization_pending" => Asked::Again(Heard::Pending),
        "slow_down" => Asked::Again(Heard::SlowDown(said.seconds("interval"))),
        "temporarily_unavailable" | "server_error" | "unreachable" | "timeout" => {
            Asked::Again(Heard::Silence(said.seconds("retry_after")))
        }
        "expired_token" => Asked::Over(Err(too_late(title))),
        _ => Asked::Over(Err(explain(title, During::Device, Failed::Said(said)))),
    }
}

/// The error for a provider that has no device flow.
pub(super) fn no_device_flow(title: &str) -> Error {
    Error::new(
        Code::Unsupported,
        format!("{title} has no device flow, or its metadata names no endpoint for it."),
        "Sign in with mode \"browser\".",
    )
}

fn too_late(title: &str) -> Error {
    Error::new(
        Code::Expired,
        format!("Nobody entered the code for {title} in time."),
        "Ask the person whether they want to sign in, then call start_oauth_flow for a new code.",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sandbox::Failure;

    fn said(code: &str, details: &[(&str, &str)]) -> Failed {
        let details = details.iter().map(|(name, value)| ((*name).to_owned(), format!("\"{value}\""))).collect();
        Failed::Said(Failure { code: code.to_owned(), message: "\"It is so.\"".to_owned(), details })
    }

    #[test]
    fn t31_what_passes_is_asked_again_and_what_does_not_is_the_end() {
        let again = |failed| match sort::<()>("Acme", failed) {
            Asked::Again(heard) => heard,
            Asked::Over(over) => panic!("{over:?}"),
        };
        assert_eq!(again(said("authorization_pending", &[("interval", "5")])), Heard::Pending);
        assert_eq!(again(said("slow_down", &[])), Heard::SlowDown(None));
        assert_eq!(again(said("slow_down", &[("interval", "10")])), Heard::SlowDown(Some(Duration::from_secs(10))));
        assert_eq!(
            again(said("temporarily_unavailable", &[("retry_after", "30")])),
            Heard::Silence(Some(Duration::from_secs(30)))
        );
        assert_eq!(again(Failed::Fault(Error::new(Code::Unavailable, "No answer.", ""))), Heard::Silence(None));

        let over = |failed| match sort::<()>("Acme", failed) {
            Asked::Over(over) => over.unwrap_err().code(),
            Asked::Again(heard) => panic!("{heard:?}"),
        };
        assert_eq!(over(said("expired_token", &[])), Code::Expired);
        assert_eq!(over(said("access_denied", &[])), Code::Denied);
        assert_eq!(over(said("authorization_declined", &[])), Code::Denied);
        assert_eq!(over(said("malformed_answer", &[])), Code::ProviderError);
        assert_eq!(over(said("unauthorized_client", &[])), Code::Unsupported);
        assert_eq!(over(said("anything_new", &[])), Code::ProviderError);
        assert_eq!(over(Failed::Fault(Error::new(Code::ComponentFault, "It trapped.", ""))), Code::ComponentFault);
    }
}
