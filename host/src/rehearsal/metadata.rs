//! What the server says of itself (OpenID Connect Discovery 1.0, RFC 8414).

use serde_json::{Value, json};

use super::{Server, account, routes};

impl Server {
    pub(super) fn metadata(&self) -> Value {
        let scopes: Vec<&str> = account::SCOPES.iter().map(|(scope, _)| *scope).collect();
        json!({
            "issuer": self.issuer,
            "authorization_endpoint": self.endpoint(routes::AUTHORIZE),
            "token_endpoint": self.endpoint(routes::TOKEN),
            "revocation_endpoint": self.endpoint(routes::REVOKE),
            "userinfo_endpoint": self.endpoint(routes::USERINFO),
            "jwks_uri": self.endpoint(routes::JWKS),
            "scopes_supported": scopes,
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }
}
