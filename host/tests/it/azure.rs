//! Microsoft Entra, as it is: an issuer that is a template, errors in numbers, clients that must not send a secret.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};
use crate::support::lookalike::{Decision, Entra, Lookalike, Site, TENANT};
use crate::support::visit::{login, parameter};

async fn start_with(entra: Entra, more: impl FnOnce(Launch) -> Launch) -> (Arc<Entra>, Lookalike, Broker) {
    let entra = Arc::new(entra);
    let lookalike = Lookalike::of(&entra).await;
    let desk = entra.desk();
    let launch = Launch::new().at(&lookalike).client("AZURE", desk.client_id(), desk.client_secret());
    let broker = more(launch).ready().await;
    (entra, lookalike, broker)
}

const TOKEN: &str = "/common/oauth2/v2.0/token";
const SECRET: Option<&str> = Some("abc8Q~abcdefghijklmnopqrstuvwxyz0123456");

#[tokio::test]
async fn a_public_client_of_any_tenant_sends_no_secret_and_the_account_is_its_tenants() {
    let (entra, lookalike, mut broker) = start_with(Entra::new("common", None), |launch| launch).await;
    let visit = login(&mut broker, "azure", &["openid", "User.Read"], "a", |url| entra.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(parameter(&visit.url, "scope"), "openid User.Read offline_access");
    assert_eq!(answer["account"]["issuer"], format!("https://login.microsoftonline.com/{TENANT}/v2.0"));
    assert_eq!(answer["hasRefreshToken"], true);
    assert_eq!(answer["missingScopes"], Value::Null, "offline_access is never repeated: {answer:#}");
    assert_eq!(answer["extraScopes"], Value::Null, "email comes along with openid: {answer:#}");
    let form = lookalike.requests(TOKEN)[0].form();
    assert!(!form.contains_key("client_secret") && !form.contains_key("resource"), "{:?}", form.keys());
    assert!(entra.desk().is_live(&broker.reveal("a").await));
}

#[tokio::test]
async fn a_confidential_client_of_one_tenant_sends_its_secret_in_the_form() {
    let (entra, lookalike, mut broker) =
        start_with(Entra::new(TENANT, SECRET), |launch| launch.env("AZURE_TENANT", TENANT)).await;
    let visit = login(&mut broker, "azure", &["User.Read"], "a", |url| entra.sign_in(url, Decision::Approve).0).await;
    let answer = visit.answer.ok();
    assert_eq!(answer["missingScopes"], Value::Null);
    assert_eq!(parameter(&visit.url, "nonce"), "", "OpenID was not asked for");
    let path = format!("/{TENANT}/oauth2/v2.0/token");
    assert_eq!(lookalike.requests(&path)[0].field("client_secret"), SECRET.unwrap());
}

#[tokio::test]
async fn a_refresh_replaces_the_refresh_token_by_the_new_one() {
    let (entra, lookalike, mut broker) = start_with(Entra::new("common", None), |launch| launch).await;
    lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
    login(&mut broker, "azure", &["User.Read"], "a", |url| entra.sign_in(url, Decision::Approve).0).await.answer.ok();
    assert!(entra.desk().is_live(&broker.reveal("a").await));
    let used: Vec<String> = lookalike.requests(TOKEN)[1..].iter().map(|request| request.field("refresh_token")).collect();
    assert!(used.len() >= 2 && used[0] != used[1]);
}

#[tokio::test]
async fn an_id_token_of_another_tenant_than_its_issuer_or_the_operators_is_refused() {
    let (entra, _lookalike, mut broker) = start_with(Entra::new("common", None).with_foreign_issuer(), |launch| launch).await;
    let visit = login(&mut broker, "azure", &["openid"], "a", |url| entra.sign_in(url, Decision::Approve).0).await;
    visit.answer.refused("provider_error").names(&["issuer and its tenant differ"]);

    let other = "11111111-2222-3333-4444-555555555555";
    let (entra, _lookalike, mut broker) = start_with(Entra::new(other, None), |launch| launch.env("AZURE_TENANT", other)).await;
    let visit = login(&mut broker, "azure", &["openid"], "a", |url| entra.sign_in(url, Decision::Approve).0).await;
    visit.answer.refused("provider_error").names(&["another issuer"]);
}

#[tokio::test]
async fn an_error_keeps_its_number_and_correlation_id_and_says_what_to_do() {
    let (entra, lookalike, mut broker) = start_with(Entra::new("common", None), |launch| launch).await;
    for (code, number, words) in [
        ("invalid_client", 7_000_218, "public client flows"),
        ("invalid_client", 700_025, "Unset AZURE_CLIENT_SECRET"),
        ("unauthorized_client", 700_016, "AZURE_CLIENT_ID"),
        ("invalid_grant", 54_005, "Start the login again"),
        ("invalid_grant", 50_194, "AZURE_TENANT"),
        ("invalid_scope", 70_011, "one resource at a time"),
        ("interaction_required", 50_076, "multi-factor"),
    ] {
        lookalike.once(TOKEN, Entra::error(400, code, number, "So it is."));
        let visit = login(&mut broker, "azure", &["User.Read"], "a", |url| entra.sign_in(url, Decision::Approve).0).await;
        let failure = visit.answer.refused("provider_error");
        failure.names(&[&format!("AADSTS{number}"), "fb3d2015-bc17-4bb9-bb85-30c5cf1aaaa7", words]);
    }
}

#[tokio::test]
async fn a_refresh_that_the_directory_refuses_asks_for_a_new_login() {
    let (entra, lookalike, mut broker) = start_with(Entra::new("common", None), |launch| launch).await;
    for (code, number) in [("invalid_grant", 700_082), ("interaction_required", 50_079), ("invalid_grant", 50_173)] {
        lookalike.edit(TOKEN, |answer| answer["expires_in"] = 0.into());
        login(&mut broker, "azure", &["User.Read"], "a", |url| entra.sign_in(url, Decision::Approve).0).await.answer.ok();
        lookalike.once(TOKEN, Entra::error(400, code, number, "So it is."));
        let answer = broker.call("get_secret", json!({ "name": "a", "purpose": "a test" })).await;
        answer.refused("sign_in_again").names(&[&format!("AADSTS{number}"), "start_oauth_flow"]);
    }
}

#[tokio::test]
async fn a_person_who_declines_is_reported_as_that() {
    let (entra, _lookalike, mut broker) = start_with(Entra::new("common", None), |launch| launch).await;
    let visit = login(&mut broker, "azure", &["User.Read"], "a", |url| entra.sign_in(url, Decision::Deny).0).await;
    visit.answer.refused("denied");
}

#[tokio::test]
async fn a_tenant_that_would_change_the_path_is_no_tenant() {
    for tenant in ["../evil", "a/b", "common?x", "%2e%2e"] {
        let mut broker = Launch::new().client("AZURE", "6731de76", None).env("AZURE_TENANT", tenant).ready().await;
        let arguments = json!({ "provider": "azure", "scopes": [], "secret_name": "a" });
        broker.call("start_oauth_flow", arguments).await.refused("invalid_configuration").names(&["AZURE_TENANT"]);
    }
}
