use serde_json::{Value, json};

use super::*;

fn acme() -> Value {
    json!({
        "name": "acme", "title": "Acme", "version": "1.0.0",
        "settings": [
            { "name": "client_id", "env": ["ACME_CLIENT_ID"], "kind": "client-id", "required": true, "about": "The client." },
            { "name": "client_secret", "env": ["ACME_CLIENT_SECRET"], "kind": "client-secret", "about": "Its secret." },
            { "name": "domain", "env": ["ACME_DOMAIN"], "kind": "host", "required": true, "about": "The host." }
        ],
        "endpoints": [
            { "id": "authorize", "role": "authorization", "url": "https://{domain}/authorize" },
            { "id": "token", "role": "token", "method": "POST", "url": "https://{domain}/token",
              "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"], "authorization.basic": ["client-secret"] } }
        ],
        "grants": ["authorization_code"],
        "ttl": { "default": 3600, "maximum": 7200 }
    })
}

impl Listed {
    /// An endpoint in a descriptor that has no other.
    pub(crate) fn alone(endpoint: &Value) -> Self {
        let mut document = acme();
        document["endpoints"] = json!([endpoint]);
        let descriptor = serde_json::from_value(document).unwrap();
        Self { descriptor: Arc::new(descriptor), place: 0 }
    }
}

fn refused(change: impl FnOnce(&mut Value)) -> String {
    let mut document = acme();
    change(&mut document);
    Descriptor::parse(&document.to_string()).unwrap_err()
}

#[test]
fn a_sound_descriptor_is_taken() {
    let descriptor = Descriptor::parse(&acme().to_string()).unwrap();
    assert!(descriptor.can_log_in());
    assert_eq!(descriptor.endpoint("token").unwrap().role, Role::Token);
}

#[test]
fn a_descriptor_that_overreaches_is_refused_with_the_reason() {
    for (change, reason) in [
        (("/name", json!("Ac me")), "no provider name"),
        (("/ttl/default", json!(9000)), "ttl must have"),
        (("/endpoints/1/slots", json!({ "url.code": ["code"] })), "is no slot"),
        (("/endpoints/1/slots", json!({ "form.code": ["anything"] })), "unknown kind"),
        (("/endpoints/1/slots", json!({ "header.host": ["code"] })), "the broker's own"),
        (("/endpoints/1/url", json!("https://{nowhere}/token")), "not declared"),
        (("/endpoints/1/url", json!("https://{client_id}/token")), "stands where"),
        (("/endpoints/1/url", json!("{resolved.place}")), "_endpoint or"),
        (("/endpoints/1/role", json!("metadata")), "no secret can be sent"),
        (("/endpoints/1/method", json!("CONNECT")), "has the method"),
        (("/endpoints/1/readable", json!(["/access_token"])), "which is a secret"),
        (("/endpoints/1/secrets", json!({ "/refresh_token": "access" })), "which it is not"),
        (("/endpoints/1/headers", json!(["authorization"])), "the broker's own"),
        (("/settings/1/kind", json!("text")), "of those kinds"),
        (("/settings/2/name", json!("signing_key")), "sounds like a secret"),
        (("/endpoints/1/readable", json!(["/a\u{1b}[1A\u{1b}[2K"])), "control or direction-changing"),
        (("/settings/2/about", json!("host\u{202e}")), "control or direction-changing"),
        (("/documentation", json!("ask me for help")), "https:// address"),
        (("/settings/2/env", json!(["ACME_API_KEY"])), "sounds like a secret"),
        (("/token_prefixes", json!(["ab"])), "4 to 32"),
        (("/spend", json!([{ "host": "*.example.com" }])), "neither a host name"),
        (("/spend", json!([{ "host": "a.example", "when": { "client_secret": "x" } }])), "no readable setting"),
        (("/openid", json!(true)), "needs an endpoint of the role jwks"),
        (("/grants", json!(["authorization_code", "device_code"])), "device_code needs an endpoint"),
        (("/login_hint", json!("redirect uri")), "login_hint or login"),
        (("/endpoints/0/id", json!("token")), "declared twice"),
    ] {
        let message = refused(|document| {
            let (pointer, value) = change;
            match document.pointer_mut(pointer) {
                Some(place) => *place = value,
                None => {
                    let (parent, name) = pointer.rsplit_once('/').unwrap();
                    document.pointer_mut(parent).unwrap()[name] = value;
                }
            }
        });
        assert!(message.contains(reason), "{message:?} should say {reason:?}");
    }
}

#[test]
fn hosts_are_plain_names() {
    assert!(is_host("api.github.com") && is_host("localhost:8080"));
    for bad in [
        "",
        "a..b",
        "-a.example",
        "a.example.",
        "A.example",
        "a/b",
        "a.example:0",
        "a.example:x",
        "*.example",
        "a_b.example",
        "user@a.example",
    ] {
        assert!(!is_host(bad), "{bad}");
    }
}

#[test]
fn the_published_schema_is_the_one_of_these_types() {
    let published = include_str!("../../../wit/descriptor.schema.json");
    assert_eq!(published, schema(), "run `cargo xtask plugins` to write wit/descriptor.schema.json anew");
}
