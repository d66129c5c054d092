//! `mint_token`, `revoke_token`, `verify_token`.

use serde_json::json;

use super::answers::{Answer, success, unfinished};
use super::arguments::Arguments;
use crate::broker::Broker;
use crate::broker::tokens::MintRequest;
use crate::error::{Code, Error, Result};

pub(super) async fn mint(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let request = MintRequest {
        provider: arguments.text("provider")?,
        scopes: arguments.list("scopes")?,
        resource: arguments.optional_text("resource")?,
        ttl_seconds: arguments.any("ttl_seconds"),
    };
    arguments.end()?;
    let (minted, provider) = broker.mint_token(&request).await?;
    let claims = &minted.claims;
    let mut token = json!({
        "tokenId": claims.jti,
        "token": minted.token.expose(),
        "provider": provider,
        "scopes": claims.scope.split(' ').collect::<Vec<_>>(),
        "expiresAt": claims.exp * 1000,
        "expiresIn": claims.exp - claims.iat,
    });
    if let Some(resource) = &request.resource {
        token["resource"] = json!(resource);
    }
    Ok(success(json!({ "token": token, "message": "Token minted successfully. This token will expire automatically." })))
}

pub(super) fn revoke(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let token_id = arguments.text("token_id")?;
    arguments.end()?;
    // Not an error, as with the predecessor: the token is inactive either way.
    Ok(if broker.revoke_token(&token_id) {
        success(json!({ "message": "Token revoked successfully" }))
    } else {
        unfinished(json!({ "message": "Token not found or already expired" }))
    })
}

pub(super) fn verify(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let token = arguments.optional_text("token")?;
    let token_id = arguments.optional_text("token_id")?;
    arguments.end()?;
    let members = match (token, token_id) {
        (Some(token), None) => {
            let claims = broker.verify_token(&token);
            json!({ "active": claims.is_some(), "claims": claims })
        }
        (None, Some(token_id)) => json!({ "active": broker.is_active(&token_id) }),
        _ => {
            return Err(Error::new(
                Code::InvalidArgument,
                "verify_token needs exactly one of token and token_id.",
                "Call it again with exactly one of them.",
            ));
        }
    };
    Ok(success(members))
}
