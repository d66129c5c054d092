//! A person with Chromium, from the provider's form to the broker's page.

use fantoccini::Locator;
use serde_json::json;

use super::login::{at, granted, url};
use crate::support::browser::Browser;
use crate::support::idp::Idp;

#[tokio::test]
async fn a_person_signs_in_with_chromium() {
    let mut idp = Idp::start().await;
    let mut broker = at(&idp, "basic-client").ready().await;
    let browser = Browser::start().await;
    let pending = broker.begin_login("oauth2", &["openid", "offline_access"], "test-login").await;
    browser.sign_in(url(&pending)).await;
    let text = browser.text_with("You are signed in").await;
    assert!(text.contains("You are signed in to OAuth 2.0") && text.contains("You can close this tab"), "{text}");
    assert_eq!(granted(&mut idp, "authorization_code").await, 1, "the page came after the exchange");
    broker.end_login(&pending).await.ok();
    broker.reveal("test-login").await;

    let page = browser.page();
    assert!(!page.title().await.unwrap().is_empty());
    let loaded = "return performance.getEntriesByType('resource').map(entry => entry.name)";
    let loaded = page.execute(loaded, vec![]).await.unwrap();
    assert!(!loaded.to_string().contains("http://127"), "the page loads nothing: {loaded}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    page.execute("console.error('a complaint of ' + location.origin)", vec![]).await.unwrap();
    assert_eq!(browser.complaints().await.len(), 1, "a complaint would have been seen");
    assert!(page.find(Locator::Css("h1")).await.is_ok(), "one heading for a screen reader");

    // Reloaded once nobody listens any more, it is a browser's error page and no second exchange.
    drop(page.refresh().await);
    assert_eq!(granted(&mut idp, "authorization_code").await, 1);
    browser.close().await;
    broker.finish().await;
}

#[tokio::test]
async fn a_person_declines_with_chromium() {
    let mut idp = Idp::start().await;
    let mut broker = at(&idp, "public-client").ready().await;
    let browser = Browser::start().await;
    let pending = broker.begin_login("oauth2", &["openid"], "test-login").await;
    browser.decline(url(&pending)).await;
    let text = browser.text_with("Sign-in declined").await;
    assert!(text.contains("No access was given and nothing was stored"), "{text}");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
    broker.end_login(&pending).await.refused("denied");
    assert_eq!(granted(&mut idp, "authorization_code").await, 0);
    assert_eq!(broker.call("list_secrets", json!({})).await.ok()["secrets"], json!([]));
    browser.close().await;
}
