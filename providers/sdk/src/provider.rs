//! What every provider does.

use crate::standard::{self, ClientAuth};
use crate::{Failure, Pairs, Request, Response, Secret, Tokens};

/// A provider. Only the descriptor has no default: the rest is OAuth 2.0 as RFC 6749 has it, and a provider overrides
/// the piece that its service does differently.
pub trait Provider {
    /// What the operator reads: a JSON document as `wit/descriptor.schema.json` describes it. Best kept in a file of
    /// its own and taken in with `include_str!`.
    const DESCRIPTOR: &'static str;

    /// Issuer and endpoints, where they come from discovery or settings; see [`discovery`](crate::discovery). Not
    /// needed where every URL of the table is fixed or made of settings.
    ///
    /// # Errors
    /// What [`discovery::fetch`](crate::discovery::fetch) gives, or `not_configured`.
    fn resolve() -> Result<Pairs, Failure> {
        Ok(Pairs::new())
    }

    /// Extra parameters of the authorization request. `scopes` are those asked for; to add one that the descriptor
    /// lists in `scopes.may_add`, return it under the name `scope`.
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
    /// # Errors
    /// `unsupported`, where the server takes no method that the broker has.
    fn client_auth() -> Result<ClientAuth, Failure> {
        Ok(ClientAuth::Basic)
    }

    /// A last touch to a request to the token endpoint, such as a header.
    fn prepare(request: &Request) {
        let _ = request;
    }

    /// A last touch to what was made of the token endpoint's answer. Setting a fact again replaces it.
    fn finish(answer: &Response, tokens: &Tokens) {
        let _ = (answer, tokens);
    }

    /// What the service's own errors mean: a code of the contract, and a hint that says what to do.
    fn explain(failure: Failure, answer: &Response) -> Failure {
        let _ = answer;
        failure
    }

    /// Redeems an authorization code at the endpoint `token`.
    ///
    /// # Errors
    /// What the server answered, after [`explain`](Provider::explain).
    fn exchange(code: &Secret, verifier: &Secret, redirect_uri: &str) -> Result<Tokens, Failure> {
        standard::exchange::<Self>(code, verifier, redirect_uri)
    }
}
