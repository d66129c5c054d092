//! `store_secret`, `get_secret`, `resolve_secret`, `list_secrets`, `delete_secret`, `revoke_secret`.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::{Value, json};

use super::answers::{Answer, account, success, written};
use super::arguments::Arguments;
use crate::broker::Broker;
use crate::broker::revocation::{Revoked, Step};
use crate::broker::secrets::Overview;
use crate::broker::spending::limits::Limits;
use crate::broker::ttl::millis;
use crate::error::Result;
use crate::secret::Kind;
use crate::vault::Stored;

/// Said with every value that is handed out.
const IN_THE_CONTEXT: &str =
    "The value is in your context now, and in whatever logs it. http_request spends a secret without showing it.";

/// Said with every reference.
const HOW_TO_USE_IT: &str = "Secret reference issued successfully. Pass its id to http_request as reference_id, and the broker adds \
                             the secret; resolve_secret gives the value itself, where that is allowed.";

pub(super) fn store(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let name = arguments.text("name")?;
    let value = arguments.secret("value")?;
    let tags = arguments.tags("tags")?;
    arguments.end()?;
    let name = broker.store_secret(&name, value, tags)?;
    Ok(success(json!({ "message": format!("Secret '{name}' stored successfully") })))
}

pub(super) async fn get(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let name = arguments.text("name")?;
    let purpose = arguments.text("purpose")?;
    let ttl_seconds = arguments.any("ttl_seconds");
    let max_uses = arguments.any("max_uses");
    let limits = Limits::parse(max_uses.as_ref(), arguments.optional_list("hosts")?, arguments.optional_list("methods")?)?;
    arguments.end()?;
    let issued = broker.get_narrowed_secret(&name, &purpose, ttl_seconds.as_ref(), limits).await?;
    let message = match issued.clipped {
        Some(why) => Cow::Owned(format!("{HOW_TO_USE_IT} It lives {} seconds only: {why}.", issued.lifetime)),
        None => Cow::Borrowed(HOW_TO_USE_IT),
    };
    let limits = &issued.limits;
    let reference = Reference {
        id: &issued.id,
        name: issued.name.as_str(),
        purpose: &issued.purpose,
        expires_at: millis(issued.deadline.wall()),
        expires_in: issued.lifetime,
        max_uses: limits.max_uses,
        hosts: limits.hosts.as_deref(),
        methods: limits.methods.as_deref(),
    };
    Ok(written(&Issue { reference, message: &message }))
}

#[derive(Serialize)]
struct Issue<'a> {
    reference: Reference<'a>,
    message: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reference<'a> {
    id: &'a str,
    name: &'a str,
    purpose: &'a str,
    expires_at: u64,
    expires_in: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_uses: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hosts: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    methods: Option<&'a [String]>,
}

#[derive(Serialize)]
struct Resolved<'a> {
    value: &'a str,
    warning: &'static str,
}

pub(super) async fn resolve(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let reference_id = arguments.text("reference_id")?;
    arguments.end()?;
    let value = broker.resolve_secret(&reference_id).await?;
    Ok(written(&Resolved { value: value.expose(), warning: IN_THE_CONTEXT }))
}

pub(super) fn delete(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let name = arguments.text("name")?;
    arguments.end()?;
    let name = broker.delete_secret(&name)?;
    Ok(success(json!({
        "message": format!("Secret '{name}' is forgotten, and references to it have ended. Nothing was revoked at a provider."),
    })))
}

pub(super) async fn revoke(broker: &Broker, mut arguments: Arguments) -> Result<Answer> {
    let name = arguments.text("name")?;
    arguments.end()?;
    Ok(success(revoked(&broker.revoke_secret(&name).await?)))
}

pub(super) fn revoked(revoked: &Revoked) -> Value {
    let Revoked { name, provider, steps, access_ends } = revoked;
    let mut message = format!("The login '{name}' with {provider} is gone from here, and references to it have ended.");
    let mut shown = Vec::new();
    for (kind, step) in steps {
        let (token, title) = if *kind == Kind::Refresh { ("refresh", "Refresh") } else { ("access", "Access") };
        message.push_str(&format!(" {title} token: {}.", step.as_str()));
        let reason = match step {
            Step::Failed(error) => Some(error.message().to_owned()),
            Step::NotSupported => Some(format!("{provider} has no way to end it; it stays good until it ends by itself.")),
            Step::Revoked | Step::AlreadyGone => None,
        };
        let ends = access_ends.filter(|_| *kind == Kind::Access && matches!(step, Step::Failed(_) | Step::NotSupported));
        let mut step = json!({ "token": token, "result": step.as_str() });
        if let Some(reason) = reason {
            step["reason"] = reason.into();
        }
        if let Some(ends) = ends {
            step["endsAt"] = millis(ends).into();
        }
        shown.push(step);
    }
    json!({ "message": message, "steps": shown })
}

pub(super) fn list(broker: &Broker, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    let secrets: Vec<Value> = broker.list_secrets()?.iter().map(shown).collect();
    Ok(success(json!({ "secrets": secrets })))
}

pub(super) fn shown(overview: &Overview) -> Value {
    let Overview { name, record, state } = overview;
    let mut shown = json!({ "name": name.as_str(), "state": state, "tags": record.tags, "createdAt": millis(record.created) });
    let more = match &record.stored {
        Stored::Static(_) => json!({ "kind": "static" }),
        Stored::Grant(grant) => json!({
            "kind": "oauth",
            "provider": grant.provider,
            "account": grant.account.as_ref().map(account),
            "scopes": grant.scopes,
            "expiresAt": grant.expires.map(millis),
            "hasRefreshToken": grant.refresh.is_some() && grant.ended.is_none(),
        }),
    };
    if let (Value::Object(shown), Value::Object(more)) = (&mut shown, more) {
        shown.extend(more.into_iter().filter(|(_, value)| !value.is_null()));
    }
    shown
}
