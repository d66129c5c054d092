//! The token endpoint (RFC 6749 sections 4.1.3 and 6, RFC 7636 section 4.6) and the revocation endpoint (RFC 7009).

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use serde_json::{Value, json};
use sha2::Digest as _;

use super::answer::Refusal;
use super::authorize::Asked;
use super::parameters::Parameters;
use super::state::{ACCESS_LIFE, Access, Digest, Full, GRANT_LIFE, Grant, State};
use super::{Server, account, keys, random};

/// Whatever is wrong with a code or refresh token, the client learns no more than this.
const INVALID: Refusal = Refusal::new("invalid_grant", "It is unknown, already used, expired, or not yours.");

impl From<Full> for Refusal {
    fn from(_: Full) -> Self {
        Self::unavailable()
    }
}

impl Server {
    pub(super) fn token(&self, headers: &HeaderMap, form: &Parameters, now: Instant) -> Result<Value, Refusal> {
        self.client.check(headers, form)?;
        match form.get("grant_type") {
            Some("authorization_code") => self.redeem(form, now),
            Some("refresh_token") => self.refresh(form, now),
            Some(_) => Err(Refusal::new("unsupported_grant_type", "Use authorization_code or refresh_token.")),
            None => Err(Refusal::new("invalid_request", "grant_type is missing.")),
        }
    }

    fn redeem(&self, form: &Parameters, now: Instant) -> Result<Value, Refusal> {
        let mut state = self.state();
        let State { codes, grants, .. } = &mut *state;
        let code = codes.get(form.get("code").unwrap_or_default(), now).ok_or(INVALID)?;
        let grant_id = random::text().ok_or(Refusal::unavailable())?;
        if let Some(earlier) = code.redeemed.replace(grant_id.clone()) {
            // Somebody has it twice, and one of the two stole it: end what it gave (RFC 6749 section 4.1.2).
            grants.take(&earlier, now);
            return Err(INVALID);
        }
        let asked = &code.asked;
        if form.get("redirect_uri") != Some(asked.back.redirect_uri.as_str())
            || !form.get("code_verifier").is_some_and(|verifier| proves(verifier, &asked.challenge))
        {
            return Err(INVALID);
        }
        let claims = id_claims(asked, &self.issuer, &self.client.id);
        let scopes = asked.scopes.clone();
        grants.insert(&grant_id, Grant { scopes: scopes.clone(), refresh: None }, now, GRANT_LIFE)?;
        let mut answer = issue(&mut state, &grant_id, scopes, now)?;
        if let Some(mut claims) = claims {
            claims["at_hash"] = json!(keys::access_token_hash(answer["access_token"].as_str().unwrap_or_default()));
            answer["id_token"] = json!(self.keys.sign(&claims).ok_or(Refusal::unavailable())?);
        }
        Ok(answer)
    }

    /// Rotates: the old refresh token stops working, and coming back it ends the whole login (RFC 9700 section 4.14.2).
    fn refresh(&self, form: &Parameters, now: Instant) -> Result<Value, Refusal> {
        let mut state = self.state();
        let token = form.get("refresh_token").unwrap_or_default();
        let (grant_id, _) = token.split_once('.').ok_or(INVALID)?;
        let grant = state.grants.get(grant_id, now).ok_or(INVALID)?;
        if grant.refresh != Some(Digest::of(token)) {
            state.grants.take(grant_id, now);
            return Err(INVALID);
        }
        let scopes = match form.get("scope") {
            None => grant.scopes.clone(),
            Some(asked) => account::scopes(asked)
                .filter(|asked| asked.iter().all(|scope| grant.scopes.contains(scope)))
                .ok_or(Refusal::new("invalid_scope", "A refresh cannot ask for more than the person agreed to."))?,
        };
        issue(&mut state, grant_id, scopes, now)
    }

    /// An unknown token counts as revoked (RFC 7009 section 2.2).
    pub(super) fn revoke(&self, headers: &HeaderMap, form: &Parameters, now: Instant) -> Result<(), Refusal> {
        self.client.check(headers, form)?;
        let token = form.get("token").ok_or(Refusal::new("invalid_request", "token is missing."))?;
        let mut state = self.state();
        if state.access.take(token, now).is_none()
            && let Some((grant_id, _)) = token.split_once('.')
            && state.grants.get(grant_id, now).is_some_and(|grant| grant.refresh == Some(Digest::of(token)))
        {
            state.grants.take(grant_id, now);
        }
        Ok(())
    }

    /// What an access token shows, if it is one.
    pub(super) fn userinfo(&self, token: &str, now: Instant) -> Option<Value> {
        let mut state = self.state();
        let State { access, grants, .. } = &mut *state;
        let access = access.get(token, now)?;
        grants.get(&access.grant, now)?;
        Some(Value::from(account::claims(&access.scopes)))
    }
}

/// A new access token of this login, and a new refresh token where the person agreed to that.
fn issue(state: &mut State, grant_id: &str, scopes: Vec<&'static str>, now: Instant) -> Result<Value, Refusal> {
    let token = random::text().ok_or(Refusal::unavailable())?;
    let scope = scopes.join(" ");
    state.access.insert(&token, Access { grant: grant_id.to_owned(), scopes }, now, ACCESS_LIFE)?;
    let mut answer =
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": ACCESS_LIFE.as_secs(), "scope": scope });
    if let Some(grant) = state.grants.get(grant_id, now)
        && grant.scopes.contains(&"offline_access")
    {
        // Names its login, so that a used one is recognised without remembering all used ones.
        let refresh = format!("{grant_id}.{}", random::text().ok_or(Refusal::unavailable())?);
        grant.refresh = Some(Digest::of(&refresh));
        answer["refresh_token"] = json!(refresh);
    }
    Ok(answer)
}

/// What the id_token says, where one was asked for (OpenID Connect Core 1.0 section 2).
fn id_claims(asked: &Asked, issuer: &str, client_id: &str) -> Option<Value> {
    if !asked.scopes.contains(&"openid") {
        return None;
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    let mut claims = account::claims(&asked.scopes);
    let ours = json!({ "iss": issuer, "aud": client_id, "iat": now, "exp": now + ACCESS_LIFE.as_secs(), "auth_time": now });
    if let Value::Object(ours) = ours {
        claims.extend(ours);
    }
    if let Some(nonce) = &asked.nonce {
        claims.insert("nonce".to_owned(), json!(nonce));
    }
    Some(Value::from(claims))
}

/// Whether this verifier belongs to the challenge.
fn proves(verifier: &str, challenge: &str) -> bool {
    let well_formed = (43..=128).contains(&verifier.len())
        && verifier.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    well_formed && URL_SAFE_NO_PAD.encode(sha2::Sha256::digest(verifier)) == challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verifier_proves_its_own_challenge_only() {
        // RFC 7636, appendix B.
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", challenge));
        assert!(!proves("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", challenge));
        assert!(!proves(challenge, challenge), "the method plain is not spoken here");
        let short = URL_SAFE_NO_PAD.encode(sha2::Sha256::digest("short"));
        assert!(!proves("short", &short));
    }
}
