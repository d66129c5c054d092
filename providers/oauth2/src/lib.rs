//! Any OAuth 2.0 authorization server: one that describes itself (OpenID Connect Discovery, RFC 8414), or one whose two
//! endpoints the operator names.

use credentials_broker_provider::{
    ClientAuth, Device, Failure, Pairs, Provider, Refresh, Revocation, Secret, discovery, export_provider, pair, resolved,
    setting, standard,
};

/// Any OAuth 2.0 authorization server.
pub struct OAuth2;

/// The endpoints that the operator may name. A server without metadata needs the first two.
const ENDPOINTS: [&str; 4] = ["authorization_endpoint", "token_endpoint", "revocation_endpoint", "device_authorization_endpoint"];

impl Provider for OAuth2 {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    /// What the operator named counts more than what the server says.
    fn resolve() -> Result<Pairs, Failure> {
        let named: Pairs = ENDPOINTS.iter().filter_map(|name| setting(name).map(|value| pair(*name, value))).collect();
        if setting("issuer").is_none() {
            return if ENDPOINTS[..2].iter().all(|needed| named.iter().any(|(name, _)| name == needed)) {
                Ok(named)
            } else {
                Err(Failure::not_configured("Neither an issuer nor both endpoints are set.")
                    .hint("Set OAUTH2_ISSUER, or OAUTH2_AUTHORIZATION_ENDPOINT and OAUTH2_TOKEN_ENDPOINT."))
            };
        }
        let mut found = discover()?;
        for (name, value) in named {
            found.retain(|(known, _)| *known != name);
            found.push((name, value));
        }
        Ok(found)
    }

    /// OpenID Connect Core 1.0 section 11: a refresh token takes `offline_access`, and that takes `prompt=consent`.
    fn authorization(scopes: &[String]) -> Result<Pairs, Failure> {
        let asked = standard::asks_for(scopes, "offline_access");
        let known = resolved("scopes_supported").is_some_and(|known| known.split(' ').any(|scope| scope == "offline_access"));
        Ok(match (asked, known) {
            (true, _) => vec![pair("prompt", "consent")],
            (false, true) => vec![pair("scope", "offline_access"), pair("prompt", "consent")],
            (false, false) => Pairs::new(),
        })
    }

    fn client_auth() -> Result<ClientAuth, Failure> {
        match setting("client_auth").as_deref() {
            Some("basic") => return Ok(ClientAuth::Basic),
            Some("basic-raw") => return Ok(ClientAuth::BasicRaw),
            Some("post") => return Ok(ClientAuth::Post),
            Some("none") => return Ok(ClientAuth::None),
            _ => {}
        }
        // RFC 8414 section 2: absent means client_secret_basic
        let Some(methods) = resolved("token_endpoint_auth_methods_supported") else { return Ok(ClientAuth::Basic) };
        let takes = |method: &str| methods.split(' ').any(|known| known == method);
        if takes("client_secret_basic") {
            Ok(ClientAuth::Basic)
        } else if takes("client_secret_post") {
            Ok(ClientAuth::Post)
        } else if takes("none") {
            Ok(ClientAuth::None)
        } else {
            Err(Failure::unsupported(format!("The server takes only these ways for a client to authenticate: {methods}."))
                .hint("Register the client for client_secret_basic, client_secret_post or none, and set OAUTH2_CLIENT_AUTH."))
        }
    }

    fn explain(failure: Failure, _: &credentials_broker_provider::Response) -> Failure {
        match failure.code.as_str() {
            "invalid_grant" => failure.hint("Sign in again."),
            "invalid_client" => failure.hint(
                "Compare OAUTH2_CLIENT_ID and OAUTH2_CLIENT_SECRET with the registration, and set OAUTH2_CLIENT_AUTH (basic, post or none) to its way of authenticating.",
            ),
            _ => failure,
        }
    }
}

impl Refresh for OAuth2 {}

impl Revocation for OAuth2 {
    fn revoke(token: &Secret, _: &[(String, String)]) -> Result<String, Failure> {
        if resolved("revocation_endpoint").is_none() {
            return Ok("unsupported".to_owned());
        }
        standard::revoke::<Self>(token)
    }
}

impl Device for OAuth2 {}

/// OpenID Connect's address first: most servers have it, and where both exist they agree.
fn discover() -> Result<Pairs, Failure> {
    for endpoint in ["openid-metadata", "oauth-metadata"] {
        if let Some(found) = discovery::fetch(endpoint)? {
            return Ok(found);
        }
    }
    Err(Failure::not_configured("The issuer has no metadata, neither of OpenID Connect nor of RFC 8414.")
        .hint("Check OAUTH2_ISSUER, or set OAUTH2_AUTHORIZATION_ENDPOINT and OAUTH2_TOKEN_ENDPOINT instead."))
}

export_provider!(OAuth2, Refresh, Revocation, Device);

#[cfg(test)]
mod tests;
