//! `list_providers` and `get_broker_stats`.

use serde_json::{Value, json};

use super::answers::{Answer, success};
use super::arguments::Arguments;
use crate::broker::Broker;
use crate::broker::overview::ProviderOverview;
use crate::error::Result;

pub(super) async fn providers(broker: &Broker, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    let (providers, rejected) = broker.list_providers().await;
    let rejected: Vec<Value> = rejected.iter().map(|error| json!({ "error": error.message(), "hint": error.hint() })).collect();
    let providers: Vec<Value> = providers.iter().map(shown).collect();
    Ok(success(json!({ "providers": providers, "rejected": (!rejected.is_empty()).then_some(rejected) })))
}

fn shown(overview: &ProviderOverview) -> Value {
    let descriptor = overview.provider.descriptor();
    let login = descriptor.can_log_in();
    let mut shown = json!({
        "name": descriptor.name,
        "title": descriptor.title,
        "aliases": descriptor.aliases,
        "origin": overview.provider.path().map_or_else(|| "embedded".to_owned(), |path| path.display().to_string()),
        "login": login,
        "device": descriptor.can_use_device(),
        "refresh": descriptor.grants.iter().any(|grant| grant == "refresh_token"),
        "revoke": descriptor.can_revoke(),
        "ttl": { "default": overview.caps.default, "maximum": overview.caps.maximum },
    });
    if login {
        shown["configured"] = json!(overview.missing.is_empty());
        shown["missing"] = json!(overview.missing);
        shown["callbackUrl"] = json!(overview.callback_url.as_str());
    }
    if let Some(scopes) = &overview.provider.operator().scopes {
        shown["allowedScopes"] = json!(scopes);
    }
    if let Some(documentation) = &descriptor.documentation {
        shown["documentation"] = json!(documentation);
    }
    shown
}

pub(super) fn stats(broker: &Broker, arguments: Arguments) -> Result<Answer> {
    arguments.end()?;
    let stats = broker.stats()?;
    let mut shown = json!({
        "activeTokens": stats.active_tokens,
        "activeReferences": stats.active_references,
        "storedSecrets": stats.stored_secrets,
        "pendingFlows": stats.pending_flows,
    });
    // The predecessor's four members are always there; this one only where there is something to say.
    if stats.pending_revocations > 0 {
        shown["pendingRevocations"] = stats.pending_revocations.into();
    }
    Ok(success(json!({ "stats": shown })))
}
