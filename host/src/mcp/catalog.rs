//! What the tools are called, what they take and give: built once.
//!
//! Names, parameters and answer members of the first seven are the predecessor's. `provider` is a plain string: which
//! providers there are is the operator's business and is told by `list_providers`.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::broker::spending::request::METHODS;

/// What a tool does to the world, honestly.
struct Hints {
    read_only: bool,
    destructive: bool,
    idempotent: bool,
    open_world: bool,
}

const READS: Hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
const ADDS: Hints = Hints { read_only: false, destructive: false, idempotent: false, open_world: false };
const ENDS: Hints = Hints { read_only: false, destructive: true, idempotent: false, open_world: true };
const REPLACES: Hints = Hints { read_only: false, destructive: true, idempotent: true, open_world: false };

/// All tools, in the order in which they are listed.
pub(super) fn tools() -> &'static [Tool] {
    static TOOLS: OnceLock<Vec<Tool>> = OnceLock::new();
    TOOLS.get_or_init(build)
}

/// The name of a tool, if there is one of that name.
pub(super) fn name(name: &str) -> Option<&'static str> {
    tools().iter().find_map(|tool| match tool.name {
        Cow::Borrowed(known) => (known == name).then_some(known),
        Cow::Owned(_) => None,
    })
}

fn build() -> Vec<Tool> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let name = text(
        "The secret's name: 1 to 128 letters, digits, '.', '_', '-', '/', '@', ':'. Convention: github-token, google-token-work.",
    );
    let scopes = json!({ "type": "array", "items": { "type": "string" }, "description": "Scopes, such as [\"repo\"]. Only what the work needs." });
    let ttl = |about: &str| json!({ "type": "integer", "minimum": 1, "description": about });
    let provider = text("A provider's name: github, google, azure, okta, oauth2, or another that list_providers shows.");
    vec![
        tool(
            "start_oauth_flow",
            "Sign in with a provider",
            "Lets a person sign in with a provider in their browser and stores the tokens under secret_name. Call list_secrets first: a login that is there need not be repeated. Waits up to 45 seconds; if the person needs longer (or no browser could be opened) the answer has status \"pending\": show them authorization_url (in mode \"device\" user_code and verification_uri) and call await_oauth_flow with flow_id. Cancelling this call ends the login.",
            &Hints { open_world: true, ..ADDS },
            &json!({
                "provider": provider, "scopes": scopes, "secret_name": name,
                "authorization_endpoint": text("For okta and oauth2 only, and only the configured one; leave it out."),
                "token_endpoint": text("For okta and oauth2 only, and only the configured one; leave it out."),
                "mode": { "type": "string", "enum": ["browser", "device"], "description": "Leave it out, unless the person cannot use a browser that comes back to this machine: with \"device\" they enter a code anywhere. Many clients are not registered for it." },
            }),
            &["provider", "scopes", "secret_name"],
            login_answer(),
        ),
        tool(
            "get_secret",
            "Get a reference to a secret",
            "Gives a short-lived reference to a secret, not its value. An access token that has expired is refreshed first where that is possible; otherwise the error says to sign in again. A reference ends when its time is over, or when the secret is overwritten, signed in anew or deleted; a refresh keeps it.",
            &Hints { open_world: true, ..ADDS },
            &json!({
                "name": name, "purpose": text("What it is for, in a few words; written to the audit trail."),
                "ttl_seconds": ttl("How long the reference lives, in seconds. Default 3600; longer than the secret's cap is shortened to the cap."),
                "max_uses": { "type": "integer", "minimum": 1, "description": "How many times it may be used. Default: any number." },
                "hosts": { "type": "array", "items": { "type": "string" }, "description": "Narrows it to requests to these hosts, such as [\"api.github.com\"]; it can then not be resolved to its value." },
                "methods": { "type": "array", "items": { "type": "string", "enum": METHODS }, "description": "Narrows it to requests with these methods; it can then not be resolved to its value." },
            }),
            &["name", "purpose"],
            json!({
                "reference": { "type": "object", "properties": {
                    "id": { "type": "string" }, "name": { "type": "string" }, "purpose": { "type": "string" },
                    "expiresAt": { "type": "integer", "description": "Milliseconds since 1970." },
                    "expiresIn": { "type": "integer", "description": "Seconds." },
                    "maxUses": { "type": "integer" },
                    "hosts": { "type": "array", "items": { "type": "string" } }, "methods": { "type": "array", "items": { "type": "string" } },
                } },
                "message": { "type": "string" },
            }),
        ),
        tool(
            "resolve_secret",
            "Resolve a reference to its value",
            "Gives the value behind a reference: an access token or a stored value, never a refresh token. The value enters your context: prefer http_request, which spends a secret without showing it; else call this only right before the value is spent, and never repeat it. The operator may have turned it off.",
            &Hints { read_only: false, destructive: false, idempotent: true, open_world: true },
            &json!({ "reference_id": text("The id that get_secret gave.") }),
            &["reference_id"],
            json!({ "value": { "type": "string" }, "warning": { "type": "string" } }),
        ),
        tool(
            "http_request",
            "Send a request with a secret",
            "Sends an HTTPS request and adds the credential to it; you see the answer and never the secret. Takes a secret's name with a purpose, or a reference_id. A login can be spent at its provider's API hosts, a stored value where the operator's file says. Redirects are reported and not followed. Secrets that the server repeats are replaced by [secret:NAME]. A long body is cut: read the rest with read_response.",
            &Hints { read_only: false, destructive: true, idempotent: false, open_world: true },
            &json!({
                "url": text("The whole address, https://HOST/PATH?QUERY, percent-encoded, without a fragment. Never put a secret into it."),
                "method": { "type": "string", "enum": METHODS, "description": "Default GET." },
                "headers": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Such as accept, content-type, if-match, x-github-api-version. Never authorization: the broker adds it." },
                "body": text("The body, as text."),
                "body_base64": text("Or the body in base64, where it is no text."),
                "secret": text("The secret's name; with purpose."),
                "purpose": text("What it is for, in a few words; written to the audit trail. Needed with secret."),
                "reference_id": text("Or the id that get_secret gave."),
            }),
            &["url"],
            json!({
                "status": { "type": "integer" },
                "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                "body": { "type": "string" }, "body_base64": { "type": "string" },
                "offset": { "type": "integer" }, "total": { "type": "integer", "description": "Bytes of the whole body." },
                "next_offset": { "type": "integer", "description": "There is more: read_response gives it." }, "response_id": { "type": "string" },
                "incomplete": { "type": "boolean", "description": "The server had more than the 8 MiB that are read." },
                "message": { "type": "string" },
            }),
        ),
        tool(
            "read_response",
            "Read on in an answer",
            "Gives the next part of an answer of http_request that was too long for one. Kept for ten minutes.",
            &READS,
            &json!({ "response_id": text("The id that http_request gave."), "offset": { "type": "integer", "minimum": 0, "description": "The next_offset of the part before." } }),
            &["response_id", "offset"],
            json!({
                "body": { "type": "string" }, "body_base64": { "type": "string" },
                "offset": { "type": "integer" }, "total": { "type": "integer" }, "next_offset": { "type": "integer" },
                "response_id": { "type": "string" },
            }),
        ),
        tool(
            "store_secret",
            "Store a value",
            "Stores a value under a name, overwriting a stored value of that name and ending references to it. A login is never overwritten, nor a name that the operator's file lists. Do not ask a person to paste a secret into the chat for this.",
            &REPLACES,
            &json!({
                "name": name, "value": text("The value: 1 byte to 1 MiB."),
                "tags": { "type": "object", "additionalProperties": { "type": "string" }, "description": "Up to 32 notes, shown by list_secrets." },
            }),
            &["name", "value"],
            json!({ "message": { "type": "string" } }),
        ),
        tool(
            "mint_token",
            "Mint a token signed by the broker",
            "Signs a short-lived JWT with the broker's own key, capped by the provider's lifetimes, for systems that trust this broker. It is no credential of the provider: GitHub, AWS and the others do not accept it.",
            &ADDS,
            &json!({
                "provider": provider, "scopes": scopes, "resource": text("The audience (aud). Without it the audience is the broker itself."),
                "ttl_seconds": ttl("Lifetime in seconds; longer than the provider's cap is refused. Default 3600."),
            }),
            &["provider", "scopes"],
            json!({
                "token": { "type": "object", "properties": {
                    "tokenId": { "type": "string" }, "token": { "type": "string" }, "provider": { "type": "string" },
                    "scopes": { "type": "array", "items": { "type": "string" } }, "resource": { "type": "string" },
                    "expiresAt": { "type": "integer" }, "expiresIn": { "type": "integer" },
                } },
                "message": { "type": "string" },
            }),
        ),
        tool(
            "revoke_token",
            "Revoke a minted token",
            "Revokes a token that mint_token made: verify_token calls it inactive from then on. Whoever checks the signature alone does not learn of it.",
            &REPLACES,
            &json!({ "token_id": text("The tokenId that mint_token gave.") }),
            &["token_id"],
            json!({ "message": { "type": "string" } }),
        ),
        tool(
            "get_broker_stats",
            "Count what the broker holds",
            "Counts live minted tokens, live references, stored secrets, logins under way and revocations to be retried.",
            &READS,
            &json!({}),
            &[],
            json!({ "stats": { "type": "object", "properties": {
                "activeTokens": { "type": "integer" }, "activeReferences": { "type": "integer" },
                "storedSecrets": { "type": "integer" }, "pendingFlows": { "type": "integer" },
                "pendingRevocations": { "type": "integer", "description": "Logins that are gone here and still have to be revoked at their providers; left out where there are none." },
            } } }),
        ),
        tool(
            "await_oauth_flow",
            "Wait for a login to finish",
            "Waits up to 45 seconds for a pending login. Call it again while the status is \"pending\". Cancelling this call ends the waiting only, not the login.",
            &Hints { read_only: true, destructive: false, idempotent: true, open_world: true },
            &json!({ "flow_id": text("The flow_id that start_oauth_flow gave.") }),
            &["flow_id"],
            login_answer(),
        ),
        tool(
            "list_secrets",
            "List secrets",
            "Lists what is stored: names, kinds, providers, accounts, scopes, tags and expiry; never values. States: stored, signed_in, refreshes_when_used, sign_in_again.",
            &READS,
            &json!({}),
            &[],
            json!({ "secrets": { "type": "array", "items": { "type": "object", "properties": {
                "name": { "type": "string" }, "kind": { "type": "string", "enum": ["static", "oauth"] }, "state": { "type": "string" },
                "provider": { "type": "string" }, "account": account(), "scopes": { "type": "array", "items": { "type": "string" } },
                "tags": { "type": "object" }, "createdAt": { "type": "integer" }, "expiresAt": { "type": "integer" }, "hasRefreshToken": { "type": "boolean" },
            } } } }),
        ),
        tool(
            "delete_secret",
            "Forget a secret",
            "Forgets a secret and ends every reference to it. It only forgets: a token stays valid at the provider until it expires. revoke_secret ends a login there too.",
            &REPLACES,
            &json!({ "name": name }),
            &["name"],
            json!({ "message": { "type": "string" } }),
        ),
        tool(
            "revoke_secret",
            "Revoke a login",
            "Ends a login for good: its references die at once, then its refresh token and its access token are revoked at the provider. Says for each what came of it: \"revoked at the provider\", \"already gone\", \"not supported\", or \"failed, will be retried\". At some providers (Google) it ends everything that the person granted to the client. Logins only; ask the person first.",
            &ENDS,
            &json!({ "name": name }),
            &["name"],
            json!({
                "message": { "type": "string" },
                "steps": { "type": "array", "items": { "type": "object", "properties": {
                    "token": { "type": "string", "enum": ["refresh", "access"] }, "result": { "type": "string" },
                    "reason": { "type": "string" },
                    "endsAt": { "type": "integer", "description": "When it ends by itself, in milliseconds since 1970." },
                } } },
            }),
        ),
        tool(
            "list_providers",
            "List providers",
            "Lists the providers: what each can do, whether it is configured, which setting is missing, which callback URL to register, which scopes the operator allows, and which components cannot be used and why.",
            &READS,
            &json!({}),
            &[],
            json!({
                "providers": { "type": "array", "items": { "type": "object", "properties": {
                    "name": { "type": "string" }, "title": { "type": "string" }, "aliases": { "type": "array", "items": { "type": "string" } },
                    "origin": { "type": "string" }, "login": { "type": "boolean" }, "device": { "type": "boolean" }, "refresh": { "type": "boolean" }, "revoke": { "type": "boolean", "description": "Whether a login can be ended at the provider." }, "configured": { "type": "boolean" },
                    "missing": { "type": "array", "items": { "type": "string" } }, "callbackUrl": { "type": "string" }, "documentation": { "type": "string" },
                    "allowedScopes": { "type": "array", "items": { "type": "string" } },
                    "ttl": { "type": "object", "properties": { "default": { "type": "integer" }, "maximum": { "type": "integer" } } },
                } } },
                "rejected": { "type": "array", "items": { "type": "object", "properties": { "error": { "type": "string" }, "hint": { "type": "string" } } } },
            }),
        ),
        tool(
            "verify_token",
            "Verify a minted token",
            "Says whether a token that mint_token made is active: known to this broker, not expired, not revoked. Takes token or token_id.",
            &READS,
            &json!({ "token": text("The token itself."), "token_id": text("Or its tokenId.") }),
            &[],
            json!({ "active": { "type": "boolean" }, "claims": { "type": "object" } }),
        ),
    ]
}

fn account() -> Value {
    json!({ "type": "object", "properties": {
        "issuer": { "type": "string" }, "subject": { "type": "string" }, "label": { "type": "string" },
        "vouched": { "type": "string", "enum": ["id_token", "component"], "description": "Who says so: a verified id_token, or the provider's component." },
    } })
}

fn login_answer() -> Value {
    json!({
        "message": { "type": "string" },
        "status": { "type": "string", "enum": ["pending"] },
        "flow_id": { "type": "string" }, "authorization_url": { "type": "string" },
        "token_endpoint": { "type": "string", "description": "Where the code will be redeemed, as the operator configured it or the issuer's metadata says." },
        "expires_in": { "type": "integer", "description": "Seconds until nobody waits for this login any longer." },
        "browser_opened": { "type": "boolean" },
        "user_code": { "type": "string", "description": "Device flow: what the person enters." },
        "verification_uri": { "type": "string", "description": "Device flow: where." },
        "verification_uri_complete": { "type": "string", "description": "Device flow: the same with the code filled in." },
        "tokenType": { "type": "string" }, "scope": { "type": "string" },
        "expiresIn": { "type": "integer", "description": "Seconds until the access token ends." },
        "hasRefreshToken": { "type": "boolean" },
        "account": account(),
        "missingScopes": { "type": "array", "items": { "type": "string" } },
        "extraScopes": { "type": "array", "items": { "type": "string" } },
    })
}

fn tool(
    name: &'static str,
    title: &str,
    about: &'static str,
    hints: &Hints,
    takes: &Value,
    required: &[&str],
    gives: Value,
) -> Tool {
    let input = json!({ "type": "object", "properties": takes, "required": required, "additionalProperties": false });
    // A failure has the same shape, so that clients that check it find it right, too.
    let mut members = json!({
        "success": { "type": "boolean" },
        "error": { "type": "string", "description": "What went wrong." },
        "code": { "type": "string", "description": "A stable word for it." },
        "hint": { "type": "string", "description": "What to do now." },
    });
    if let (Value::Object(all), Value::Object(gives)) = (&mut members, gives) {
        all.extend(gives);
    }
    let output = json!({ "type": "object", "properties": members, "required": ["success"] });
    let annotations = ToolAnnotations::new()
        .read_only(hints.read_only)
        .destructive(hints.destructive)
        .idempotent(hints.idempotent)
        .open_world(hints.open_world);
    Tool::new(name, about, object(input)).with_title(title).with_raw_output_schema(object(output)).with_annotations(annotations)
}

fn object(value: Value) -> Arc<Map<String, Value>> {
    match value {
        Value::Object(members) => Arc::new(members),
        _ => Arc::default(),
    }
}
