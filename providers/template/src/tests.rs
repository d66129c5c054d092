//! Runs natively, without WebAssembly: `cargo test`.

use credentials_broker_provider::testing::{self, Broker};

use super::Acme;

fn configured() -> Broker {
    Broker::of::<Acme>().set("client_id", "me").set_secret("client_secret")
}

#[test]
fn the_code_is_redeemed_with_the_verifier_and_the_clients_secret() {
    configured().answer("token", 200, r#"{"access_token":"a","refresh_token":"r","expires_in":3600}"#).start();
    assert!(testing::exchange::<Acme>().unwrap().has_refresh());
    let sent = &testing::sent()[0];
    assert_eq!(sent.scheme(), Some("basic"));
    assert_eq!((sent.form("code"), sent.form("code_verifier")), (Some("[code]"), Some("[verifier]")));
}

#[test]
fn a_wrong_client_is_told_where_to_look() {
    configured().answer("token", 401, r#"{"error":"invalid_client"}"#).start();
    let failure = testing::exchange::<Acme>().unwrap_err();
    assert!(failure.get("hint").is_some_and(|hint| hint.contains("ACME_CLIENT_ID")));
}
