//! The callback listener over real sockets: what a browser, another user, a web page or a scanner may send, and what
//! stays true whatever they do.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking, its helpers too")]

#[path = "callback/wire.rs"]
mod wire;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use credentials_broker::callback::{Listener, Outcome, Page, Pending};
use credentials_broker::error::Code;
use credentials_broker::secret::Secret;
use url::Url;
use wire::{Response, get, get_with, raw, status_of};

const PATH: &str = "/oauth/callback";

/// A port that was free a moment ago, in both families.
fn free_port() -> u16 {
    loop {
        let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = v4.local_addr().unwrap().port();
        match TcpListener::bind((Ipv6Addr::LOCALHOST, port)) {
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {}
            _ => return port,
        }
    }
}

fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn listener(host: &str) -> (Listener, u16) {
    let port = free_port();
    (Listener::new(&Url::parse(&format!("http://{host}:{port}{PATH}")).unwrap()), port)
}

async fn pending(listener: &Listener, state: &str) -> Pending {
    listener.register(PATH, Secret::from(state), "GitHub", false).await.unwrap()
}

fn callback(state: &str) -> String {
    format!("{PATH}?code=the-code&state={state}")
}

/// Answers the one arrival with a page, and says what came.
async fn finish(pending: &mut Pending, page: Page) -> Outcome {
    let arrival = pending.arrival().await;
    arrival.reply.send(page);
    arrival.outcome
}

async fn nothing_arrives(pending: &mut Pending) {
    assert!(tokio::time::timeout(Duration::from_millis(100), pending.arrival()).await.is_err());
}

/// A sign-in that works, as the proof that the flow was still pending.
async fn sign_in(pending: &mut Pending, port: u16, state: &str) -> Response {
    let target = callback(state);
    let (response, outcome) = tokio::join!(get(port, &target), finish(pending, Page::SignedIn));
    assert!(matches!(outcome, Outcome::Code(code) if code.expose() == "the-code"));
    assert_eq!(response.status, 200);
    response
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[tokio::test]
async fn the_page_says_signed_in_only_after_the_broker_does() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    assert_eq!(flow.redirect_uri().as_str(), format!("http://localhost:{port}{PATH}"));
    let mut browser =
        tokio::spawn(async move { get(port, &format!("{PATH}?code=c&state=s&iss=https%3A%2F%2Fid.example")).await });
    let arrival = flow.arrival().await;
    assert_eq!(arrival.iss.as_deref(), Some("https://id.example"));
    // the browser waits while the exchange goes on
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut browser).await.is_err());
    arrival.reply.send(Page::SignedIn);
    let response = browser.await.unwrap();
    assert_eq!(response.status, 200);
    assert!(response.body.contains("You are signed in to <bdi>GitHub</bdi>"));
    assert!(response.body.contains("You can close this tab and go back to your agent or terminal."));
}

#[tokio::test]
async fn a_reply_that_is_dropped_shows_that_the_sign_in_failed() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let target = callback("s");
    let (response, ()) = tokio::join!(get(port, &target), async { drop(flow.arrival().await) });
    assert_eq!(response.status, 502);
    assert!(response.body.contains("You are not signed in to <bdi>GitHub</bdi>"));
}

#[tokio::test]
async fn t1_t4_a_wrong_state_leaves_the_flow_pending() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let queries = ["code=c", "code=c&state=", "code=c&state=wrong", "error=access_denied&state=wrong", "error=access_denied"];
    for query in queries {
        let response = get(port, &format!("{PATH}?{query}")).await;
        assert_eq!(response.status, 400, "{query}");
        assert!(response.body.contains("not an answer to your sign-in"), "{query}");
    }
    assert_eq!(flow.wrong_states(), 5);
    nothing_arrives(&mut flow).await;
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t2_of_fifty_replays_at_once_one_arrives() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let request = format!("GET {} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n", callback("s"));
    let browsers: Vec<_> = (0..50)
        .map(|_| {
            let request = request.clone();
            tokio::spawn(async move { raw(port, request.as_bytes()).await })
        })
        .collect();
    finish(&mut flow, Page::SignedIn).await;
    let mut signed_in = 0;
    for browser in browsers {
        let bytes = browser.await.unwrap();
        match status_of(&bytes) {
            Some(200) => signed_in += 1,
            Some(400) => assert!(String::from_utf8_lossy(&bytes).contains("already arrived")),
            // On a busy machine one may be so slow to send that it is sent away.
            other => assert_eq!(other, None),
        }
    }
    assert_eq!(signed_in, 1);
    nothing_arrives(&mut flow).await;
}

#[tokio::test]
async fn t3_a_person_who_declines_is_believed() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let target = format!("{PATH}?error=access_denied&error_description=No&state=s");
    let (response, outcome) = tokio::join!(get(port, &target), finish(&mut flow, Page::Declined));
    assert_eq!(response.status, 200);
    assert!(response.body.contains("Sign-in declined"));
    assert!(
        matches!(outcome, Outcome::Error { error, description } if error == "access_denied" && description.as_deref() == Some("No"))
    );
}

#[tokio::test]
async fn t5_t6_an_answer_that_makes_no_sense_leaves_the_flow_pending() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    for query in [
        "state=s",
        "code=c&error=access_denied&state=s",
        "code=c&code=c&state=s",
        "code=c&state=s&state=s",
        "code=c&state=s&iss=i&iss=i",
        "code=%00&state=s",
        "code=%ff%fe&state=s",
        "code=c&state=%ff",
    ] {
        assert_eq!(get(port, &format!("{PATH}?{query}")).await.status, 400, "{query}");
    }
    // raw bytes that no browser sends
    for target in [&b"/oauth/callback?code=\xff\xfe&state=s"[..], b"/oauth/callback?code=\0&state=s"] {
        let request = [b"GET ", target, format!(" HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n").as_bytes()].concat();
        assert!(!matches!(status_of(&raw(port, &request).await), Some(200..=399)));
    }
    let long = format!("{PATH}?code={}&state=s", "x".repeat(9 * 1024));
    let response = get(port, &long).await;
    assert_eq!(response.status, 431);
    assert!(response.body.contains("private window"));
    let huge = format!("GET {PATH}?code={}&state=s HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n", "x".repeat(100 * 1024));
    assert!(!matches!(status_of(&raw(port, huge.as_bytes()).await), Some(200..=399)));
    let headers = (0..40).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let many = format!("GET {} HTTP/1.1\r\nhost: localhost:{port}\r\n{headers}\r\n", callback("s"));
    assert_eq!(status_of(&raw(port, many.as_bytes()).await), Some(431));
    nothing_arrives(&mut flow).await;
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test]
async fn t9_another_host_is_refused_and_the_flow_untouched() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let target = callback("s");
    for hosts in [
        format!("host: evil.example:{port}\r\n"),
        format!("host: 127.0.0.1.nip.io:{port}\r\n"),
        format!("host: 127.0.0.1:{port}\r\n"),
        "host: localhost\r\n".to_owned(),
        String::new(),
        format!("host: localhost:{port}\r\nhost: localhost:{port}\r\n"),
        format!("host: localhost:{port}\r\nhost: evil.example\r\n"),
    ] {
        let bytes = raw(port, format!("GET {target} HTTP/1.1\r\n{hosts}\r\n").as_bytes()).await;
        assert_eq!(status_of(&bytes), Some(421), "{hosts}");
    }
    for authority in ["evil.example".to_owned(), format!("localhost:{port}")] {
        let request = format!("GET http://{authority}{target} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n");
        assert_eq!(status_of(&raw(port, request.as_bytes()).await), Some(421), "{authority}");
    }
    nothing_arrives(&mut flow).await;
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test]
async fn t10_other_methods_and_paths_are_refused_and_the_flow_untouched() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let query = "code=the-code&state=s";
    for method in ["POST", "HEAD", "OPTIONS", "PUT", "DELETE"] {
        let request =
            format!("{method} {PATH}?{query} HTTP/1.1\r\nhost: localhost:{port}\r\norigin: http://evil.example\r\n\r\n");
        let bytes = raw(port, request.as_bytes()).await;
        assert_eq!(status_of(&bytes), Some(405), "{method}");
        assert!(String::from_utf8_lossy(&bytes).contains("allow: GET"), "{method}");
    }
    let body = format!("POST {PATH} HTTP/1.1\r\nhost: localhost:{port}\r\ncontent-length: {}\r\n\r\n{query}", query.len());
    assert_eq!(status_of(&raw(port, body.as_bytes()).await), Some(405));
    for path in ["/", "//oauth/callback", "/x/../oauth/callback", "/oauth/callback/", "/oauth%2Fcallback", "/oauth/callback/acme"]
    {
        assert_eq!(get(port, &format!("{path}?{query}")).await.status, 404, "{path}");
    }
    nothing_arrives(&mut flow).await;
    assert_eq!(flow.wrong_states(), 0);
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test]
async fn t11_a_favicon_and_a_prefetch_come_before_the_real_one() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    assert_eq!(get(port, "/favicon.ico").await.status, 404);
    for header in ["Sec-Purpose: prefetch;prerender", "Purpose: prefetch"] {
        assert_eq!(get_with(port, &callback("s"), header).await.status, 503, "{header}");
    }
    nothing_arrives(&mut flow).await;
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test]
async fn t12_t29_a_page_is_the_same_bytes_whatever_the_request_says() {
    let (listener, port) = listener("localhost");
    let mut bodies = Vec::new();
    for extra in [
        "",
        "&error_description=%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "&error_description=a%0d%0aLocation:%20http://evil.example",
        "&error_description=%E2%80%AEevil",
        "&redirect=http://evil.example&next=//evil.example&url=javascript:alert(1)&return_to=/x",
    ] {
        let mut flow = pending(&listener, "s").await;
        let target = format!("{PATH}?error=server_error&state=s{extra}");
        let (response, outcome) = tokio::join!(get(port, &target), finish(&mut flow, Page::Failed));
        assert!(matches!(outcome, Outcome::Error { .. }));
        assert_eq!(response.status, 502);
        assert_eq!(response.header("location"), None);
        bodies.push(response.body);
    }
    assert!(bodies.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn t13_the_headers_are_the_specified_ones_and_the_page_holds_no_secret() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s3cret-state").await;
    let good = sign_in(&mut flow, port, "s3cret-state").await;
    let bad = get_with(port, &callback("other-state"), "origin: http://evil.example").await;
    for response in [good, bad] {
        assert_eq!(response.header("content-type"), Some("text/html; charset=utf-8"));
        let policy = response.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.ends_with("'; frame-ancestors 'none'"));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_eq!(response.header("connection"), Some("close"));
        for (name, _) in &response.headers {
            assert!(
                !name.starts_with("access-control-") && name != "set-cookie" && name != "location" && name != "server",
                "{name}"
            );
        }
        for secret in ["the-code", "s3cret-state", "other-state"] {
            assert!(!response.body.contains(secret), "{secret}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t14_silent_connections_do_not_keep_the_browser_out() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    let mut silent = Vec::new();
    for number in 0..1000 {
        silent.push(wire::connect(port, if number % 2 == 0 { b"" } else { b"GET /oauth/call" }).await);
    }
    let started = Instant::now();
    sign_in(&mut flow, port, "s").await;
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    // all but the sixteen youngest were sent away
    let open = wire::still_open(&mut silent).await;
    assert!(open <= 16, "{open} connections are open");
}

#[tokio::test]
async fn t14_a_slow_sender_is_cut_off_after_five_seconds() {
    let (listener, port) = listener("localhost");
    let _flow = pending(&listener, "s").await;
    let mut slow = wire::connect(port, b"GET /oauth/callback?code=c&sta").await;
    let started = Instant::now();
    wire::trickle_until_closed(&mut slow).await;
    let elapsed = started.elapsed();
    assert!(elapsed > Duration::from_secs(4) && elapsed < Duration::from_secs(7), "{elapsed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_bytes_at_all_leave_the_flow_pending() {
    let (listener, port) = listener("localhost");
    let mut flow = pending(&listener, "s").await;
    // a small generator: the same bytes in every run
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let good = format!("GET {PATH}?code=c&state=x HTTP/1.1\r\nhost: localhost:{port}\r\naccept: */*\r\n\r\n").into_bytes();
    for _ in 0..400 {
        let mut bytes = good.clone();
        for _ in 0..=next() % 6 {
            let at = usize::try_from(next() % 1024).unwrap() % bytes.len();
            match next() % 3 {
                0 => bytes[at] = next().to_le_bytes()[0],
                1 => bytes.insert(at, next().to_le_bytes()[0]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        wire::throw(port, &bytes).await;
    }
    for bytes in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0; 4096], &[0xff; 4096]]
    {
        wire::throw(port, bytes).await;
    }
    nothing_arrives(&mut flow).await;
    sign_in(&mut flow, port, "s").await;
}

#[tokio::test]
async fn t15_a_taken_port_is_refused_by_name_in_either_family() {
    let families = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    for ip in families.into_iter().take(if has_ipv6() { 2 } else { 1 }) {
        let (listener, port) = listener("localhost");
        let address = SocketAddr::new(ip, port);
        let other = TcpListener::bind(address).unwrap();
        let error = listener.register(PATH, Secret::from("s"), "GitHub", false).await.unwrap_err();
        assert_eq!(error.code(), Code::PortTaken);
        assert!(error.message().contains(&address.to_string()), "{error}");
        if cfg!(target_os = "linux") {
            assert!(error.message().contains(&format!("(process {})", std::process::id())), "{error}");
        }
        assert!(error.hint().contains("[callback] url") && error.hint().contains("loopback_port = \"any\""), "{error}");
        // neither family is left bound, and once the other is gone it works
        drop(other);
        assert!(is_free(port));
        pending(&listener, "s").await;
    }
}

#[tokio::test]
async fn t15_where_any_port_will_do_another_is_used() {
    let (listener, port) = listener("localhost");
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut one = listener.register(PATH, Secret::from("one"), "GitHub", true).await.unwrap();
    let two = listener.register("/oauth/callback/acme", Secret::from("two"), "Acme", true).await.unwrap();
    let other = one.redirect_uri().port().unwrap();
    assert_ne!(other, port);
    assert_eq!(two.redirect_uri().as_str(), format!("http://localhost:{other}/oauth/callback/acme"));
    sign_in(&mut one, other, "one").await;
    assert!(listener.register(PATH, Secret::from("three"), "GitHub", false).await.is_err());
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn t16_nothing_but_loopback_is_listened_on() {
    for (host, addresses) in [("localhost", if has_ipv6() { 2 } else { 1 }), ("127.0.0.1", 1), ("[::1]", 1)] {
        if host == "[::1]" && !has_ipv6() {
            continue;
        }
        let (listener, port) = listener(host);
        let _flow = pending(&listener, "s").await;
        let mut bound = Vec::new();
        for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
            for line in std::fs::read_to_string(table).unwrap().lines() {
                let fields: Vec<&str> = line.split_ascii_whitespace().collect();
                if fields[3] == "0A" && fields[1].ends_with(&format!(":{port:04X}")) {
                    bound.push(fields[1].split(':').next().unwrap().to_owned());
                }
            }
        }
        assert_eq!(bound.len(), addresses, "{host}: {bound:?}");
        for address in bound {
            assert!(["0100007F", "00000000000000000000000001000000"].contains(&&*address), "{host}: {address}");
        }
    }
}

#[tokio::test]
async fn t16_localhost_is_answered_on_both_families_and_a_literal_on_its_own() {
    let (localhost, port) = listener("localhost");
    let mut flow = pending(&localhost, "s").await;
    if has_ipv6() {
        let address = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        assert_eq!(wire::get_at(address, "localhost", &callback("wrong")).await.status, 400);
    }
    sign_in(&mut flow, port, "s").await;

    let (literal, port) = listener("127.0.0.1");
    let _flow = pending(&literal, "s").await;
    let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    assert_eq!(wire::get_at(v4, "127.0.0.1", &callback("wrong")).await.status, 400);
    assert_eq!(wire::get_at(v4, "localhost", &callback("s")).await.status, 421);
}

#[tokio::test]
async fn t17_the_port_is_free_at_once_when_the_last_flow_goes() {
    let (listener, port) = listener("localhost");
    assert!(is_free(port), "nothing is bound before a flow is registered");
    let one = pending(&listener, "one").await;
    let two = pending(&listener, "two").await;
    let _silent = wire::connect(port, b"GET ").await;
    drop(one);
    assert!(!is_free(port));
    drop(two);
    assert!(is_free(port));
    // again and again, without a pause between
    for _ in 0..20 {
        drop(pending(&listener, "again").await);
    }
    // a task that waits and is cancelled lets go too
    let mut flow = pending(&listener, "three").await;
    let waiting = tokio::spawn(async move { flow.arrival().await });
    waiting.abort();
    assert!(waiting.await.unwrap_err().is_cancelled());
    assert!(is_free(port));
}

#[tokio::test]
async fn t17_no_connection_outlives_the_last_flow() {
    let (listener, port) = listener("localhost");
    let flow = pending(&listener, "s").await;
    let silent = wire::connect(port, b"GET /oauth/call").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(flow);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(wire::still_open(&mut [silent]).await, 0);
}

#[test]
fn t17_a_page_that_is_owed_comes_though_the_port_is_closed_and_the_process_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let browser = runtime.block_on(async {
        let (listener, port) = listener("localhost");
        let mut flow = pending(&listener, "s").await;
        let browser = std::thread::spawn(move || wire::get_blocking(port, &callback("s")));
        let arrival = flow.arrival().await;
        drop(flow);
        assert!(is_free(port));
        arrival.reply.send(Page::SignedIn);
        listener.settle().await;
        browser
    });
    drop(runtime);
    assert_eq!(browser.join().unwrap().status, 200);
}

#[tokio::test]
async fn t18_a_late_callback_is_told_that_it_is_late() {
    let (listener, port) = listener("localhost");
    let late = pending(&listener, "late").await;
    let mut other = listener.register("/oauth/callback/acme", Secret::from("other"), "Acme", false).await.unwrap();
    drop(late);
    let response = get(port, &callback("late")).await;
    assert_eq!(response.status, 410);
    assert!(response.body.contains("This sign-in has expired"));
    nothing_arrives(&mut other).await;
}

#[tokio::test]
async fn t19_flows_side_by_side_are_independent() {
    let (listener, port) = listener("localhost");
    let mut one = pending(&listener, "one").await;
    let mut two = pending(&listener, "two").await;
    let mut acme = listener.register("/oauth/callback/acme", Secret::from("three"), "Acme", false).await.unwrap();
    // a state on another provider's path is a wrong one
    assert_eq!(get(port, "/oauth/callback/acme?code=c&state=one").await.status, 400);
    assert_eq!((one.wrong_states(), two.wrong_states(), acme.wrong_states()), (0, 0, 1));
    sign_in(&mut two, port, "two").await;
    nothing_arrives(&mut one).await;
    drop(two);
    sign_in(&mut one, port, "one").await;
    let target = "/oauth/callback/acme?code=c&state=three";
    let (response, _) = tokio::join!(get(port, target), finish(&mut acme, Page::SignedIn));
    assert!(response.body.contains("signed in to <bdi>Acme</bdi>"));
}

#[tokio::test]
async fn a_callback_url_that_is_not_loopback_is_refused() {
    for url in ["http://0.0.0.0:9876/cb", "https://localhost:9876/cb", "http://example.com:9876/cb"] {
        let listener = Listener::new(&Url::parse(url).unwrap());
        let error = listener.register("/cb", Secret::from("s"), "GitHub", true).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfiguration, "{url}");
    }
}
