//! Use, renew, wait or give up.

use std::time::{Duration, SystemTime};

use super::clock::Moment;
use crate::broker::grant::{Freshness, freshness, renewable};
use crate::vault::{Grant, Intent, Renewal};

/// The pause after the first failure, and the longest; it doubles in between.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// A provider that asks for a longer one (`Retry-After`) is asked again after this.
const LONGEST_ASKED: Duration = Duration::from_secs(600);
/// A refresh token that works once is sent this often where nobody knows what became of it.
pub(super) const MAX_TRIES: u32 = 2;

/// What is to be done about a token that somebody wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Hand it out.
    Use,
    /// Renew it: urgent where nothing can be handed out before.
    Renew {
        /// Whether it has ended.
        urgent: bool,
    },
    /// It has ended, and the provider must be left alone for so long.
    Wait(Duration),
    /// Only a person can help.
    SignIn,
}

/// Decides. `rejected`: a service refused the token, whatever the clock says.
pub(super) fn decide(grant: &Grant, now: Moment, rejected: bool) -> Decision {
    let state = if rejected { Freshness::Expired } else { freshness(grant, now.reckoned) };
    let pause = pause_left(&grant.renewal, now.wall);
    match state {
        Freshness::Fresh => Decision::Use,
        Freshness::Due if !renewable(grant) || pause.is_some() => Decision::Use,
        Freshness::Due => Decision::Renew { urgent: false },
        Freshness::Expired if !renewable(grant) => Decision::SignIn,
        Freshness::Expired => pause.map_or(Decision::Renew { urgent: true }, Decision::Wait),
    }
}

/// What is left of the pause between two tries. One that is longer than any can be was written under another clock.
fn pause_left(renewal: &Renewal, now: SystemTime) -> Option<Duration> {
    let left = renewal.not_before?.duration_since(now).ok()?;
    (!left.is_zero() && left <= LONGEST_ASKED).then_some(left)
}

/// How long the provider is left alone after so many failures in a row. `asked` is its own wish; `chance`, from 0 to 1,
/// keeps those who failed together from trying again together.
pub(super) fn pause(failures: u32, asked: Option<Duration>, chance: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1_u32 << failures.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
    let pause = doubled / 2 + (doubled / 2).mul_f64(chance.clamp(0.0, 1.0));
    pause.max(asked.unwrap_or_default()).min(LONGEST_ASKED)
}

/// The intent to write down before a refresh token is sent, by whoever has the turn. `None`: it was sent too often
/// already. One that is open belongs to somebody who died, or who never learned what became of it.
pub(super) fn next_intent(grant: &Grant, now: SystemTime) -> Option<Intent> {
    let tries = grant.renewal.intent.map_or(0, |open| open.tries);
    let allowed = !grant.strict_rotation || tries < MAX_TRIES;
    allowed.then_some(Intent { since: now, tries: tries.saturating_add(1) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::grant::sample;
    use crate::secret::Secret;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A grant of an hour, issued at the epoch that the tests count from.
    fn grant() -> (SystemTime, Grant) {
        let grant = Grant { refresh: Some(Secret::from("r")), ..sample() };
        (grant.issued, grant)
    }

    fn at(now: SystemTime) -> Moment {
        Moment { wall: now, reckoned: now }
    }

    #[test]
    fn a_token_is_used_then_renewed_in_passing_then_urgently() {
        let (issued, grant) = grant();
        for (age, expected) in [
            (0, Decision::Use),
            (3539, Decision::Use),
            (3541, Decision::Renew { urgent: false }),
            (3600, Decision::Renew { urgent: true }),
            (1_000_000_000, Decision::Renew { urgent: true }),
        ] {
            assert_eq!(decide(&grant, at(issued + Duration::from_secs(age)), false), expected, "{age}");
        }
        assert_eq!(decide(&grant, at(issued), true), Decision::Renew { urgent: true }, "a service refused it");
    }

    #[test]
    fn without_a_refresh_token_it_is_used_to_its_end_and_then_a_person_has_to_sign_in() {
        let (issued, mut grant) = grant();
        let ended = Grant { ended: Some("invalid_grant".to_owned()), ..grant.clone() };
        grant.refresh = None;
        for grant in [grant, ended] {
            assert_eq!(decide(&grant, at(issued + HOUR - Duration::from_secs(1)), false), Decision::Use);
            assert_eq!(decide(&grant, at(issued + HOUR), false), Decision::SignIn);
            assert_eq!(decide(&grant, at(issued), true), Decision::SignIn);
        }
    }

    #[test]
    fn t43_a_clock_set_back_makes_a_token_due_and_one_set_far_forward_only_renews() {
        let (issued, grant) = grant();
        assert_eq!(decide(&grant, at(issued - HOUR), false), Decision::Renew { urgent: false });
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        assert_eq!(decide(&grant, at(issued + century), false), Decision::Renew { urgent: true });
        // ten minutes of difference between two machines or readings are nothing
        assert_eq!(decide(&grant, at(issued - Duration::from_secs(600)), false), Decision::Use);
        // set back by an hour after fifty minutes of its life: what the steady clock says counts
        let moment = Moment { wall: issued - Duration::from_secs(600), reckoned: issued + HOUR };
        assert_eq!(decide(&grant, moment, false), Decision::Renew { urgent: true });
    }

    #[test]
    fn t43_a_pause_is_kept_and_none_lasts_for_ever() {
        let (issued, mut grant) = grant();
        let now = issued + HOUR;
        grant.renewal.failures = 3;
        grant.renewal.not_before = Some(now + Duration::from_secs(4));
        assert_eq!(decide(&grant, at(now), false), Decision::Wait(Duration::from_secs(4)));
        assert_eq!(decide(&grant, at(now - Duration::from_secs(10)), false), Decision::Use, "only due: no pause to wait for");
        assert_eq!(decide(&grant, at(now + Duration::from_secs(4)), false), Decision::Renew { urgent: true });
        // written by a clock that was far ahead
        grant.renewal.not_before = Some(now + 1000 * HOUR);
        assert_eq!(decide(&grant, at(now), false), Decision::Renew { urgent: true });
    }

    #[test]
    fn pauses_double_vary_and_end_and_the_provider_may_ask_for_longer_ones() {
        let seconds =
            |failures, asked: Option<u64>, chance| pause(failures, asked.map(Duration::from_secs), chance).as_secs_f64();
        assert!((seconds(1, None, 0.0) - 0.5).abs() < 1e-6 && (seconds(1, None, 1.0) - 1.0).abs() < 1e-6);
        assert!((seconds(2, None, 1.0) - 2.0).abs() < 1e-6 && (seconds(5, None, 1.0) - 16.0).abs() < 1e-6);
        assert!((seconds(u32::MAX, None, 1.0) - 300.0).abs() < 1e-6);
        assert!((seconds(1, Some(30), 0.5) - 30.0).abs() < 1e-6);
        assert!((seconds(1, Some(86_400), 0.5) - 600.0).abs() < 1e-6);
    }

    #[test]
    fn a_token_that_works_once_is_tried_once_more_and_one_that_can_be_used_again_as_often_as_need_be() {
        let (now, mut grant) = grant();
        grant.strict_rotation = true;
        for expected in [Some(1), Some(2), None, None] {
            let next = next_intent(&grant, now);
            assert_eq!(next.map(|intent| intent.tries), expected);
            grant.renewal.intent = next.or(grant.renewal.intent);
        }
        grant.strict_rotation = false;
        assert_eq!(next_intent(&grant, now).unwrap().tries, 3);
    }
}
