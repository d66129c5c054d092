//! Minting, revoking and verifying the broker's own tokens.

use serde_json::Value;

use super::Broker;
use super::authorization::check_scopes;
use super::minting::{Claims, Minted};
use super::ttl;
use crate::audit::{Event, Outcome};
use crate::error::{Code, Error, Result};

/// The longest resource, in characters.
const MAX_RESOURCE: usize = 2048;

/// What mint_token asks for.
#[derive(Debug, Clone, Default)]
pub struct MintRequest {
    /// The provider whose caps hold.
    pub provider: String,
    /// The scopes to write into it.
    pub scopes: Vec<String>,
    /// The audience.
    pub resource: Option<String>,
    /// As it came.
    pub ttl_seconds: Option<Value>,
}

impl Broker {
    /// Signs a token.
    ///
    /// # Errors
    /// `unknown_provider`, `invalid_argument`, `invalid_ttl` (too long is refused here, not clipped), `limit`.
    pub async fn mint_token(&self, request: &MintRequest) -> Result<(Minted, String)> {
        let minted = self.sign(request).await;
        self.audit.record(Event {
            event: "mint_token",
            outcome: if minted.is_ok() { Outcome::Ok } else { Outcome::Refused },
            provider: Some(&request.provider),
            reference: minted.as_ref().ok().map(|(minted, _)| minted.claims.jti.as_str()),
            code: minted.as_ref().err().map(Error::code),
            ..Event::default()
        });
        minted
    }

    async fn sign(&self, request: &MintRequest) -> Result<(Minted, String)> {
        if request.provider == "custom" {
            return Err(Error::new(
                Code::UnknownProvider,
                "\"custom\" never was a provider that could mint.",
                "Use one that list_providers shows, or ask the operator to add a component of that name.",
            ));
        }
        let provider = self.providers.get(&request.provider).await?;
        let descriptor = provider.descriptor();
        let scopes = check_scopes(&descriptor.name, &request.scopes, provider.operator().scopes.as_deref())?;
        if scopes.is_empty() {
            return Err(Error::new(
                Code::InvalidArgument,
                "A token needs at least one scope.",
                "Name the scopes that the work needs.",
            ));
        }
        if request.resource.as_ref().is_some_and(|resource| {
            resource.is_empty() || resource.chars().count() > MAX_RESOURCE || resource.chars().any(char::is_control)
        }) {
            return Err(Error::new(
                Code::InvalidArgument,
                "This is no resource.",
                format!("Use 1 to {MAX_RESOURCE} characters, or leave it out."),
            ));
        }
        let caps = ttl::caps(descriptor.ttl, self.max_ttl);
        let seconds = ttl::parse(request.ttl_seconds.as_ref(), caps)?;
        if seconds > caps.maximum {
            return Err(Error::new(
                Code::InvalidTtl,
                format!("TTL {seconds}s exceeds maximum {}s for provider {}.", caps.maximum, descriptor.name),
                format!("Use 1 to {}, or leave ttl_seconds out for {}.", caps.maximum, caps.default),
            ));
        }
        let minted = self.mint().issue(&descriptor.name, &scopes, request.resource.as_deref(), seconds)?;
        Ok((minted, descriptor.name.clone()))
    }

    /// Revokes a token of this broker; false where there is nothing to revoke.
    pub fn revoke_token(&self, token_id: &str) -> bool {
        let revoked = self.mint().revoke(token_id);
        self.audit.record(Event {
            event: "revoke_token",
            outcome: if revoked { Outcome::Ok } else { Outcome::Refused },
            reference: Some(token_id),
            ..Event::default()
        });
        revoked
    }

    /// Whether a token is active: its claims then.
    #[must_use]
    pub fn verify_token(&self, token: &str) -> Option<Claims> {
        self.mint().verify(token)
    }

    /// Whether the token of that id is active.
    #[must_use]
    pub fn is_active(&self, token_id: &str) -> bool {
        self.mint().is_active(token_id)
    }

    /// Why mint_token cannot work, if so: told at the start, on standard error.
    #[must_use]
    pub fn mint_problem(&self) -> Option<Error> {
        self.mint().problem().cloned()
    }
}
