//! What the author of a component says of the service it speaks to, in a file beside it: `NAME.fixtures.json`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// The file. Everything is optional: without it, the service is one that does what the RFCs say.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixtures {
    /// Settings, by name; `null` leaves one unset that the check would set.
    #[serde(default)]
    pub settings: BTreeMap<String, Option<String>>,
    /// The scopes to ask for.
    #[serde(default)]
    pub scopes: Option<Vec<String>>,
    /// Claims of id_tokens, over the usual ones.
    #[serde(default)]
    pub claims: Map<String, Value>,
    /// The service's own answers.
    #[serde(default)]
    pub answers: Vec<Answer>,
}

/// An answer of the service.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// The endpoint's id.
    pub endpoint: String,
    /// Only for this grant: `authorization_code`, `refresh_token`, `device_code`.
    #[serde(default)]
    pub grant: Option<String>,
    /// When it is given.
    #[serde(default)]
    pub when: When,
    /// The status. Not set: 200, or 400 where it says no.
    #[serde(default)]
    pub status: Option<u16>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body: JSON, or a text that is sent as it stands. `{access_token}`, `{refresh_token}`, `{id_token}`,
    /// `{device_code}`, `{scope}` and `{client_id}` in its texts are filled in. For a metadata document: members that
    /// differ from what the server says by itself.
    #[serde(default)]
    pub body: Value,
}

/// When an answer is given.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// All is well.
    #[default]
    Granted,
    /// The code or token is not accepted.
    Refused,
    /// The person has not finished yet (RFC 8628 section 3.5).
    Pending,
}

impl Fixtures {
    /// Reads the file's text.
    ///
    /// # Errors
    /// A sentence for the author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fixtures: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for answer in &fixtures.answers {
            if let Some(grant) = &answer.grant
                && !["authorization_code", "refresh_token", "device_code"].contains(&grant.as_str())
            {
                return Err(format!(
                    "an answer of {} is for the grant {grant}, which is none of authorization_code, refresh_token, device_code",
                    answer.endpoint
                ));
            }
            if answer.status.is_some_and(|status| !(200..=599).contains(&status)) {
                return Err(format!("an answer of {} has a status outside 200 to 599", answer.endpoint));
            }
        }
        Ok(fixtures)
    }

    /// The answer for this occasion: one for the very grant before one for any.
    pub(super) fn answer(&self, endpoint: &str, grant: Option<&str>, when: When) -> Option<&Answer> {
        let fitting = || self.answers.iter().filter(move |answer| answer.endpoint == endpoint && answer.when == when);
        let exact = fitting().find(|answer| answer.grant.is_some() && answer.grant.as_deref() == grant);
        exact.or_else(|| fitting().find(|answer| answer.grant.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_for_the_grant_comes_before_one_for_any() {
        let text = r#"{ "answers": [
            { "endpoint": "token", "status": 201 },
            { "endpoint": "token", "grant": "refresh_token", "status": 202 },
            { "endpoint": "token", "when": "refused", "status": 401 }
        ] }"#;
        let fixtures = Fixtures::parse(text).unwrap();
        let status = |grant, when| fixtures.answer("token", grant, when).and_then(|answer| answer.status);
        assert_eq!(status(Some("refresh_token"), When::Granted), Some(202));
        assert_eq!(status(Some("authorization_code"), When::Granted), Some(201));
        assert_eq!(status(Some("refresh_token"), When::Refused), Some(401));
        assert_eq!(status(None, When::Pending), None);
    }

    #[test]
    fn what_is_misspelt_is_not_ignored() {
        for wrong in [
            r#"{ "answer": [] }"#,
            r#"{ "answers": [{ "endpoint": "token", "when": "sometimes" }] }"#,
            r#"{ "answers": [{ "endpoint": "token", "grant": "code" }] }"#,
            r#"{ "answers": [{ "endpoint": "token", "status": 42 }] }"#,
        ] {
            assert!(Fixtures::parse(wrong).is_err(), "{wrong}");
        }
    }
}
