//! What an answer makes of a grant.

use std::time::{Duration, SystemTime};

use super::decision::{MAX_TRIES, pause};
use crate::error::Error;
use crate::secret::Secret;
use crate::vault::{Grant, Renewal};

/// What a grant ends with whose refresh token may have been used up by a request that nobody heard the answer to.
pub(super) const UNKNOWN: &str = "its refresh token works once, and nobody knows whether the provider took it: the connection or the process ended before the answer";

/// What came of one refresh.
#[derive(Debug)]
pub(super) enum Answer {
    /// New tokens.
    Renewed(Box<Renewed>),
    /// Only a person can help: why, without a full stop.
    Ended(String),
    /// Nothing, this time.
    Failed(Trouble),
}

/// New tokens, checked.
#[derive(Debug)]
pub(super) struct Renewed {
    /// The access token.
    pub(super) access: Secret,
    /// The refresh token, if another one came.
    pub(super) refresh: Option<Secret>,
    /// The scopes, if the provider named them.
    pub(super) scopes: Option<Vec<String>>,
    /// From before the request was sent.
    pub(super) issued: SystemTime,
    /// From then; not known: none was told.
    pub(super) lifetime: Option<Duration>,
    /// What the component wants remembered, if it said so again.
    pub(super) notes: Vec<(String, String)>,
    /// Whether the refresh token works once.
    pub(super) strict_rotation: bool,
}

/// A refresh that brought no tokens and ended nothing.
#[derive(Debug)]
pub(super) struct Trouble {
    /// What the caller is told.
    pub(super) error: Error,
    /// Whether the provider may have taken the refresh token all the same.
    pub(super) unknown: bool,
    /// Whether it may pass by itself.
    pub(super) passing: bool,
    /// How long the provider wants to be left alone.
    pub(super) asked: Option<Duration>,
}

/// The grant afterwards.
pub(super) fn settle(grant: &Grant, answer: &Answer, now: SystemTime, chance: f64) -> Grant {
    match answer {
        Answer::Renewed(new) => Grant {
            access: new.access.clone(),
            refresh: new.refresh.clone().or_else(|| grant.refresh.clone()),
            scopes: new.scopes.clone().unwrap_or_else(|| grant.scopes.clone()),
            issued: new.issued,
            expires: new.lifetime.and_then(|life| new.issued.checked_add(life)),
            notes: if new.notes.is_empty() { grant.notes.clone() } else { new.notes.clone() },
            strict_rotation: grant.strict_rotation || new.strict_rotation,
            ended: None,
            renewal: Renewal::default(),
            ..grant.clone()
        },
        Answer::Ended(why) => ended(grant, why),
        Answer::Failed(trouble) => {
            // An open intent says that nobody knows. A token that can be used again needs no such memory.
            let intent = grant.renewal.intent.filter(|_| trouble.unknown && grant.strict_rotation);
            if intent.is_some_and(|open| open.tries >= MAX_TRIES) {
                return ended(grant, UNKNOWN);
            }
            let renewal = if trouble.passing || trouble.unknown {
                let failures = grant.renewal.failures.saturating_add(1);
                Renewal { intent, failures, not_before: now.checked_add(pause(failures, trouble.asked, chance)) }
            } else {
                Renewal { intent, ..Renewal::default() }
            };
            Grant { renewal, ..grant.clone() }
        }
    }
}

/// The same login, of which only a new one helps. Its tokens stay: they may still have to be revoked.
pub(super) fn ended(grant: &Grant, why: &str) -> Grant {
    Grant { ended: Some(why.to_owned()), renewal: Renewal::default(), ..grant.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::grant::sample;
    use crate::error::Code;
    use crate::vault::Intent;

    fn sent(strict: bool, tries: u32) -> Grant {
        let now = SystemTime::now();
        let renewal = Renewal { intent: Some(Intent { since: now, tries }), failures: 2, not_before: Some(now) };
        Grant {
            refresh: Some(Secret::from("old")),
            scopes: vec!["a".to_owned(), "b".to_owned()],
            notes: vec![("x".to_owned(), "1".to_owned())],
            strict_rotation: strict,
            renewal,
            ..sample()
        }
    }

    fn renewed(refresh: Option<&str>, scopes: Option<&[&str]>) -> Answer {
        Answer::Renewed(Box::new(Renewed {
            access: Secret::from("new access"),
            refresh: refresh.map(Secret::from),
            scopes: scopes.map(|scopes| scopes.iter().map(|scope| (*scope).to_owned()).collect()),
            issued: SystemTime::UNIX_EPOCH,
            lifetime: Some(Duration::from_secs(60)),
            notes: Vec::new(),
            strict_rotation: false,
        }))
    }

    fn failed(unknown: bool, passing: bool) -> Answer {
        let error = Error::new(Code::Unavailable, "", "");
        Answer::Failed(Trouble { error, unknown, passing, asked: Some(Duration::from_secs(7)) })
    }

    fn settled(grant: &Grant, answer: &Answer) -> Grant {
        settle(grant, answer, SystemTime::UNIX_EPOCH, 0.5)
    }

    #[test]
    fn t24_the_refresh_token_is_kept_where_none_comes_and_replaced_where_one_does() {
        let kept = settled(&sent(true, 1), &renewed(None, None));
        assert_eq!(kept.refresh.unwrap().expose(), "old");
        assert_eq!(kept.scopes, ["a", "b"]);
        assert_eq!(kept.notes.len(), 1);
        let new = settled(&sent(true, 1), &renewed(Some("new"), Some(&["a"])));
        assert_eq!(new.refresh.unwrap().expose(), "new");
        assert_eq!(new.scopes, ["a"], "narrower is what it is now");
        assert_eq!(new.renewal, Renewal::default());
        assert_eq!(new.expires, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60)), "from before it was sent");
        assert!(new.strict_rotation);
    }

    #[test]
    fn no_failure_takes_a_login_away() {
        for strict in [false, true] {
            for answer in [failed(false, true), failed(false, false), failed(true, true)] {
                let grant = settled(&sent(strict, 1), &answer);
                assert!(grant.ended.is_none() && grant.refresh.is_some(), "{strict} {answer:?}");
            }
        }
        let dead = settled(&sent(true, 1), &Answer::Ended("invalid_grant".to_owned()));
        assert_eq!(dead.ended.as_deref(), Some("invalid_grant"));
        assert!(dead.refresh.is_some() && dead.renewal == Renewal::default());
    }

    #[test]
    fn what_passes_is_tried_again_after_a_pause_and_what_does_not_at_once() {
        let passing = settled(&sent(false, 1), &failed(false, true)).renewal;
        assert_eq!((passing.intent, passing.failures), (None, 3));
        assert_eq!(passing.not_before, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(7)));
        assert_eq!(settled(&sent(false, 1), &failed(false, false)).renewal, Renewal::default());
    }

    #[test]
    fn t22_only_a_token_that_works_once_remembers_an_answer_that_never_came_and_then_only_once() {
        assert!(settled(&sent(true, 1), &failed(true, true)).renewal.intent.is_some());
        assert!(settled(&sent(true, 1), &failed(false, true)).renewal.intent.is_none(), "it was never sent");
        assert!(settled(&sent(false, 1), &failed(true, true)).renewal.intent.is_none());
        assert_eq!(settled(&sent(true, 2), &failed(true, true)).ended.as_deref(), Some(UNKNOWN));
        assert!(settled(&sent(false, 9), &failed(true, true)).ended.is_none());
    }
}
