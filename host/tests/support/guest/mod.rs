//! Components written as text: the contract's boilerplate around a few lines of a core module, so that a component can
//! do what no language's toolchain would let it do.
//!
//! In the code, `$"text"` stands for the two constants of that text: where it lies in memory, and how long it is.

mod boilerplate;

use serde_json::{Value, json};

/// A component to be made.
#[derive(Clone)]
pub struct Guest {
    descriptor: String,
    describe: String,
    resolve: String,
    authorization: String,
    exchange: String,
    /// Functions and the like, in the core module.
    items: String,
    /// The body of the function that the host calls for memory.
    realloc: String,
    /// Imports and instances, at the component's level.
    component: String,
    /// Core functions of the component's level that the core module has too, with their types.
    lowered: Vec<(&'static str, &'static str)>,
    version: &'static str,
}

impl Guest {
    /// A provider of that name that does nothing wrong: no pairs, and a login as [`Guest::signs_in`] describes.
    pub fn new(name: &str) -> Self {
        let guest = Self {
            descriptor: String::new(),
            describe: "(call $described)".to_owned(),
            resolve: "(call $pairs (i32.const 0) (i32.const 0))".to_owned(),
            authorization: "(call $pairs (i32.const 0) (i32.const 0))".to_owned(),
            exchange: String::new(),
            items: String::new(),
            realloc: "(call $bump (local.get 2) (local.get 3))".to_owned(),
            component: String::new(),
            lowered: Vec::new(),
            version: "0.1.0",
        };
        guest.describing(&descriptor(name)).signs_in()
    }

    /// With another descriptor.
    pub fn describing(self, descriptor: &Value) -> Self {
        self.describing_as(&descriptor.to_string())
    }

    /// With any text for a descriptor.
    pub fn describing_as(mut self, descriptor: &str) -> Self {
        descriptor.clone_into(&mut self.descriptor);
        self
    }

    /// The body of `describe`; must leave the address of a string's place and length.
    pub fn describe(mut self, code: &str) -> Self {
        code.clone_into(&mut self.describe);
        self
    }

    /// The body of `resolve`. `$pairs`, `$fail` make its result.
    pub fn resolve(mut self, code: &str) -> Self {
        code.clone_into(&mut self.resolve);
        self
    }

    /// The body of `authorization`.
    pub fn authorization(mut self, code: &str) -> Self {
        code.clone_into(&mut self.authorization);
        self
    }

    /// The body of `exchange`, with the handles `$code` and `$verifier`, and `$a`, `$b`, `$c` to use. Both handles are
    /// lent: a component that returns without dropping them traps.
    pub fn exchange(mut self, code: &str) -> Self {
        code.clone_into(&mut self.exchange);
        self
    }

    /// An `exchange` that redeems the code as it should.
    pub fn signs_in(self) -> Self {
        self.exchange(
            r#"(local.set $a (call $request $"token" (i32.const 0) (i32.const 0)))
               (call $form (local.get $a) $"grant_type" $"authorization_code")
               (call $form (local.get $a) $"redirect_uri" (local.get $uri) (local.get $length))
               (call $form-secret (local.get $a) $"code" (local.get $code))
               (call $form-secret (local.get $a) $"code_verifier" (local.get $verifier))
               (call $return-borrowed (local.get $code) (local.get $verifier))
               (call $send (local.get $a) (i32.const 32))
               (if (i32.load8_u (i32.const 32)) (then (return (call $fail $"invalid_grant" $"The code was not redeemed."))))
               (local.set $b (i32.load (i32.const 36)))
               (call $answered-secret (local.get $b) $"/access_token" (i32.const 48))
               (if (i32.eqz (i32.load8_u (i32.const 48)))
                 (then (return (call $fail $"malformed_answer" $"There is no access token."))))
               (call $give (call $tokens (i32.load (i32.const 52))))"#,
        )
    }

    /// More items of the core module: functions, tables, `(start …)`.
    pub fn with(mut self, items: &str) -> Self {
        self.items.push_str(items);
        self
    }

    /// The body of the function that the host calls for memory; the size is local 3.
    pub fn realloc(mut self, code: &str) -> Self {
        code.clone_into(&mut self.realloc);
        self
    }

    /// More at the component's level. An import that the core module shall have is named by [`Guest::lowered`].
    pub fn beside(mut self, text: &str) -> Self {
        self.component.push_str(text);
        self
    }

    /// Hands a core function that stands beside to the core module, under the same name.
    pub fn lowered(mut self, name: &'static str, kind: &'static str) -> Self {
        self.lowered.push((name, kind));
        self
    }

    /// For another version of the contract.
    pub fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    /// The component.
    pub fn bytes(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// A descriptor with which a login is possible: `base` is where the endpoints are.
pub fn descriptor(name: &str) -> Value {
    let prefix = name.to_ascii_uppercase().replace('-', "_");
    json!({
        "name": name, "title": "Guest", "version": "1.0.0",
        "settings": [
            { "name": "client_id", "env": [format!("{prefix}_CLIENT_ID")], "kind": "client-id", "required": true, "about": "Any." },
            { "name": "client_secret", "env": [format!("{prefix}_CLIENT_SECRET")], "kind": "client-secret", "about": "Any." },
            { "name": "base", "env": [format!("{prefix}_BASE")], "kind": "url", "required": true, "about": "Where it is." }
        ],
        "endpoints": [
            { "id": "authorize", "role": "authorization", "url": "{base}/authorize" },
            { "id": "token", "role": "token", "method": "POST", "url": "{base}/token",
              "slots": { "form.code": ["code"], "form.code_verifier": ["verifier"], "authorization.post": ["client-secret"] } },
            { "id": "metadata", "role": "metadata", "url": "{base}/metadata" }
        ],
        "grants": ["authorization_code"],
        "ttl": { "default": 60, "maximum": 120 }
    })
}
