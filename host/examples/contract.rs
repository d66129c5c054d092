//! One call over the contract, a fresh instance included, beside the same provider's logic called as a Rust function.
//!
//! `authorization` of the Google component: it asks the host for a setting and returns two pairs. It sends nothing, so
//! what is left is what the boundary costs. `exchange` of the `oauth2` component sends one request, which a stub of the network
//! answers at once; in turn it is sent to a server on loopback, by the component and without one.
//!
//! Given the broker's program as its only argument, it also looks how long the first use of each embedded provider takes:
//! with a cold cache, which a child of that program fills, and with a warm one. `cargo xtask bench` reads the one line of
//! JSON.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for `cargo xtask bench`")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials_broker::config;
use credentials_broker::descriptor::settings::Settings;
use credentials_broker::egress::{Carried, Carrier, Egress, Incoming, Outgoing};
use credentials_broker::providers::embedded;
use credentials_broker::sandbox::{Context, Prepared, Sandbox, Workshop};
use credentials_broker::secret::Secret;
use credentials_broker_provider::Provider as _;
use credentials_broker_provider::testing::Broker;
use http::header::{CONTENT_TYPE, DATE};
use url::Url;
use zeroize::Zeroizing;

#[expect(unreachable_pub, reason = "the provider's own source, which is a crate elsewhere")]
#[path = "../../providers/google/src/lib.rs"]
mod google;

/// How often each is called in one batch, and how many batches there are. The middle batch counts.
const CALLS: u32 = 2000;
const BATCHES: usize = 9;
/// The same for exchanges over a network.
const EXCHANGES: u32 = 300;
/// How often a provider is used for the first time.
const FIRSTS: usize = 5;

fn main() {
    if std::env::args().nth(1).as_deref() == Some(SERVE) {
        return serve();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (component, native) = (runtime.block_on(component()), native());
    let exchanges = runtime.block_on(exchange());
    let firsts = std::env::args_os().nth(1).map(|program| runtime.block_on(firsts(&PathBuf::from(program))));
    println!(
        "{}",
        serde_json::json!({
            "component_ns": component, "native_ns": native,
            "stub_ns": exchanges.stub, "long_scope_ns": exchanges.long_scope,
            "loopback_ns": exchanges.loopback, "request_ns": exchanges.request,
            "first_cold_ms": firsts.map(|(cold, _)| cold), "first_warm_ms": firsts.map(|(_, warm)| warm),
        })
    );
}

/// An embedded component, compiled here, with these settings.
async fn ready(name: &str, settings: &[(&str, &str)], resolved: &[(&str, &str)], egress: &config::Egress) -> (Prepared, Context) {
    let embedded = embedded::all().iter().find(|component| component.descriptor.name == name).unwrap();
    let prepared = Sandbox::new(&Workshop::here()).unwrap().prepare(embedded.component).await.unwrap();
    let descriptor = Arc::clone(&embedded.descriptor);
    let mut given = Settings::default();
    for (name, value) in settings {
        given.insert(descriptor.setting(name).unwrap(), &Secret::from(*value)).unwrap();
    }
    let resolved: BTreeMap<String, String> = resolved.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let carrier = Arc::new(Egress::new(egress).unwrap());
    (prepared, Context { descriptor, settings: Arc::new(given), resolved: Arc::new(resolved), carrier })
}

async fn component() -> f64 {
    let settings = [("client_id", "me"), ("prompt", "consent")];
    let (prepared, context) = ready("google", &settings, &[], &config::Egress::default()).await;
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(prepared.authorization(&context, &["openid".to_owned()]).await.unwrap());
        }
        batches.push(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    middle(batches)
}

/// What an exchange takes, in nanoseconds.
struct Exchanges {
    /// With a stub of the network.
    stub: f64,
    /// The same, where the answer has a scope that is longer than every secret of the call.
    long_scope: f64,
    /// With a server on loopback.
    loopback: f64,
    /// The request to that server alone.
    request: f64,
}

async fn exchange() -> Exchanges {
    let (_server, address) = Server::start();
    let (base, secret) = (format!("http://{address}"), "a client secret of forty characters, also");
    let (authorize, token) = (format!("{base}/authorize"), format!("{base}/token"));
    let endpoints = [("authorization_endpoint", authorize.as_str()), ("token_endpoint", token.as_str())];
    let settings = [&[("client_id", "me"), ("client_secret", secret)][..], &endpoints].concat();
    let egress = config::Egress { allow_loopback: vec![address], ..config::Egress::default() };
    let (prepared, networked) = ready("oauth2", &settings, &endpoints, &egress).await;
    let stubbed = |scope| Context { carrier: Arc::new(Stub(tokens(scope))), ..networked.clone() };
    let (usual, long) = (stubbed(SCOPE), stubbed(LONG_SCOPE));
    let (mut stubs, mut longs, mut loopbacks, mut requests) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    // Warm: none of these waits for anything, and what waits leaves cold caches behind. So they come first.
    for _ in 0..BATCHES {
        stubs.push(redeem(&prepared, &usual, CALLS).await);
        longs.push(redeem(&prepared, &long, CALLS).await);
    }
    for _ in 0..BATCHES {
        loopbacks.push(redeem(&prepared, &networked, EXCHANGES).await);
        requests.push(request(&networked, &token).await);
    }
    Exchanges { stub: middle(stubs), long_scope: middle(longs), loopback: middle(loopbacks), request: middle(requests) }
}

/// What one exchange of the component takes, in nanoseconds.
async fn redeem(prepared: &Prepared, context: &Context, calls: u32) -> f64 {
    let redirect = Url::parse("http://localhost:9876/oauth/callback").unwrap();
    let (code, verifier) = (Secret::from("a code of some length"), Secret::from("a verifier of forty-three characters, random"));
    let begun = Instant::now();
    for _ in 0..calls {
        let tokens = prepared.exchange(context, code.clone(), verifier.clone(), &redirect).await.unwrap();
        assert_eq!(tokens.access.expose(), "an-access-token-of-the-usual-forty-chars");
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// What the same request takes without a component.
async fn request(context: &Context, token: &str) -> f64 {
    let form = "grant_type=authorization_code&code=a+code+of+some+length&redirect_uri=http%3A%2F%2Flocalhost%3A9876%2Foauth%2Fcallback&code_verifier=a+verifier+of+forty-three+characters%2C+random";
    let mut headers = http::HeaderMap::new();
    headers.insert("authorization", "Basic bWU6YStjbGllbnQrc2VjcmV0K29mK2ZvcnR5K2NoYXJhY3RlcnMlMkMrYWxzbw==".parse().unwrap());
    headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
    let begun = Instant::now();
    for _ in 0..EXCHANGES {
        let outgoing = Outgoing {
            method: http::Method::POST,
            url: Url::parse(token).unwrap(),
            headers: headers.clone(),
            body: Some(Zeroizing::new(form.as_bytes().to_vec())),
            limit: 1 << 20,
            cut: false,
            timeout: Duration::from_secs(20),
            keep: false,
        };
        assert_eq!(context.carrier.carry(outgoing).await.unwrap().status, 200);
    }
    begun.elapsed().as_nanos() as f64 / f64::from(EXCHANGES)
}

/// What the token endpoint answers: tokens of a usual length.
fn tokens(scope: &str) -> String {
    serde_json::json!({
        "access_token": "an-access-token-of-the-usual-forty-chars", "token_type": "bearer", "expires_in": 3600,
        "refresh_token": "a-refresh-token-that-is-as-long-as-that", "scope": scope,
    })
    .to_string()
}

const SCOPE: &str = "openid profile email offline_access";
const LONG_SCOPE: &str = "openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/userinfo.profile";
const JSON: &str = "application/json; charset=utf-8";
const DATE_THEN: &str = "Fri, 27 Nov 2026 22:00:00 GMT";

/// A stub of the network: the token endpoint's answer, at once.
struct Stub(String);

impl Carrier for Stub {
    fn carry(&self, request: Outgoing) -> Carried<'_> {
        Box::pin(async move {
            assert!(request.body.is_some_and(|form| form.ends_with(b"random")));
            let headers =
                [(CONTENT_TYPE, JSON), (DATE, DATE_THEN)].map(|(name, value)| (name, http::HeaderValue::from_static(value)));
            let headers = http::HeaderMap::from_iter(headers);
            Ok(Incoming { status: 200, headers, body: Zeroizing::new(self.0.clone().into_bytes()), cut: false })
        })
    }
}

/// A token endpoint in a process of its own, as in life: what a call maps and unmaps of memory, a thread beside it would
/// have to be told of. It ends with its standard input.
struct Server(Child);

impl Server {
    fn start() -> (Self, SocketAddr) {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.arg(SERVE).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim().parse().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The argument of the process that serves.
const SERVE: &str = "--serve";

/// One request a connection.
fn serve() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    println!("{}", listener.local_addr().unwrap());
    let body = tokens(SCOPE);
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nDate: {DATE_THEN}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let (mut seen, mut chunk) = (Vec::new(), [0; 4096]);
        // the form's last field is the verifier
        while !seen.ends_with(b"random") {
            match stream.read(&mut chunk) {
                Ok(count @ 1..) => seen.extend_from_slice(&chunk[..count]),
                _ => break,
            }
        }
        let _ = stream.write_all(answer.as_bytes());
    }
}

/// How long the first use of the slowest embedded provider takes, in milliseconds: with a cold cache and with a warm one.
async fn firsts(program: &Path) -> (f64, f64) {
    let (mut cold, mut warm) = (Vec::new(), Vec::new());
    for component in embedded::all() {
        let (mut of_cold, mut of_warm) = (Vec::new(), Vec::new());
        for _ in 0..FIRSTS {
            let folder = tempfile::tempdir().unwrap();
            let workshop = Workshop::keeping(folder.path().join("cache")).compiled_by(program.to_owned());
            for times in [&mut of_cold, &mut of_warm] {
                let begun = Instant::now();
                // as a process that has not used any provider yet
                let sandbox = Sandbox::new(&workshop).unwrap();
                black_box(sandbox.prepare(component.component).await.unwrap());
                times.push(begun.elapsed().as_secs_f64() * 1e3);
            }
        }
        cold.push(middle(of_cold));
        warm.push(middle(of_warm));
    }
    (cold.into_iter().fold(0.0, f64::max), warm.into_iter().fold(0.0, f64::max))
}

fn native() -> f64 {
    Broker::of::<google::Google>().set("client_id", "me").set("prompt", "consent").start();
    let scopes = ["openid".to_owned()];
    let mut batches = Vec::new();
    for _ in 0..BATCHES {
        let begun = Instant::now();
        for _ in 0..CALLS {
            black_box(google::Google::authorization(black_box(&scopes)).unwrap());
        }
        batches.push(begun.elapsed().as_nanos() as f64 / f64::from(CALLS));
    }
    middle(batches)
}

fn middle(mut batches: Vec<f64>) -> f64 {
    batches.sort_by(f64::total_cmp);
    batches[batches.len() / 2]
}
