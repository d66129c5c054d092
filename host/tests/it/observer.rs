//! A hostile component in the real sandbox: `providers/observer` tries everything it can think of to read a secret and
//! to reach what its table does not have. Its own documentation says what it tries.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use credentials_broker::config;
use credentials_broker::descriptor::Descriptor;
use credentials_broker::descriptor::settings::Settings;
use credentials_broker::egress::Egress;
use credentials_broker::sandbox::{Context, DeviceStart, Failed, Limits, Prepared, Revocation, Sandbox, Tokens, Workshop};
use credentials_broker::secret::{Kind, Secret};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use url::Url;

use crate::support::canary::assert_unseen;
use crate::support::place;

const CLIENT_SECRET: &str = "canary-client-secret-9f1c";
const KEY: &str = "canary-signing-key-77aa";
const CODE: &str = "canary-code-c0de55";
const VERIFIER: &str = "canary-verifier-d00d11";
const ISSUED: [&str; 5] =
    ["canary-access-1234", "canary-refresh-5678", "canary-id-9abc", "canary-nested-def0", "canary-device-1357"];

/// The refresh token of an earlier login.
const GRANTED: &str = "canary-granted-refresh-4242";

fn canaries() -> Vec<&'static str> {
    [&[CLIENT_SECRET, KEY, CODE, VERIFIER, GRANTED], ISSUED.as_slice()].concat()
}

/// A server that sends every secret back wherever one could be overlooked, and remembers what it was asked for.
struct Echo {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Echo {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let remember = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let remember = Arc::clone(&remember);
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    remember.lock().unwrap().push(request.uri().to_string());
                    async { Ok::<_, std::convert::Infallible>(answer()) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer() -> hyper::Response<Full<Bytes>> {
    let body = json!({
        "access_token": ISSUED[0], "refresh_token": ISSUED[1], "id_token": ISSUED[2],
        "nested": { "access_token": ISSUED[3] }, "list": [ISSUED[0], CODE, GRANTED], "active": GRANTED,
        "iss": format!("https://id.example/?hint={}", GRANTED.replace('-', "%2d")), "aud": CODE.bytes().map(|byte| format!("{byte:02X}")).collect::<String>(),
        "team": "red", "id": format!("user of {}", ISSUED[0]), "scope": CLIENT_SECRET, "token_type": "Bearer",
        "error_description": format!("bad code {CODE}"), "error_uri": STANDARD.encode(CLIENT_SECRET), "sub": VERIFIER,
        "username": KEY, KEY: "as a name", "expires_in": 60, "device_code": ISSUED[4], "user_code": "WDJB-MJHT",
        "verification_uri": "https://id.example/device", "verification_uri_complete": format!("https://id.example/?c={}", ISSUED[4]),
    });
    hyper::Response::builder()
        .header("content-type", "application/json")
        .header("x-note", VERIFIER)
        .header("set-cookie", ISSUED[0])
        .header("x-secret", CODE)
        .body(Full::from(body.to_string()))
        .unwrap()
}

/// What the broker writes to its log meanwhile.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

struct Bench {
    observer: Prepared,
    descriptor: Arc<Descriptor>,
    echo: Echo,
}

impl Bench {
    async fn start() -> Self {
        let sandbox = Sandbox::new(&Workshop::keeping(place::target("tmp/compiled"))).unwrap();
        let observer = sandbox.prepare(include_bytes!("../components/observer.wasm")).await.unwrap();
        let descriptor = Arc::new(Descriptor::parse(&observer.describe().await.unwrap()).unwrap());
        Self { observer, descriptor, echo: Echo::start().await }
    }

    fn context(&self, mode: &str) -> Context {
        let mut settings = Settings::default();
        let base = format!("http://{}", self.echo.address);
        for (name, value) in [
            ("client_id", "observer"),
            ("client_secret", CLIENT_SECRET),
            ("signing_key", KEY),
            ("base", &base),
            ("mode", mode),
            ("canary", "canary-"),
        ] {
            settings.insert(self.descriptor.setting(name).unwrap(), &Secret::from(value)).unwrap();
        }
        let egress = config::Egress { allow_loopback: vec![self.echo.address], ..config::Egress::default() };
        Context {
            descriptor: Arc::clone(&self.descriptor),
            settings: Arc::new(settings),
            resolved: Arc::new(BTreeMap::new()),
            carrier: Arc::new(Egress::new(&egress).unwrap()),
        }
    }

    async fn exchange(&self, mode: &str) -> Result<Tokens, Failed> {
        let redirect = Url::parse("http://localhost:9876/oauth/callback").unwrap();
        self.observer.exchange(&self.context(mode), Secret::from(CODE), Secret::from(VERIFIER), &redirect).await
    }
}

fn said(outcome: Result<Tokens, Failed>) -> String {
    match outcome {
        Ok(tokens) => panic!("it returned tokens: {tokens:?}"),
        Err(failed) => format!("{failed:?}"),
    }
}

#[tokio::test]
async fn no_byte_of_a_secret_comes_back_to_a_component_that_asks_for_everything() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::start().await;

    let tokens = bench.exchange("read").await.unwrap();
    let notes: String =
        tokens.facts.iter().filter(|(name, _)| name.starts_with("note.")).map(|(_, text)| text.as_str()).collect();
    // the control: it did read, and did tell
    for public in [
        "/team=red",
        "/expires_in=60",
        "lent=code",
        "lent=verifier",
        "lent=client-secret",
        "/access_token=access",
        "memory=canary-",
    ] {
        assert!(notes.contains(public), "{public} in {notes}");
    }
    assert_unseen("the notes of its tokens", notes.as_bytes(), canaries());

    let failure = said(bench.exchange("read-and-fail").await);
    assert!(failure.contains("observed"), "{failure}");
    assert_unseen("its failure", failure.as_bytes(), canaries());

    let logged = || log.0.lock().unwrap().clone();
    assert!(String::from_utf8_lossy(&logged()).contains("status=200"), "it logged what it saw");
    assert_unseen("the log", &logged(), canaries());

    let refreshed = bench.observer.refresh(&bench.context("read"), Secret::from(GRANTED), &[], &[]).await.unwrap().unwrap();
    let notes = format!("{:?}", refreshed.facts);
    assert!(notes.contains("lent=refresh"), "{notes}");
    // a verifier of a login long past is nothing that this call knows
    assert_unseen("the notes of its refresh", notes.as_bytes(), canaries().iter().filter(|canary| **canary != VERIFIER));

    let (pairs, _) = bench.observer.resolve(&bench.context("read")).await.unwrap();
    let pairs = format!("{pairs:?}");
    assert!(pairs.contains("setting=observer"), "{pairs}");
    // Metadata answers are readable by design, since no secret can be sent there: what the server chose to put into its
    // metadata is not a secret of the broker. The operator's secrets still are.
    assert_unseen("what it resolved", pairs.as_bytes(), [CLIENT_SECRET, KEY]);

    let extra = bench.observer.authorization(&bench.context("read"), &["openid".to_owned()]).await.unwrap();
    assert_unseen("its parameters", format!("{extra:?}").as_bytes(), [CLIENT_SECRET, KEY]);

    assert_unseen("the log", &logged(), [CLIENT_SECRET, KEY]);
}

#[tokio::test]
async fn nothing_leaves_outside_the_table() {
    let bench = Bench::start().await;
    let (pairs, _) = bench.observer.resolve(&bench.context("list")).await.unwrap();
    let attempts = pairs.into_iter().find(|(name, _)| name == "attempts").unwrap().1;
    assert!(attempts.split(' ').count() > 20, "{attempts}");
    for attempt in attempts.split(' ') {
        let outcome = said(bench.exchange(attempt).await);
        assert!(outcome.contains("refus"), "{attempt}: {outcome}");
    }
    assert_eq!(bench.echo.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn an_argument_stays_within_its_segment_and_a_request_goes_out_once() {
    let bench = Bench::start().await;
    said(bench.exchange("argument").await);
    assert_eq!(bench.echo.asked(), ["/items/x%2F..%2F..%2Ftoken%3Fa%3Db%23c%40evil.example"]);

    let bench = Bench::start().await;
    let outcome = said(bench.exchange("sent-twice").await);
    assert!(outcome.contains("refus"), "{outcome}");
    assert_eq!(bench.echo.asked(), ["/token"]);
}

#[tokio::test]
async fn a_secret_that_is_no_issued_token_cannot_be_handed_over_as_one() {
    let bench = Bench::start().await;
    for mode in ["swap-client-secret", "swap-code", "swap-other"] {
        let outcome = said(bench.exchange(mode).await);
        assert!(outcome.contains("ComponentFault"), "{mode}: {outcome}");
        assert_unseen(mode, outcome.as_bytes(), canaries());
    }
}

#[tokio::test]
async fn no_byte_of_a_secret_comes_back_through_the_optional_interfaces_either() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::start().await;
    let context = bench.context("read");
    for kind in [Kind::Refresh, Kind::Access] {
        let revoked = bench.observer.revoke(&context, Secret::from(GRANTED), kind, &[]).await;
        // the server says `error_description`, but no error
        assert!(matches!(revoked, Ok(Some(Revocation::Revoked))), "{revoked:?}");
    }
    let account = bench.observer.account(&context, Secret::from(ISSUED[0]), &[]).await.unwrap().unwrap();
    assert!(account.iter().any(|(name, _)| name == "id"), "{account:?}");
    let account = format!("{account:?}");
    assert_unseen("an account", account.as_bytes(), [ISSUED[0], CLIENT_SECRET, KEY]);

    let DeviceStart { code, pairs, answers } = bench.observer.start_device(&context, &[]).await.unwrap().unwrap();
    assert_eq!(code.expose(), ISSUED[4]);
    let told = format!("{pairs:?} {answers:?}");
    assert!(told.contains("WDJB-MJHT"), "{told}");
    assert_unseen("a device flow", told.as_bytes(), [ISSUED[4], CLIENT_SECRET, KEY]);
    let tokens = bench.observer.poll_device(&context, Secret::from(ISSUED[4])).await;
    assert!(matches!(tokens, Ok(Some(_))), "{tokens:?}");

    let log = log.0.lock().unwrap().clone();
    let text = String::from_utf8_lossy(&log);
    for public in ["lent=refresh", "lent=access", "lent=device-code", "/device_code=device-code"] {
        assert!(text.contains(public), "it said what it saw: {public}");
    }
    assert_unseen("the log", &log, [ISSUED[0], ISSUED[4], CLIENT_SECRET, KEY]);
}

#[tokio::test]
async fn the_optional_interfaces_stay_within_the_table_and_within_their_words() {
    let bench = Bench::start().await;
    let revoke = async |mode: &str| {
        let revoked = bench.observer.revoke(&bench.context(mode), Secret::from(GRANTED), Kind::Refresh, &[]).await;
        format!("{:?}", revoked.unwrap_err())
    };
    assert!(revoke("revoke-elsewhere").await.contains("form.token"), "no slot at the token endpoint");
    assert_eq!(bench.echo.asked(), Vec::<String>::new());
    assert!(revoke("revoke-word").await.contains("neither revoked"), "a word of its own");

    let device = async |mode: &str| bench.observer.start_device(&bench.context(mode), &[]).await;
    assert!(format!("{:?}", device("device-other").await.unwrap_err()).contains("no device endpoint gave"));
    let lie = device("device-lie").await.unwrap().unwrap();
    assert!(lie.pairs.iter().any(|(_, value)| value.contains("evil")), "it may say so");
    assert!(!format!("{:?}", lie.answers).contains("evil"), "and it is seen that the server did not");
    let swapped = bench.observer.poll_device(&bench.context("device-swap"), Secret::from(ISSUED[4])).await;
    assert!(said(swapped.map(Option::unwrap)).contains("ComponentFault"));
}

#[tokio::test]
async fn a_component_that_breaks_never_ends_or_takes_all_memory_ends_alone() {
    let mut bench = Bench::start().await;
    bench.observer = bench.observer.with_limits(Limits { computing: std::time::Duration::from_millis(300), ..Limits::STANDARD });
    for mode in ["trap", "loop", "memory"] {
        let outcome = said(bench.exchange(mode).await);
        assert!(outcome.contains("ComponentFault"), "{mode}: {outcome}");
    }
    assert!(bench.exchange("read").await.is_ok(), "the next call is not touched by it");
}

#[tokio::test]
async fn a_usual_call_has_its_memory_from_the_start_and_what_another_gives_back_it_gets_again() {
    let bench = Bench::start().await;
    let Err(Failed::Said(told)) = bench.exchange("churn").await else { panic!("it tells what it saw") };
    let grew = told.message.trim_matches('"').strip_prefix("whole: true; grew: ").expect(&told.message);
    let (before, after) = grew.split_once(", ").unwrap();
    assert_eq!(before, "0", "asking for memory takes longer than the rest of such a call");
    let after: usize = after.parse().unwrap();
    assert!((1 << 20..32 << 20).contains(&after), "{after}: it has four megabytes at once, and two hundred in all");
}
