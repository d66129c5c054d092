//! What the revocation of a token came to, and when it is tried again.

use std::time::{Duration, SystemTime};

use super::explained;
use crate::error::Error;
use crate::sandbox::Failed;
use crate::secret::{Kind, SecretName};
use crate::vault::Tombstone;

/// Waits between tries, by how many there were; the last goes on.
const WAITS: [u64; 6] = [5, 30, 180, 1080, 6480, 21_600];
/// The longest that a server may ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// How long it is tried.
pub(super) const TRIED_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// What became of one token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The provider has ended it.
    Revoked,
    /// The provider did not know it any more.
    AlreadyGone,
    /// The provider has no way to end it: it stays good until it ends by itself.
    NotSupported,
    /// It did not work, and is tried again.
    Failed(Error),
}

impl Step {
    /// The words for it in answers.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Revoked => "revoked at the provider",
            Self::AlreadyGone => "already gone",
            Self::NotSupported => "not supported",
            Self::Failed(_) => "failed, will be retried",
        }
    }
}

/// A login that is gone from here, and what became of its tokens at the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revoked {
    /// The name that it had.
    pub name: SecretName,
    /// The provider's title.
    pub provider: String,
    /// The tokens, in the order in which they were revoked: [`Kind::Refresh`], [`Kind::Access`].
    pub steps: Vec<(Kind, Step)>,
    /// When the access token ends by itself, where known.
    pub access_ends: Option<SystemTime>,
}

impl Revoked {
    /// Whether nothing is left to be tried again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !self.steps.iter().any(|(_, step)| matches!(step, Step::Failed(_)))
    }
}

/// What a failed call means, and how long the server wants to be left alone.
pub(super) fn judge(title: &str, failed: Failed) -> (Step, Option<Duration>) {
    match &failed {
        Failed::Said(said) if said.code == "invalid_token" => (Step::AlreadyGone, None),
        Failed::Said(said) if matches!(said.code.as_str(), "unsupported" | "unsupported_token_type") => {
            (Step::NotSupported, None)
        }
        Failed::Said(_) => {
            let wait = failed.retry_after();
            (Step::Failed(explained(title, failed)), wait)
        }
        Failed::Fault(_) => (Step::Failed(explained(title, failed)), None),
    }
}

/// Whether a token that could not be revoked has ended by itself since.
pub(super) fn has_ended(tombstone: &Tombstone, kind: Kind, now: SystemTime) -> bool {
    tombstone.attempts > 0 && kind == Kind::Access && tombstone.grant.expires.is_some_and(|expires| expires <= now)
}

/// What stays of a tombstone after a try that left these tokens; `None`: nothing.
pub(super) fn left(tombstone: &Tombstone, left: Vec<Kind>, retry_after: Duration, now: SystemTime) -> Option<Tombstone> {
    if left.is_empty() {
        return None;
    }
    let wait = usize::try_from(tombstone.attempts).ok().and_then(|tries| WAITS.get(tries)).or(WAITS.last()).copied();
    let wait = Duration::from_secs(wait.unwrap_or_default()).max(retry_after.min(LONGEST));
    Some(Tombstone { pending: left, attempts: tombstone.attempts.saturating_add(1), not_before: now + wait, ..tombstone.clone() })
}

/// Whether it is time for another try. A date too far ahead is that of a clock that was wrong.
pub(super) fn is_due(tombstone: &Tombstone, now: SystemTime) -> bool {
    tombstone.not_before <= now || tombstone.not_before > now + LONGEST
}

/// Whether it was tried for long enough.
pub(super) fn is_hopeless(tombstone: &Tombstone, now: SystemTime) -> bool {
    now.duration_since(tombstone.buried).is_ok_and(|since| since > TRIED_FOR)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::broker::grant::sample;
    use crate::error::Code;
    use crate::sandbox::Failure;
    use crate::secret::Secret;
    use crate::vault::Grant;

    fn said(code: &str, details: &[(&str, &str)]) -> Failed {
        let details = details.iter().map(|(name, value)| ((*name).to_owned(), format!("\"{value}\""))).collect();
        Failed::Said(Failure { code: code.to_owned(), message: "\"So.\"".to_owned(), details })
    }

    fn tombstone(now: SystemTime, expires: Option<SystemTime>) -> Tombstone {
        let grant = Grant { refresh: Some(Secret::from("r")), issued: now, expires, ..sample() };
        Tombstone {
            id: "1".to_owned(),
            name: SecretName::parse("a").unwrap(),
            grant: Arc::new(grant),
            pending: vec![Kind::Refresh, Kind::Access],
            attempts: 0,
            not_before: now,
            buried: now,
        }
    }

    #[test]
    fn what_is_gone_or_cannot_be_is_done_and_all_else_is_tried_again() {
        assert_eq!(judge("Acme", said("invalid_token", &[])), (Step::AlreadyGone, None));
        assert_eq!(judge("Acme", said("unsupported", &[])), (Step::NotSupported, None));
        assert_eq!(judge("Acme", said("unsupported_token_type", &[])), (Step::NotSupported, None));
        let (step, wait) = judge("Acme", said("temporarily_unavailable", &[("retry_after", "120")]));
        assert!(matches!(step, Step::Failed(error) if error.code() == Code::Unavailable));
        assert_eq!(wait, Some(Duration::from_secs(120)));
        for failed in [said("invalid_client", &[]), Failed::Fault(Error::new(Code::ComponentFault, "It trapped.", ""))] {
            assert!(matches!(judge("Acme", failed), (Step::Failed(_), None)));
        }
    }

    #[test]
    fn each_try_waits_longer_and_as_long_as_the_server_wants() {
        let now = SystemTime::now();
        let mut tombstone = tombstone(now, None);
        let mut waits = Vec::new();
        for _ in 0..8 {
            tombstone = left(&tombstone, vec![Kind::Access], Duration::ZERO, now).unwrap();
            waits.push(tombstone.not_before.duration_since(now).unwrap().as_secs());
        }
        assert_eq!(waits, [5, 30, 180, 1080, 6480, 21_600, 21_600, 21_600]);
        assert_eq!((tombstone.attempts, tombstone.pending.as_slice()), (8, [Kind::Access].as_slice()));
        let asked = left(&tombstone, vec![Kind::Access], Duration::from_secs(30_000), now).unwrap();
        assert_eq!(asked.not_before, now + Duration::from_secs(30_000));
        assert!(!is_due(&asked, now) && is_due(&asked, now + Duration::from_secs(30_000)));
        assert!(is_due(&asked, now - Duration::from_secs(10 * 24 * 3600)), "the clock was wrong when it was written");
        assert!(left(&tombstone, vec![], Duration::ZERO, now).is_none());
        assert!(!is_hopeless(&tombstone, now) && is_hopeless(&tombstone, now + TRIED_FOR + Duration::from_secs(1)));
    }

    #[test]
    fn an_access_token_that_has_ended_by_itself_is_not_tried_again() {
        let now = SystemTime::now();
        let mut tombstone = tombstone(now, Some(now));
        assert!(!has_ended(&tombstone, Kind::Access, now), "the first try is always made: clocks differ");
        tombstone.attempts = 1;
        assert!(has_ended(&tombstone, Kind::Access, now) && !has_ended(&tombstone, Kind::Refresh, now));
    }
}
