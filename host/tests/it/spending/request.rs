//! What http_request sends, and what it shows of the answer.

use credentials_broker::error::Code;
use serde_json::{Value, json};

use super::{SignedIn, at_loopback, inside, signed_in, with_key};
use crate::support::lookalike::{Answer, App, Site};
use crate::support::raw::Raw;

const USER: &str = "https://api.github.com/user";

#[tokio::test]
async fn a_login_is_spent_without_being_shown() {
    let SignedIn { github, lookalike, mut broker } = signed_in(App::OAuth, "").await;
    let answer =
        super::ask(&mut broker, "github-token", json!({ "url": USER, "headers": { "Accept": "application/json" } })).await.ok();
    assert_eq!(answer["status"], 200);
    assert_eq!(serde_json::from_str::<Value>(answer["body"].as_str().unwrap()).unwrap()["login"], "octocat");
    assert_eq!(answer["headers"]["content-type"], "application/json; charset=utf-8");
    assert_eq!((&answer["next_offset"], &answer["message"]), (&Value::Null, &Value::Null));
    let request = &lookalike.requests("/user")[0];
    assert!(request.bearer().is_some_and(|token| github.desk().is_live(token)));
    assert_eq!((request.header("accept"), request.header("accept-encoding")), ("application/json", "identity"));
    assert_eq!((request.sni.as_str(), request.host.as_str()), ("api.github.com", "api.github.com"));
    broker.assert_unseen(&lookalike.secrets());
    let line = super::entries(&mut broker).await.into_iter().find(|line| line["event"] == "http_request").unwrap();
    assert_eq!(
        [&line["outcome"], &line["secret"], &line["purpose"], &line["destination"], &line["provider"]],
        ["ok", "github-token", "a test", "GET api.github.com", "github"]
    );
}

#[tokio::test]
async fn method_headers_and_body_arrive_as_they_were_given() {
    let mut it = signed_in(App::OAuth, "").await;
    it.lookalike.always("/repos/o/r/issues", Answer::json(201, &json!({ "number": 7 })));
    let more = json!({
        "url": "https://api.github.com/repos/o/r/issues?x=a%20b", "method": "POST", "body": "{\"title\":\"ä\"}",
        "headers": { "Content-Type": "application/json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "me" },
    });
    assert_eq!(it.ask(more).await.ok()["status"], 201);
    let request = &it.lookalike.requests("/repos/o/r/issues")[0];
    assert_eq!((request.method.as_str(), request.body.as_str()), ("POST", "{\"title\":\"ä\"}"));
    assert_eq!(
        ["content-type", "x-github-api-version", "user-agent"].map(|name| request.header(name)),
        ["application/json", "2022-11-28", "me"]
    );
    let binary = json!({ "url": "https://api.github.com/repos/o/r/issues", "method": "PUT", "body_base64": "aGk=" });
    it.ask(binary).await.ok();
    assert_eq!(it.lookalike.requests("/repos/o/r/issues")[1].body, "hi");
}

#[tokio::test]
async fn t42_a_refused_token_is_renewed_once_and_a_safe_request_repeated_once() {
    let mut it = signed_in(App::GitHub, "").await;
    it.lookalike.once("/user", Answer::json(401, &json!({ "message": "Bad credentials" })));
    let answer = it.ask(json!({ "url": USER })).await.ok();
    assert_eq!(answer["status"], 200);
    assert!(answer["message"].as_str().unwrap().contains("renewed"), "{answer:#}");
    let tokens: Vec<String> = it.lookalike.requests("/user").iter().map(|request| request.bearer().unwrap().to_owned()).collect();
    assert!(tokens.len() == 2 && tokens[0] != tokens[1] && it.github.desk().is_live(&tokens[1]));
    it.broker.assert_unseen(&it.lookalike.secrets());
}

#[tokio::test]
async fn t42_what_is_refused_with_a_new_token_too_is_told_and_not_tried_for_ever() {
    let mut it = signed_in(App::GitHub, "").await;
    it.lookalike.always("/user", Answer::json(401, &json!({ "message": "Bad credentials" })));
    assert_eq!(it.ask(json!({ "url": USER })).await.ok()["status"], 401);
    assert_eq!(it.lookalike.requests("/user").len(), 2);
    for tries in [3, 4] {
        it.ask(json!({ "url": USER })).await.refused("sign_in_again").names(&["start_oauth_flow"]);
        assert_eq!(it.lookalike.requests("/user").len(), tries, "renewed once, not at each call");
    }
}

#[tokio::test]
async fn what_may_change_something_is_not_sent_twice() {
    let mut it = signed_in(App::GitHub, "").await;
    it.lookalike.once("/user", Answer::json(401, &json!({})));
    let answer = it.ask(json!({ "url": USER, "method": "PATCH", "body": "{}" })).await.ok();
    assert_eq!(answer["status"], 401);
    assert!(answer["message"].as_str().unwrap().contains("call again"), "{answer:#}");
    assert_eq!(it.lookalike.requests("/user").len(), 1);
    it.ask(json!({ "url": USER, "method": "PATCH" })).await.ok();
    let tokens: Vec<String> = it.lookalike.requests("/user").iter().map(|request| request.bearer().unwrap().to_owned()).collect();
    assert_ne!(tokens[0], tokens[1], "the next call has the new token");
}

#[tokio::test]
async fn t42_a_login_that_has_ended_asks_for_a_new_one() {
    let mut it = signed_in(App::GitHub, "").await;
    it.github.desk().end_all();
    let failure = it.ask(json!({ "url": USER })).await.refused("sign_in_again");
    failure.names(&["start_oauth_flow"]);
    assert_eq!(it.lookalike.requests("/user").len(), 1);
}

#[tokio::test]
async fn a_token_without_a_refresh_token_is_refused_once() {
    let mut it = signed_in(App::OAuth, "").await;
    it.github.desk().end_all();
    assert_eq!(it.ask(json!({ "url": USER })).await.ok()["status"], 401);
    assert_eq!(it.lookalike.requests("/user").len(), 1);
}

#[tokio::test]
async fn t44_a_redirect_is_told_and_not_followed() {
    let elsewhere = Raw::answering("200 OK", "", "").await;
    let mut it =
        signed_in(App::OAuth, &format!("[egress]\nresolve = {{ \"evil.example:443\" = \"{}\" }}", elsewhere.address())).await;
    for location in ["https://evil.example/", "/user", "//evil.example/"] {
        it.lookalike.once("/old", Answer::redirect(302, location));
        let before = it.at_the_api();
        let answer = it.ask(json!({ "url": "https://api.github.com/old" })).await.ok();
        assert_eq!((&answer["status"], &answer["headers"]["location"]), (&302.into(), &location.into()));
        assert!(answer["message"].as_str().unwrap().contains("not followed"), "{answer:#}");
        assert_eq!(it.at_the_api(), before + 1);
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_long_body_is_shown_in_parts() {
    let mut it = signed_in(App::OAuth, "").await;
    let whole = "0123456789äöü-".repeat(10_000);
    it.lookalike.always("/long", Answer::text(200, "text/plain", whole.clone()));
    let first = it.ask(json!({ "url": "https://api.github.com/long" })).await.ok();
    assert_eq!(first["total"], whole.len());
    let (mut read, mut part) = (String::new(), first.clone());
    loop {
        read.push_str(part["body"].as_str().unwrap());
        let Some(offset) = part["next_offset"].as_u64() else { break };
        part = it.broker.call("read_response", json!({ "response_id": first["response_id"], "offset": offset })).await.ok();
    }
    assert!(read == whole);
    assert_eq!(it.lookalike.requests("/long").len(), 1, "the server was asked once");
    it.broker.call("read_response", json!({ "response_id": "x", "offset": 0 })).await.refused("unknown_reference");
    let beyond = json!({ "response_id": first["response_id"], "offset": 1_000_000 });
    it.broker.call("read_response", beyond).await.refused("invalid_argument");
}

#[tokio::test]
async fn what_is_no_text_is_shown_in_base64() {
    let mut it = signed_in(App::OAuth, "").await;
    it.lookalike.always("/png", Answer::text(200, "image/png", &b"\x89PNG\r\n\x1a\n\0"[..]));
    let answer = it.ask(json!({ "url": "https://api.github.com/png" })).await.ok();
    assert_eq!((&answer["body_base64"], &answer["body"]), (&"iVBORw0KGgoA".into(), &Value::Null));
}

#[tokio::test]
async fn a_stored_value_is_put_where_the_operator_says() {
    for (inject, header, value) in [
        ("", "authorization", "Bearer k-0123456789"),
        ("inject = \"basic\"\nuser = \"me\"", "authorization", "Basic bWU6ay0wMTIzNDU2Nzg5"),
        ("inject = \"x-api-key\"", "x-api-key", "k-0123456789"),
    ] {
        let server = Raw::answering("200 OK", "", "hello").await;
        let broker = inside(&at_loopback(server.address().port(), inject), &[("key", "k-0123456789")]);
        let answer = broker.http_request(with_key(&format!("http://{}/v1", server.address()))).await.unwrap();
        assert_eq!((answer.status, answer.body.bytes()), (200, &b"hello"[..]));
        let request = server.last_request().to_ascii_lowercase();
        assert!(request.contains(&format!("\r\n{header}: {}\r\n", value.to_ascii_lowercase())), "{request}");
        assert_eq!(request.matches("authorization:").count(), usize::from(header == "authorization"), "{request}");
    }
}

#[tokio::test]
async fn methods_and_headers_are_the_operators_to_narrow_and_to_add() {
    let server = Raw::answering("200 OK", "", "").await;
    let toml = at_loopback(server.address().port(), "methods = [\"GET\"]\nheaders = [\"x-team\"]");
    let broker = inside(&toml, &[("key", "k-0123456789")]);
    let mut request = with_key(&format!("http://{}/v1", server.address()));
    request.headers.insert("X-Team".to_owned(), "a".to_owned());
    broker.http_request(request.clone()).await.unwrap();
    assert!(server.last_request().contains("x-team: a"));
    request.method = "POST".to_owned();
    assert_eq!(broker.http_request(request).await.unwrap_err().code(), Code::NotAllowed);
    assert_eq!(server.connections(), 1);
}
