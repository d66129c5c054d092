//! The door as a whole, against servers on loopback.

mod kept;
pub(crate) mod server;

use std::net::SocketAddr;

use super::*;
use crate::error::{Code, Error};
use server::{Answer, Authority, Server};

/// What no message may show.
const CANARY: &str = "canary-7c1f";

fn ok() -> Answer {
    Answer::new("200 OK", "", "fine")
}

fn get(url: &str) -> Outgoing {
    Outgoing {
        method: http::Method::GET,
        url: Url::parse(url).unwrap(),
        headers: HeaderMap::new(),
        body: None,
        limit: 1024,
        cut: false,
        timeout: Duration::from_secs(20),
        keep: false,
    }
}

/// The operator sends `places` to `server`, and trusts `authority`.
fn resolving(authority: &Authority, places: &[&str], address: SocketAddr) -> config::Egress {
    config::Egress {
        extra_roots: Some(authority.file.to_path_buf()),
        resolve: places.iter().map(|&place| (place.to_owned(), address)).collect(),
        ..Default::default()
    }
}

fn listing(address: SocketAddr) -> config::Egress {
    config::Egress { allow_loopback: vec![address], ..Default::default() }
}

async fn send(config: &config::Egress, request: Outgoing) -> Result<Incoming, Failure> {
    Egress::new(config).unwrap().send(request).await
}

#[tokio::test]
async fn the_name_goes_into_tls_and_host_while_the_connection_goes_where_the_operator_says() {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["github.com"], ok()).await;
    let config = resolving(&authority, &["github.com:443", "github.com:8443"], server.address);
    let answer = send(&config, get("https://GitHub.com/login?x=1")).await.unwrap();
    assert_eq!((answer.status, answer.body.as_slice()), (200, b"fine".as_slice()));
    send(&config, get("https://github.com:8443/")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].sni.as_deref(), Some("github.com"));
    assert!(seen[0].request.starts_with("GET /login?x=1 HTTP/1.1\r\n"), "{}", seen[0].request);
    assert!(seen[0].request.contains("\r\nhost: github.com\r\n"), "{}", seen[0].request);
    assert_eq!(seen[1].sni.as_deref(), Some("github.com"));
    assert!(seen[1].request.contains("\r\nhost: github.com:8443\r\n"), "{}", seen[1].request);
}

#[tokio::test]
async fn what_is_pinned_for_one_port_is_not_pinned_for_another_name_or_port() {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["idp.invalid", "other.invalid"], ok()).await;
    let config = resolving(&authority, &["idp.invalid:443"], server.address);
    for url in ["https://idp.invalid:8443/", "https://other.invalid/", "https://sub.idp.invalid/"] {
        // Asked of DNS, which knows no such name.
        assert!(matches!(send(&config, get(url)).await, Err(Failure::Unresolved { .. })), "{url}");
    }
    let port = server.address.port();
    for url in [
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
    ] {
        assert_eq!(send(&config, get(&url)).await.unwrap_err().code(), "refused", "{url}");
    }
    assert!(server.seen().is_empty());
    send(&config, get("https://idp.invalid/")).await.unwrap();
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn method_headers_and_body_arrive_as_they_were_given() {
    let server = Server::plain(ok()).await;
    let mut request = get(&format!("http://{}/token", server.address));
    request.method = http::Method::POST;
    request.headers.insert("accept", "application/json".parse().unwrap());
    request.body = Some(Zeroizing::new(b"grant_type=refresh_token".to_vec()));
    send(&listing(server.address), request).await.unwrap();
    let text = server.seen()[0].request.clone();
    assert!(text.starts_with("POST /token HTTP/1.1\r\n") && text.ends_with("\r\n\r\ngrant_type=refresh_token"), "{text}");
    assert!(text.contains("accept: application/json\r\n") && text.contains("user-agent: mcp-credentials-broker/"), "{text}");
    assert!(!text.contains("accept-encoding"), "{text}");
}

#[tokio::test]
async fn a_listed_loopback_address_may_be_written_as_localhost_and_speak_plain_http() {
    let server = Server::plain(ok()).await;
    let port = server.address.port();
    for url in [format!("http://127.0.0.1:{port}/"), format!("http://localhost:{port}/")] {
        assert_eq!(send(&listing(server.address), get(&url)).await.unwrap().status, 200, "{url}");
    }
    assert!(server.seen()[1].request.contains(&format!("\r\nhost: localhost:{port}\r\n")));
}

#[tokio::test]
async fn an_unlisted_loopback_address_is_not_connected_to_and_the_line_that_would_allow_it_is_told() {
    let server = Server::plain(ok()).await;
    let other = Server::plain(ok()).await;
    for host in [server.address.to_string(), format!("localhost:{}", server.address.port())] {
        let url = format!("http://{host}/{CANARY}?{CANARY}");
        let failure = send(&listing(other.address), get(&url)).await.unwrap_err();
        assert_eq!(failure.code(), "refused");
        let error = Error::from(failure);
        assert_eq!(error.code(), Code::NotAllowed);
        let line = format!("below [egress]: allow_loopback = [\"{}\"]", server.address);
        assert!(error.hint().ends_with(&line) && !error.to_string().contains(CANARY), "{error}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let second = Server::plain(ok()).await;
    let first = Server::plain(Answer::new("302 Found", &format!("Location: http://{}/\r\n", second.address), "")).await;
    let config = config::Egress { allow_loopback: vec![first.address, second.address], ..Default::default() };
    let answer = send(&config, get(&format!("http://{}/", first.address))).await.unwrap();
    assert_eq!(answer.status, 302);
    assert!(second.seen().is_empty());
}

#[tokio::test]
async fn an_answer_at_the_limit_is_whole_and_one_byte_more_is_too_large() {
    let whole = Server::plain(Answer::new("200 OK", "", &"x".repeat(1024))).await;
    assert_eq!(send(&listing(whole.address), get(&format!("http://{}/", whole.address))).await.unwrap().body.len(), 1024);
    let announced = Server::plain(Answer::new("200 OK", "", &"x".repeat(1025))).await;
    let unannounced = Server::plain(Answer::Bytes(format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1025)).into_bytes())).await;
    let endless = Server::plain(Answer::Endless).await;
    for server in [announced, unannounced, endless] {
        let failure = send(&listing(server.address), get(&format!("http://{}/", server.address))).await.unwrap_err();
        assert!(matches!(failure, Failure::TooLarge { limit: 1024, .. }), "{failure}");
        assert_eq!(failure.code(), "too_large");
    }
}

#[tokio::test]
async fn a_compressed_answer_stays_as_it_is() {
    let server = Server::plain(Answer::new("200 OK", "Content-Encoding: gzip\r\n", "not really")).await;
    let answer = send(&listing(server.address), get(&format!("http://{}/", server.address))).await.unwrap();
    assert_eq!(answer.body.as_slice(), b"not really");
    assert_eq!(answer.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn a_silent_server_is_left_after_the_time_that_was_given() {
    let server = Server::plain(Answer::Silence).await;
    let mut request = get(&format!("http://{}/", server.address));
    request.timeout = Duration::from_millis(200);
    let failure = send(&listing(server.address), request).await.unwrap_err();
    assert_eq!(failure.code(), "timeout");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn what_speaks_no_http_and_what_does_not_listen_are_unreachable() {
    let babble = Server::plain(Answer::Bytes(format!("{CANARY}\r\n\r\n").into_bytes())).await;
    let cut = Server::plain(Answer::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf".to_vec())).await;
    // Nobody listens there any more.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for address in [babble.address, cut.address, closed] {
        let url = format!("http://{address}/{CANARY}?code={CANARY}");
        let failure = send(&listing(address), get(&url)).await.unwrap_err();
        assert_eq!(failure.code(), "unreachable");
        let text = format!("{failure} {failure:?} {}", Error::from(failure.clone()));
        assert!(text.contains(&address.to_string()) && !text.contains(CANARY), "{text}");
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_or_for_another_name_is_refused_before_anything_is_sent() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let unknown = Server::tls(&stranger, &["idp.invalid"], ok()).await;
    let misnamed = Server::tls(&authority, &["other.invalid"], ok()).await;
    for server in [unknown, misnamed] {
        let config = resolving(&authority, &["idp.invalid:443"], server.address);
        let failure = send(&config, get(&format!("https://idp.invalid/{CANARY}"))).await.unwrap_err();
        assert!(matches!(&failure, Failure::Tls { .. }), "{failure}");
        let error = Error::from(failure);
        assert!(error.hint().contains("below [egress]: extra_roots") && !error.to_string().contains(CANARY), "{error}");
        assert!(server.seen().is_empty());
    }
}

#[tokio::test]
async fn headers_that_decide_where_a_message_goes_or_ends_are_refused() {
    let server = Server::plain(ok()).await;
    for name in OWN_HEADERS {
        let mut request = get(&format!("http://{}/", server.address));
        request.headers.insert(&name, CANARY.parse().unwrap());
        let failure = send(&listing(server.address), request).await.unwrap_err();
        assert!(matches!(&failure, Failure::Refused(Refusal::Header(..))), "{failure}");
        assert!(!Error::from(failure).to_string().contains(CANARY));
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_proxy_is_told_name_and_port_and_sees_nothing_else() {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["idp.invalid"], ok()).await;
    let proxy = Server::plain(Answer::Tunnel(server.address)).await;
    let mut config = resolving(&authority, &[], server.address);
    config.proxy = Some(Url::parse(&format!("http://{}", proxy.address)).unwrap());
    let answer = send(&config, get(&format!("https://idp.invalid:8443/{CANARY}"))).await.unwrap();
    assert_eq!(answer.body.as_slice(), b"fine");
    let asked = proxy.seen()[0].request.clone();
    assert!(asked.starts_with("CONNECT idp.invalid:8443 HTTP/1.1\r\n") && !asked.contains(CANARY), "{asked}");
    let seen = server.seen()[0].clone();
    assert_eq!(seen.sni.as_deref(), Some("idp.invalid"));
    assert!(seen.request.contains("\r\nhost: idp.invalid:8443\r\n"), "{}", seen.request);
}

#[tokio::test]
async fn loopback_and_what_the_operator_pins_go_past_the_proxy() {
    let authority = Authority::new();
    let proxy = Server::plain(Answer::new("403 Forbidden", "", "no")).await;
    let direct = Server::plain(ok()).await;
    let pinned = Server::tls(&authority, &["pinned.invalid"], ok()).await;
    let mut config = resolving(&authority, &["pinned.invalid:443"], pinned.address);
    config.allow_loopback = vec![direct.address];
    config.proxy = Some(Url::parse(&format!("http://{}", proxy.address)).unwrap());
    send(&config, get(&format!("http://{}/", direct.address))).await.unwrap();
    send(&config, get("https://pinned.invalid/")).await.unwrap();
    assert!(proxy.seen().is_empty());
    let failure = send(&config, get("https://other.invalid/")).await.unwrap_err();
    assert_eq!((failure.code(), proxy.seen().len()), ("unreachable", 1));
    assert!(failure.to_string().contains(&format!("through the proxy {}", proxy.address)), "{failure}");
}

/// Variables cannot be set for one test of a process, so the test program runs itself again for that test.
fn run_with_variables(test: &str, variables: &[(&str, &str)]) {
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "--ignored", &format!("egress::tests::{test}")]);
    let output = again.env_remove("NO_PROXY").env_remove("no_proxy").envs(variables.iter().copied()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn proxy_variables_of_the_environment_are_not_looked_at() {
    let hostile = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    hostile.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", hostile.local_addr().unwrap());
    let names = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "HTTP_PROXY", "http_proxy"];
    run_with_variables("a_request_under_hostile_proxy_variables", &names.map(|name| (name, proxy.as_str())));
    assert_eq!(hostile.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "somebody asked the proxy");
}

#[tokio::test]
#[ignore = "run by proxy_variables_of_…, with variables set"]
async fn a_request_under_hostile_proxy_variables() {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["idp.invalid"], ok()).await;
    let config = resolving(&authority, &["idp.invalid:443"], server.address);
    assert_eq!(send(&config, get("https://idp.invalid/")).await.unwrap().status, 200);
    let plain = Server::plain(ok()).await;
    assert_eq!(send(&listing(plain.address), get(&format!("http://{}/", plain.address))).await.unwrap().status, 200);
}

#[cfg(target_os = "linux")]
#[test]
fn without_certificate_authorities_https_says_what_to_install_and_everything_else_works() {
    run_with_variables("requests_without_roots", &[("SSL_CERT_FILE", "/nonexistent"), ("SSL_CERT_DIR", "/nonexistent")]);
}

#[tokio::test]
#[ignore = "run by without_certificate_authorities_…, with variables set"]
async fn requests_without_roots() {
    let authority = Authority::new();
    let server = Server::tls(&authority, &["idp.invalid"], ok()).await;
    let plain = Server::plain(ok()).await;
    let mut config = resolving(&authority, &["idp.invalid:443"], server.address);
    config.allow_loopback = vec![plain.address];
    send(&config, get("https://idp.invalid/")).await.unwrap();
    config.extra_roots = None;
    send(&config, get(&format!("http://{}/", plain.address))).await.unwrap();
    let failure = send(&config, get("https://idp.invalid/")).await.unwrap_err();
    assert!(matches!(failure, Failure::NoRoots { .. }), "{failure}");
    assert!(Error::from(failure).hint().contains("ca-certificates"));
}

#[test]
fn a_file_of_roots_that_is_missing_empty_or_broken_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for file in [folder.path().join("missing.pem"), empty, broken] {
        let config = config::Egress { extra_roots: Some(file.clone()), ..Default::default() };
        let error = Egress::new(&config).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfiguration);
        assert!(error.message().contains(file.to_str().unwrap()), "{error}");
    }
}

#[test]
fn debug_output_of_messages_shows_no_query_header_or_body() {
    let mut request = get(&format!("https://idp.invalid/{CANARY}?code={CANARY}"));
    request.headers.insert("x", CANARY.parse().unwrap());
    request.body = Some(Zeroizing::new(CANARY.into()));
    let answer = Incoming { status: 200, headers: request.headers.clone(), body: Zeroizing::new(CANARY.into()), cut: false };
    assert_eq!(format!("{request:?} {answer:?}"), "Outgoing(GET idp.invalid) Incoming(200, 11 bytes)");
}
