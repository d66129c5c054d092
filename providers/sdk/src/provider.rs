//! What every provider does.

use crate::standard::{self, ClientAuth};
use crate::{Failure, Pairs, Request, Response, Secret, Tokens};

/// A provider. Only the descriptor has no default: the rest is OAuth 2.0 as RFC 6749 has it, and a provider overrides
/// the piece that its service does differently.
///
/// Each example below is a whole native test: [`testing`](crate::testing) plays the broker and holds the component to its
/// table.
pub trait Provider {
    /// What the operator reads: a JSON document as `wit/descriptor.schema.json` describes it. Best kept in a file of
    /// its own and taken in with `include_str!`.
    ///
    /// ```
    /// use credentials_broker_provider::{Provider, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{
    ///         "name": "acme", "title": "Acme", "version": "1.0.0",
    ///         "settings": [{ "name": "client_id", "env": ["ACME_CLIENT_ID"], "kind": "client-id", "required": true, "about": "The client." }],
    ///         "endpoints": [
    ///             { "id": "authorize", "role": "authorization", "url": "https://acme.example/authorize" },
    ///             { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///               "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"] } }
    ///         ],
    ///         "grants": ["authorization_code"],
    ///         "ttl": { "default": 3600, "maximum": 28800 }
    ///     }"#;
    /// }
    ///
    /// Broker::of::<Acme>().set("client_id", "me").answer("token", 200, r#"{ "access_token": "t" }"#).start();
    /// testing::exchange::<Acme>().unwrap();
    /// assert_eq!(testing::sent()[0].form("code_verifier"), Some("[verifier]"));
    /// ```
    const DESCRIPTOR: &'static str;

    /// Issuer and endpoints, where they come from discovery or settings; see [`discovery`](crate::discovery). Not
    /// needed where every URL of the table is fixed or made of settings.
    ///
    /// ```
    /// use credentials_broker_provider::{Failure, Pairs, Provider, discovery, testing::Broker};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "metadata", "role": "metadata", "url": "https://{host}/.well-known/openid-configuration" }
    ///     ] }"#;
    ///
    ///     fn resolve() -> Result<Pairs, Failure> {
    ///         discovery::fetch("metadata")?.ok_or_else(|| {
    ///             Failure::not_configured("There is no Acme at this host.").hint("Set ACME_HOST to the host you sign in at.")
    ///         })
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().answer("metadata", 404, "").start();
    /// assert_eq!(Acme::resolve().unwrap_err().code, "not_configured");
    /// ```
    ///
    /// # Errors
    /// What [`discovery::fetch`](crate::discovery::fetch) gives, or `not_configured`.
    fn resolve() -> Result<Pairs, Failure> {
        Ok(Pairs::new())
    }

    /// Extra parameters of the authorization request. `scopes` are those asked for; to add one that the descriptor
    /// lists in `scopes.may_add`, return it under the name `scope`.
    ///
    /// ```
    /// use credentials_broker_provider::{Failure, Pairs, Provider, pair, standard, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "scopes": { "may_add": ["offline_access"] } }"#;
    ///
    ///     fn authorization(scopes: &[String]) -> Result<Pairs, Failure> {
    ///         let mut extra = vec![pair("prompt", "consent")];
    ///         if !standard::asks_for(scopes, "offline_access") {
    ///             extra.push(pair("scope", "offline_access"));
    ///         }
    ///         Ok(extra)
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().start();
    /// assert_eq!(testing::authorization::<Acme>("read").unwrap(), [pair("prompt", "consent"), pair("scope", "offline_access")]);
    /// ```
    ///
    /// # Errors
    /// `not_configured` or `unsupported`, where it is clear beforehand that no login can come of it.
    fn authorization(scopes: &[String]) -> Result<Pairs, Failure> {
        let _ = scopes;
        Ok(Pairs::new())
    }

    /// How a confidential client authenticates at the token endpoint. Where no client secret is set the standard
    /// sends the client id alone, whatever this says.
    ///
    /// ```
    /// use credentials_broker_provider::{ClientAuth, Failure, Provider, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "authorization.post": ["client-secret"], "form.code": ["code"], "form.code_verifier": ["verifier"] } }
    ///     ] }"#;
    ///
    ///     fn client_auth() -> Result<ClientAuth, Failure> {
    ///         Ok(ClientAuth::Post)
    ///     }
    /// }
    ///
    /// let broker = Broker::of::<Acme>().set("client_id", "me").set_secret("client_secret");
    /// broker.answer("token", 200, r#"{ "access_token": "t" }"#).start();
    /// testing::exchange::<Acme>().unwrap();
    /// assert_eq!(testing::sent()[0].scheme(), Some("post"));
    /// ```
    ///
    /// # Errors
    /// `unsupported`, where the server takes no method that the broker has.
    fn client_auth() -> Result<ClientAuth, Failure> {
        Ok(ClientAuth::Basic)
    }

    /// A last touch to a request to the token endpoint, such as a header.
    ///
    /// ```
    /// use credentials_broker_provider::{Provider, Request, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "headers": ["acme-version"], "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"] } }
    ///     ] }"#;
    ///
    ///     fn prepare(request: &Request) {
    ///         request.header("acme-version", "2026-01-01");
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().set("client_id", "me").answer("token", 200, r#"{ "access_token": "t" }"#).start();
    /// testing::exchange::<Acme>().unwrap();
    /// assert_eq!(testing::sent()[0].header("acme-version"), Some("2026-01-01"));
    /// ```
    fn prepare(request: &Request) {
        let _ = request;
    }

    /// A last touch to what was made of the token endpoint's answer. Setting a fact again replaces it.
    ///
    /// ```
    /// use credentials_broker_provider::{Provider, Response, Tokens, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"] } }
    ///     ] }"#;
    ///
    ///     // scopes come separated by commas
    ///     fn finish(answer: &Response, tokens: &Tokens) {
    ///         tokens.set("scope", &answer.field("/scope").unwrap_or_default().replace(',', " "));
    ///     }
    /// }
    ///
    /// let broker = Broker::of::<Acme>().set("client_id", "me");
    /// broker.answer("token", 200, r#"{ "access_token": "t", "scope": "read,write" }"#).start();
    /// assert_eq!(testing::exchange::<Acme>().unwrap().fact("scope").as_deref(), Some("read write"));
    /// ```
    fn finish(answer: &Response, tokens: &Tokens) {
        let _ = (answer, tokens);
    }

    /// What the service's own errors mean: a code of the contract, and a hint that says what to do.
    ///
    /// ```
    /// use credentials_broker_provider::{Failure, Provider, Response, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"] } }
    ///     ] }"#;
    ///
    ///     fn explain(failure: Failure, _: &Response) -> Failure {
    ///         match failure.code.as_str() {
    ///             "code_already_used" => failure.as_code("invalid_grant").hint("Start the login again."),
    ///             _ => failure,
    ///         }
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().set("client_id", "me").answer("token", 400, r#"{ "error": "code_already_used" }"#).start();
    /// let failure = testing::exchange::<Acme>().unwrap_err();
    /// assert_eq!((failure.code.as_str(), failure.get("hint")), ("invalid_grant", Some("Start the login again.")));
    /// ```
    fn explain(failure: Failure, answer: &Response) -> Failure {
        let _ = answer;
        failure
    }

    /// Redeems an authorization code at the endpoint `token`.
    ///
    /// ```
    /// use credentials_broker_provider::{Call, Failure, Provider, Secret, Tokens, testing::{self, Broker}};
    ///
    /// struct Acme;
    ///
    /// // a service whose token endpoint takes JSON, with names of its own
    /// impl Provider for Acme {
    ///     const DESCRIPTOR: &'static str = r#"{ "endpoints": [
    ///         { "id": "token", "role": "token", "method": "POST", "url": "https://acme.example/token",
    ///           "slots": { "json./code": ["code"], "json./codeVerifier": ["verifier"] }, "secrets": { "/accessToken": "access" } }
    ///     ] }"#;
    ///
    ///     fn exchange(code: &Secret, verifier: &Secret, _: &str) -> Result<Tokens, Failure> {
    ///         let call = Call::to("token").json_secret("/code", code).json_secret("/codeVerifier", verifier);
    ///         let access = call.answer::<Self>()?.secret("/accessToken");
    ///         Ok(Tokens::new(&access.ok_or_else(|| Failure::malformed("There is no access token."))?))
    ///     }
    /// }
    ///
    /// Broker::of::<Acme>().answer("token", 200, r#"{ "accessToken": "t" }"#).start();
    /// testing::exchange::<Acme>().unwrap();
    /// ```
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn exchange(code: &Secret, verifier: &Secret, redirect_uri: &str) -> Result<Tokens, Failure> {
        standard::exchange::<Self>(code, verifier, redirect_uri)
    }
}
