//! A request put together in one expression.

use crate::{Failure, Pairs, Provider, Request, Response, Secret, Tokens, pair, standard};

/// A request to one endpoint of the table, built up and then sent. The same can be said to a [`Request`] line by line.
///
/// ```
/// # use credentials_broker_provider::{Call, Failure, Pairs, Provider, Secret, pair, testing::{self, Broker}};
/// # struct Acme;
/// # impl Provider for Acme {
/// #     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
/// #         { "id": "whoami", "role": "account", "url": "https://acme.example/v2/me",
/// #           "headers": ["accept"], "slots": { "authorization.bearer": ["access"] }, "readable": ["/login"] }
/// #     ] }"#;
/// # }
/// fn whoami(access: &Secret) -> Result<Pairs, Failure> {
///     let answer = Call::to("whoami").header("accept", "application/json").bearer(access).answer::<Acme>()?;
///     Ok(vec![pair("id", answer.field("/id").unwrap_or_default()), pair("name", answer.field("/login").unwrap_or_default())])
/// }
///
/// Broker::of::<Acme>().answer("whoami", 200, r#"{ "id": 7, "login": "alice" }"#).start();
///
/// assert_eq!(whoami(&testing::secret("access")).unwrap(), [pair("id", "7"), pair("name", "alice")]);
/// assert_eq!(testing::sent()[0].scheme(), Some("bearer"));
/// ```
#[derive(Debug)]
#[must_use = "a request that is not sent does nothing"]
pub struct Call(Request);

impl Call {
    /// To an endpoint whose URL needs no arguments.
    pub fn to(endpoint: &str) -> Self {
        Self(Request::new(endpoint, &[]))
    }

    /// To an endpoint, with what fills the `{argument.NAME}` places of its URL.
    pub fn with(endpoint: &str, arguments: &[(&str, &str)]) -> Self {
        let arguments: Pairs = arguments.iter().map(|(name, value)| pair(*name, *value)).collect();
        Self(Request::new(endpoint, &arguments))
    }

    /// A header that the table lists.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.0.header(name, value);
        self
    }

    /// A member of the form.
    pub fn form(self, name: &str, value: &str) -> Self {
        self.0.form(name, value);
        self
    }

    /// A secret as a form member, into the slot `form.NAME`.
    pub fn form_secret(self, name: &str, value: &Secret) -> Self {
        self.0.form_secret(name, value);
        self
    }

    /// A member of the JSON body, by JSON Pointer; `value` is JSON text.
    pub fn json(self, pointer: &str, value: &str) -> Self {
        self.0.json(pointer, value);
        self
    }

    /// A secret as a JSON string, into the slot `json.POINTER`.
    pub fn json_secret(self, pointer: &str, value: &Secret) -> Self {
        self.0.json_secret(pointer, value);
        self
    }

    /// A secret as a header's whole value, into the slot `header.NAME`.
    pub fn header_secret(self, name: &str, value: &Secret) -> Self {
        self.0.header_secret(name, value);
        self
    }

    /// `Authorization: Bearer`, into the slot `authorization.bearer`.
    pub fn bearer(self, token: &Secret) -> Self {
        self.0.authenticate("bearer", "", token);
        self
    }

    /// Says who the client is, as [`standard::authenticate`] does.
    ///
    /// # Errors
    /// `not_configured` without a client id, or what [`Provider::client_auth`] gives.
    pub fn client<P: Provider + ?Sized>(self) -> Result<Self, Failure> {
        standard::authenticate::<P>(&self.0)?;
        Ok(self)
    }

    /// Sends it. The answer may have any status.
    ///
    /// # Errors
    /// What the broker says: `refused`, `unreachable`, `timeout`, `too_large`, `malformed_answer`, `limit`.
    pub fn send(self) -> Result<Response, Failure> {
        self.0.send()
    }

    /// Sends it and takes an error in the answer for one, as [`standard::failure_in`] finds it.
    ///
    /// # Errors
    /// What the server answered, after [`Provider::explain`], or what the broker says.
    pub fn answer<P: Provider + ?Sized>(self) -> Result<Response, Failure> {
        let answer = self.send()?;
        match standard::failure_in(&answer) {
            Some(failure) => Err(P::explain(failure, &answer)),
            None => Ok(answer),
        }
    }

    /// Sends it to a token endpoint, client authentication included, and reads the tokens of its answer.
    ///
    /// # Errors
    /// What the server answered, after [`Provider::explain`], or what the broker says.
    pub fn tokens<P: Provider + ?Sized>(self) -> Result<Tokens, Failure> {
        standard::send::<P>(&self.0)
    }
}
