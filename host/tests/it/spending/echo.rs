//! T45: a server that sends the credential back, in every way it can.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{at_loopback, inside, signed_in, with_key};
use crate::support::canary;
use crate::support::lookalike::{Answer, App, Request};
use crate::support::raw::Raw;

/// What an echo service makes of the token.
fn reflected(request: &Request) -> String {
    let header = request.header("authorization");
    let token = header.strip_prefix("Bearer ").unwrap_or(header);
    let hex: String = token.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String = token.bytes().map(|byte| format!("%{byte:02X}")).collect();
    [
        header.to_owned(),
        token.to_owned(),
        format!("https://api.github.com/?access_token={token}"),
        url::form_urlencoded::byte_serialize(token.as_bytes()).collect(),
        percent.to_lowercase(),
        percent,
        json!({ "headers": { "authorization": header } }).to_string(),
        json!(json!({ "authorization": header }).to_string()).to_string(),
        BASE64_STANDARD.encode(token),
        BASE64_STANDARD.encode(format!("u:{token}")),
        BASE64_STANDARD.encode(format!("x-access-token:{token}")),
        BASE64_URL_SAFE_NO_PAD.encode(format!("me:{token}:x")),
        hex.to_uppercase(),
        hex,
        format!("{token}{token}"),
        token.chars().rev().collect::<String>() + " is not found, as the documents say",
    ]
    .join("\n")
}

#[tokio::test]
async fn t45_a_token_that_comes_back_is_replaced_in_every_encoding() {
    let mut it = signed_in(App::GitHub, "").await;
    it.lookalike.always("/echo", Answer::Quote(reflected));
    it.lookalike.always("/long", Answer::Quote(|request| "padding ".repeat(8190) + &reflected(request)));
    for path in ["/echo", "/long"] {
        let answer = it.ask(json!({ "url": format!("https://api.github.com{path}") })).await.ok();
        assert_eq!(answer["status"], 400);
        let mut body = answer["body"].as_str().unwrap().to_owned();
        let mut next = answer["next_offset"].clone();
        while next.is_u64() {
            let rest = json!({ "response_id": answer["response_id"], "offset": next });
            let part = it.broker.call("read_response", rest).await.ok();
            body += part["body"].as_str().unwrap();
            next = part["next_offset"].clone();
        }
        assert!(body.matches("[secret:github-token]").count() > 20, "{body}");
    }
    // everything the agent's side ever received, and whatever else was written
    it.broker.assert_unseen(&it.lookalike.secrets());
}

#[tokio::test]
async fn t45_headers_that_repeat_the_credential_are_redacted_and_cookies_are_not_shown() {
    let server = Raw::start(|request, mut stream| async move {
        use tokio::io::AsyncWriteExt;
        let key = request.lines().find_map(|line| line.strip_prefix("authorization: Bearer ")).unwrap_or("none").to_owned();
        let head = format!(
            "HTTP/1.1 302 Found\r\nlocation: https://x.example/?t={key}\r\netag: \"{}\"\r\nset-cookie: session={key}\r\n\
             x-echo: {key}\r\nlink: <https://x.example/{key}>\r\ncontent-length: 0\r\n\r\n",
            BASE64_STANDARD.encode(&key)
        );
        let _ = stream.write_all(head.as_bytes()).await;
    })
    .await;
    let broker = inside(&at_loopback(server.address().port(), ""), &[("key", "k-0123456789abcdef")]);
    let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
    let shown = format!("{:?}", answer.headers);
    canary::assert_unseen("the headers", shown.as_bytes(), ["k-0123456789abcdef"]);
    let names: Vec<&str> = answer.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["location", "etag", "link"]);
    assert_eq!(answer.headers[0].1, "https://x.example/?t=[secret:key]");
}

#[tokio::test]
async fn t45_other_secrets_of_the_vault_are_taken_out_too() {
    let server = Raw::answering("200 OK", "", "one 0123456789-one two 0123456789-two short 1234567 three").await;
    let values = [("key", "0123456789-one"), ("other", "0123456789-two"), ("tiny", "1234567")];
    let broker = inside(&at_loopback(server.address().port(), ""), &values);
    let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
    assert_eq!(String::from_utf8_lossy(answer.body.bytes()), "one [secret:key] two [secret:other] short 1234567 three");
}

#[tokio::test]
async fn a_token_that_nobody_stored_is_known_by_its_providers_prefix() {
    let mut it = signed_in(App::OAuth, "").await;
    let new = json!({ "token": "ghs_16C7e42F292c6912E7710c838347Ae178B4a", "client_id": "Iv1.0123456789abcdef", "note": "gho_ is a prefix" });
    it.lookalike.always("/new", Answer::json(201, &new));
    let answer = it.ask(json!({ "url": "https://api.github.com/new" })).await.ok();
    let body: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, json!({ "token": "[token]", "client_id": "Iv1.0123456789abcdef", "note": "gho_ is a prefix" }));
    // in other people's traffic the same letters are left alone
    let server = Raw::answering("200 OK", "", "ghs_16C7e42F292c6912E7710c838347Ae178B4a").await;
    let broker = inside(&at_loopback(server.address().port(), ""), &[("key", "k-0123456789")]);
    let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
    assert_eq!(answer.body.bytes(), b"ghs_16C7e42F292c6912E7710c838347Ae178B4a");
}

#[tokio::test]
async fn t45_an_error_that_repeats_a_secret_does_not_show_it() {
    let broker = inside("", &[("key", "k-0123456789abcdef")]);
    let error = credentials_broker::error::Error::new(
        credentials_broker::error::Code::ProviderError,
        "The provider said \"k-0123456789abcdef is wrong\".",
        "Try k-0123456789abcdef.",
    );
    assert_eq!(broker.redacted(error).to_string(), "The provider said \"[secret:key] is wrong\". Try [secret:key].");
}
