//! T44 and T46: whoever wants the credential elsewhere. A listener counts what it must never see.

use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{signed_in, signed_in_as};
use crate::support::broker::Launch;
use crate::support::lookalike::App;
use crate::support::raw::Raw;

async fn evil() -> Raw {
    Raw::start(|_, mut stream| async move { drop(stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await) }).await
}

#[tokio::test]
async fn t44_no_trick_with_the_address_sends_a_packet() {
    let evil = evil().await;
    let names = [
        "evil.example:443",
        "api.github.com.evil.example:443",
        "xapi.github.com:443",
        "x.api.github.com:443",
        "api.github.com:8443",
        "api.github.com:80",
    ];
    let resolve: Vec<String> = names.iter().map(|name| format!("\"{name}\" = \"{}\"", evil.address())).collect();
    let port = evil.address().port();
    let toml = format!("[egress]\nallow_loopback = [\"127.0.0.1:{port}\"]\nresolve = {{ {} }}", resolve.join(", "));
    let mut it = signed_in(App::OAuth, &toml).await;
    let before = it.lookalike.all_requests().len();
    for url in [
        "https://evil.example/user".to_owned(),
        "https://api.github.com.evil.example/user".to_owned(),
        "https://xapi.github.com/user".to_owned(),
        "https://x.api.github.com/user".to_owned(),
        "https://api.github.com@evil.example/user".to_owned(),
        "https://evil.example@api.github.com/user".to_owned(),
        "https://evil.example%40api.github.com/user".to_owned(),
        "https://api.github.com:8443/user".to_owned(),
        "https://api.github.com:80/user".to_owned(),
        "http://api.github.com/user".to_owned(),
        format!("http://127.0.0.1:{port}/user"),
        format!("http://localhost:{port}/user"),
        format!("https://127.0.0.1:{port}/user"),
        format!("https://0x7f000001:{port}/user"),
        format!("https://2130706433:{port}/user"),
        format!("https://[::ffff:127.0.0.1]:{port}/user"),
        "https://API.GITHUB.COM/user".to_owned(),
        "https://api.github.com./user".to_owned(),
        "https://api.gıthub.com/user".to_owned(),
        "https://xn--api-github-com/user".to_owned(),
        "https://api.github.com\\@evil.example/user".to_owned(),
        "https://api.github.com\\.evil.example/user".to_owned(),
        "https:\\\\evil.example/user".to_owned(),
        "//evil.example/user".to_owned(),
        "https://api.github.com\r\nHost: evil.example/user".to_owned(),
        "https://api.github.com/user\r\nX: y".to_owned(),
        "https://api.github.com/user HTTP/1.1".to_owned(),
        "https://api.github.com/repos/../app/installations/1/access_tokens".to_owned(),
        "https://api.github.com/x/%2e%2e/app/installations/1/access_tokens".to_owned(),
        "https://api.github.com/x/..%2fapp/installations/1/access_tokens".to_owned(),
        "https://api.github.com/%61pp/installations/1/access_tokens".to_owned(),
        "https://api.github.com//app/installations/1/access_tokens".to_owned(),
        "https://api.github.com/app/installations/1/access_tokens".to_owned(),
        "https://api.github.com/applications/x/token".to_owned(),
        "https://github.com/login/oauth/access_token".to_owned(),
        "https://api.github.com/user#@evil.example".to_owned(),
        "file:///etc/passwd".to_owned(),
        "ftp://api.github.com/user".to_owned(),
        String::new(),
    ] {
        let answer = it.ask(json!({ "url": url })).await;
        let code = answer["code"].as_str().unwrap_or_else(|| panic!("{url} was sent: {:#}", answer.json)).to_owned();
        assert!(answer.is_error && ["invalid_argument", "not_allowed"].contains(&code.as_str()), "{url}: {:#}", answer.json);
        assert!(answer["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{url}: {:#}", answer.json);
    }
    assert_eq!((evil.connections(), it.lookalike.all_requests().len()), (0, before));
}

#[tokio::test]
async fn t44_no_header_of_the_agents_moves_or_adds_a_credential() {
    let mut it = signed_in(App::OAuth, "").await;
    let before = it.at_the_api();
    for (name, value) in [
        ("Authorization", "Bearer mine"),
        ("authorization", "Bearer mine"),
        ("Proxy-Authorization", "Basic x"),
        ("Proxy-Connection", "keep-alive"),
        ("Host", "evil.example"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-HTTP-Method-Override", "DELETE"),
        ("Cookie", "a=b"),
        ("Connection", "authorization"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "0"),
        ("Upgrade", "h2c"),
        ("Accept", "a\r\nAuthorization: Bearer mine"),
        ("Accept\r\nX", "a"),
        ("Accept\0", "a"),
        ("Accept", "a\nb"),
        ("X-Anything", "a"),
    ] {
        let answer = it.ask(json!({ "url": "https://api.github.com/user", "headers": { name: value } })).await;
        assert!(
            answer.is_error && matches!(answer["code"].as_str(), Some("not_allowed" | "invalid_argument")),
            "{name}: {:#}",
            answer.json
        );
    }
    for method in ["get", "TRACE", "CONNECT", "GET / HTTP/1.1\r\nX: y", "OPTIONS", "*"] {
        it.ask(json!({ "url": "https://api.github.com/user", "method": method })).await.refused("invalid_argument");
    }
    assert_eq!(it.at_the_api(), before);
}

#[tokio::test]
async fn a_host_that_leads_to_a_private_address_is_not_asked() {
    let evil = evil().await;
    let port = evil.address().port();
    let broker = super::inside(
        &format!(
            "[secrets.key]\nhosts = [\"localhost:{port}\", \"127.0.0.1:{port}\", \"10.0.0.1\", \"169.254.169.254\", \"192.168.1.1:8080\"]"
        ),
        &[("key", "k-0123456789")],
    );
    for url in [
        format!("https://localhost:{port}/"),
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        "https://10.0.0.1/".to_owned(),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "https://192.168.1.1:8080/".to_owned(),
    ] {
        let error = broker.http_request(super::with_key(&url)).await.unwrap_err();
        assert_eq!(error.code(), credentials_broker::error::Code::NotAllowed, "{url}: {error}");
    }
    assert_eq!(evil.connections(), 0);
}

#[tokio::test]
async fn t46_proxies_in_the_environment_are_not_read() {
    let evil = evil().await;
    let proxy = format!("http://{}", evil.address());
    let mut launch = Launch::new();
    for name in ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"] {
        launch = launch.env(name, &proxy);
    }
    let mut it = signed_in_as(App::OAuth, launch.env("NO_PROXY", "").env("REQUEST_METHOD", "GET")).await;
    assert_eq!(it.ask(json!({ "url": "https://api.github.com/user" })).await.ok()["status"], 200);
    assert_eq!(evil.connections(), 0);
}
