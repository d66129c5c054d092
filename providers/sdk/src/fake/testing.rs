//! A fake broker for native tests, one a thread.
//!
//! ```
//! # use credentials_broker_provider::{Provider, testing::{self, Broker}};
//! # struct Acme;
//! # impl Provider for Acme {
//! #     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
//! #         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
//! #           "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"] } }
//! #     ] }"#;
//! # }
//! Broker::of::<Acme>().set("client_id", "abc").answer("token", 200, r#"{ "access_token": "t", "expires_in": 60 }"#).start();
//!
//! let tokens = testing::exchange::<Acme>().unwrap();
//!
//! assert_eq!(tokens.fact("expires_in").as_deref(), Some("60"));
//! assert_eq!(testing::sent()[0].form("code"), Some("[code]"));
//! ```

use std::cell::RefCell;

use serde_json::Value;

use super::{Failure, Response, Secret, Tokens};
use crate::{Account, Device, Pairs, Provider, Refresh, Revocation, pair};

thread_local! {
    static CURRENT: RefCell<Option<Broker>> = const { RefCell::new(None) };
}

/// A fake broker with one provider.
#[derive(Debug)]
pub struct Broker {
    descriptor: Value,
    settings: Pairs,
    secrets: Vec<String>,
    pub(super) resolved: Pairs,
    answers: Vec<Answer>,
    sent: Vec<Sent>,
    pub(super) log: Pairs,
}

#[derive(Debug)]
struct Answer {
    endpoint: String,
    status: u16,
    headers: Pairs,
    body: Value,
}

/// A request as it went out; a secret stands there as its kind in brackets, such as `[code]`.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// The endpoint's id.
    pub endpoint: String,
    /// What fills its URL.
    pub arguments: Pairs,
    /// Headers that the component set.
    pub headers: Pairs,
    /// The form.
    pub form: Pairs,
    /// The JSON body, by pointer.
    pub json: Pairs,
    /// Scheme and user.
    pub authorization: Option<(String, String)>,
    pub(super) refused: Option<String>,
}

impl Sent {
    /// The form member of that name.
    #[must_use]
    pub fn form(&self, name: &str) -> Option<&str> {
        find(&self.form, name)
    }

    /// The header of that name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// What the broker would refuse it for.
    fn fault(&self, table: &Value) -> Option<String> {
        let url = table["url"].as_str().unwrap_or_default();
        let missing = url.split("{argument.").skip(1).filter_map(|rest| rest.split('}').next()).find(|name| {
            // dots climb out of their segment however they are encoded
            find(&self.arguments, name).is_none_or(|value| matches!(value, "" | "." | ".."))
        });
        if let Some(why) = &self.refused {
            return Some(why.clone());
        }
        if let Some(name) = missing {
            return Some(format!("the argument {name} is missing or unusable"));
        }
        if matches!(table["role"].as_str(), Some("authorization" | "jwks")) {
            return Some("components cannot reach an endpoint of that role".to_owned());
        }
        if self.headers.iter().any(|(_, value)| value.chars().any(char::is_control)) {
            return Some("a header's value has characters that no header may have".to_owned());
        }
        match (self.form.is_empty(), self.json.is_empty()) {
            (false, false) => Some("a request has a form or a JSON body, not both".to_owned()),
            (true, true) => None,
            _ if table["method"].as_str().is_none_or(|method| method == "GET") => Some("a GET request has a body".to_owned()),
            _ => None,
        }
    }

    /// The member of the JSON body at that pointer, as it was set.
    #[must_use]
    pub fn json(&self, pointer: &str) -> Option<&str> {
        find(&self.json, pointer)
    }

    /// The scheme the client authenticated with.
    #[must_use]
    pub fn scheme(&self) -> Option<&str> {
        self.authorization.as_ref().map(|(scheme, _)| scheme.as_str())
    }
}

impl Broker {
    /// A broker that read this provider's descriptor.
    ///
    /// # Panics
    /// If that is not JSON.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test is told of a broken descriptor by its failure")]
    pub fn of<P: Provider>() -> Self {
        Self {
            descriptor: serde_json::from_str(P::DESCRIPTOR).expect("the descriptor is JSON"),
            settings: Pairs::new(),
            secrets: Vec::new(),
            resolved: Pairs::new(),
            answers: Vec::new(),
            sent: Vec::new(),
            log: Pairs::new(),
        }
    }

    /// A plain setting.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.push(pair(name, value));
        self
    }

    /// A secret setting.
    #[must_use]
    pub fn set_secret(mut self, name: &str) -> Self {
        self.secrets.push(name.to_owned());
        self
    }

    /// What `resolve` gave.
    #[must_use]
    pub fn resolved(mut self, name: &str, value: &str) -> Self {
        self.resolved.push(pair(name, value));
        self
    }

    /// The next answer of an endpoint: JSON, or anything else for a body that the broker cannot read.
    #[must_use]
    pub fn answer(self, endpoint: &str, status: u16, body: &str) -> Self {
        self.answer_with(endpoint, status, &[], body)
    }

    /// The same with headers.
    #[must_use]
    pub fn answer_with(mut self, endpoint: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Self {
        self.answers.push(Answer {
            endpoint: endpoint.to_owned(),
            status,
            headers: headers.iter().map(|(name, value)| pair(*name, *value)).collect(),
            body: serde_json::from_str(body).unwrap_or(Value::Null),
        });
        self
    }

    /// Makes it the broker that this thread talks to.
    pub fn start(self) {
        CURRENT.set(Some(self));
    }

    pub(super) fn endpoint(&self, id: &str) -> Option<&Value> {
        self.descriptor["endpoints"].as_array()?.iter().find(|endpoint| endpoint["id"] == id)
    }

    fn declared(&self, name: &str) -> Option<&Value> {
        self.descriptor["settings"].as_array()?.iter().find(|setting| setting["name"] == name)
    }

    pub(super) fn setting_of(&self, name: &str) -> Option<String> {
        let default = || self.declared(name)?["default"].as_str();
        find(&self.settings, name).or_else(default).map(str::to_owned)
    }

    pub(super) fn secret_of(&self, name: &str) -> Option<Secret> {
        let kind = if name == "client_secret" { "client-secret" } else { "key" };
        self.secrets.iter().any(|known| known == name).then(|| Secret::of(kind))
    }

    pub(super) fn serve(&mut self, sent: Sent) -> Result<Response, Failure> {
        let refused = |why: &str| Failure::of("refused", why);
        let table = self.endpoint(&sent.endpoint).ok_or_else(|| refused("the endpoint is not in the table"))?.clone();
        if let Some(why) = sent.fault(&table) {
            return Err(refused(&why));
        }
        let next = self.answers.iter().position(|answer| answer.endpoint == sent.endpoint);
        self.sent.push(sent);
        let answer = self.answers.remove(next.ok_or_else(|| Failure::of("unreachable", "the test laid no answer ready"))?);
        Ok(Response { status: answer.status, headers: answer.headers, body: answer.body, table })
    }
}

/// What went out so far.
#[must_use]
pub fn sent() -> Vec<Sent> {
    with(|broker| broker.sent.clone())
}

/// What the component logged so far: level and message.
#[must_use]
pub fn logged() -> Pairs {
    with(|broker| broker.log.clone())
}

/// The end of a login: a code comes back to the usual address.
///
/// # Errors
/// The provider's.
pub fn exchange<P: Provider>() -> Result<Tokens, Failure> {
    P::exchange(&Secret::of("code"), &Secret::of("verifier"), "http://localhost:9876/oauth/callback")
}

/// A refresh.
///
/// # Errors
/// The provider's.
pub fn refresh<P: Refresh>() -> Result<Tokens, Failure> {
    P::refresh(&Secret::of("refresh"), &[], &[])
}

/// The revocation of a token of the kind `refresh` or `access`.
///
/// # Errors
/// The provider's.
pub fn revoke<P: Revocation>(kind: &str) -> Result<String, Failure> {
    P::revoke(&Secret::of(kind), &[])
}

/// Asks whose access token it is.
///
/// # Errors
/// The provider's.
pub fn account<P: Account>() -> Result<Pairs, Failure> {
    P::account(&Secret::of("access"), &[])
}

/// The start of a device flow with these scopes, separated by spaces; the kind of the handle that came, and the pairs.
///
/// # Errors
/// The provider's.
pub fn start_device<P: Device>(scopes: &str) -> Result<(String, Pairs), Failure> {
    let scopes = scopes.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    P::start(&scopes).map(|(code, pairs)| (code.kind(), pairs))
}

/// One poll of a device flow.
///
/// # Errors
/// The provider's.
pub fn poll_device<P: Device>() -> Result<Tokens, Failure> {
    P::poll(&Secret::of("device-code"))
}

/// The parameters of an authorization request for these scopes, separated by spaces.
///
/// # Errors
/// The provider's.
pub fn authorization<P: Provider>(scopes: &str) -> Result<Pairs, Failure> {
    P::authorization(&scopes.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

/// The value of that name.
#[must_use]
pub fn find<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// Runs with this thread's broker.
#[expect(clippy::expect_used, reason = "a test that forgot to start one is told so by its failure")]
pub(super) fn with<T>(use_it: impl FnOnce(&mut Broker) -> T) -> T {
    CURRENT.with_borrow_mut(|broker| use_it(broker.as_mut().expect("Broker::start was called in this test")))
}

pub(super) fn lists(table: &Value, list: &str, item: &str) -> bool {
    table.pointer(list).and_then(Value::as_array).is_some_and(|items| items.iter().any(|known| known == item))
}
