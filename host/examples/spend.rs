//! The same request over TLS on loopback: by a bare client, by the broker as a library, and by the tool `http_request` of a
//! broker process, taking turns. All keep their connections. `cargo xtask bench` gives the broker's program as the only
//! argument and reads the one line of JSON.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a program for `cargo xtask bench`, one side of which is a bare client"
)]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use credentials_broker::audit::Audit;
use credentials_broker::broker::Broker;
use credentials_broker::broker::spending::request::{Credential, Request};
use credentials_broker::config;
use credentials_broker::providers::Providers;
use credentials_broker::sandbox::Workshop;
use credentials_broker::secret::{Secret, SecretName};
use credentials_broker::telemetry::Lines;
use credentials_broker::vault::{Memory, Stored, Vault as _};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

const NAME: &str = "api.example.com";
const VALUE: &str = "a value of usual length, 36 chars.";
const URL: &str = "https://api.example.com/repositories?page=2";
const ROUNDS: usize = 9;
const CALLS: usize = 300;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let issuer = authority();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, issuer.pem()).unwrap();
    let address = serve(&issuer);
    let file = folder.path().join("broker.toml");
    let (vault, key) = (folder.path().join("vault/vault.db"), folder.path().join("vault.key"));
    std::fs::write(
        &file,
        format!(
            "[vault]\npath = {vault:?}\nkey_file = {key:?}\n[egress]\nextra_roots = {roots:?}\nresolve = {{ \"{NAME}:443\" = \"{address}\" }}\n\
             [secrets.key]\nhosts = [\"{NAME}\"]\ninject = \"bearer\"\n"
        ),
    )
    .unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let bare = bare(&issuer, address);
    let broker = library(&file);
    let mut tool = std::env::args_os().nth(1).map(|program| Tool::start(&PathBuf::from(program), &file, &key));
    let (mut of_bare, mut of_library, mut of_tool) = (Vec::new(), Vec::new(), Vec::new());
    // the first round warms up
    for round in 0..=ROUNDS {
        let one = runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..CALLS {
                let begun = Instant::now();
                let answer = bare.get(URL).header("authorization", format!("Bearer {VALUE}")).send().await.unwrap();
                assert_eq!(answer.status(), 200);
                assert!(answer.bytes().await.unwrap().len() > 1000);
                times.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            middle(times)
        });
        let two = runtime.block_on(async {
            let mut times = Vec::new();
            for _ in 0..CALLS {
                let credential = Credential::Secret { name: "key".to_owned(), purpose: "measuring".to_owned() };
                let request = Request { url: URL.to_owned(), credential, ..Request::default() };
                let begun = Instant::now();
                assert_eq!(broker.http_request(request).await.unwrap().status, 200);
                times.push(begun.elapsed().as_secs_f64() * 1e6);
            }
            middle(times)
        });
        let three = tool.as_mut().map(|tool| {
            let arguments = json!({ "url": URL, "secret": "key", "purpose": "measuring" });
            let call = || tool.call("tools/call", &json!({ "name": "http_request", "arguments": arguments }));
            middle(std::iter::repeat_with(call).take(CALLS).collect())
        });
        if round > 0 {
            of_bare.push(one);
            of_library.push(two);
            of_tool.extend(three);
        }
    }
    println!("{}", json!({ "bare_us": of_bare, "library_us": of_library, "tool_us": of_tool }));
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server in a thread of its own: an answer of a usual length to every request.
fn serve(issuer: &CertifiedIssuer<'static, KeyPair>) -> SocketAddr {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![NAME.to_owned()]).unwrap().signed_by(&key, issuer).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    listener.set_nonblocking(true).unwrap();
    let body =
        json!({ "repositories": vec![json!({ "id": 1, "name": "one", "url": "https://api.example.com/1" }); 20] }).to_string();
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer: Arc<str> = format!("{head}{body}").into();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                stream.set_nodelay(true).unwrap();
                let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let mut stream = tokio::io::BufReader::new(stream);
                    let mut line = String::new();
                    while stream.read_line(&mut line).await.unwrap_or(0) > 0 {
                        if line == "\r\n" && stream.write_all(answer.as_bytes()).await.and(stream.flush().await).is_err() {
                            return;
                        }
                        line.clear();
                    }
                });
            }
        });
    });
    address
}

fn bare(issuer: &CertifiedIssuer<'static, KeyPair>, address: SocketAddr) -> reqwest::Client {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = tls.with_root_certificates(roots).with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().resolve(NAME, address).build().unwrap()
}

fn library(file: &Path) -> Arc<Broker> {
    let config = config::load(Some(file)).unwrap();
    let vault = Memory::default();
    let name = SecretName::parse("key").unwrap();
    vault.put(&name, Stored::Static(Secret::from(VALUE)), BTreeMap::new(), &mut |_| Ok(())).unwrap();
    let providers = Providers::new(&config, &[], Workshop::here()).unwrap();
    // as a server has it
    Lines::stderr().alone();
    Broker::new(&config, Arc::new(vault), providers, Audit::stderr(), None).unwrap()
}

/// A broker process, and its client.
struct Tool {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last: u64,
}

impl Tool {
    fn start(program: &Path, file: &Path, key: &Path) -> Self {
        let command = |words: &[&str]| {
            let mut command = Command::new(program);
            command.arg("--config").arg(file).args(words).stderr(Stdio::null());
            command
        };
        assert!(command(&["vault", "init", "--key-file"]).arg(key).stdout(Stdio::null()).status().unwrap().success());
        let mut set = command(&["secrets", "set", "key"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        set.stdin.take().unwrap().write_all(VALUE.as_bytes()).unwrap();
        assert!(set.wait().unwrap().success());
        let mut child = command(&[]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut tool = Self { child, input, output, last: 0 };
        let client = json!({ "name": "bench", "version": "1" });
        tool.call("initialize", &json!({ "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client }));
        writeln!(tool.input, "{}", json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).unwrap();
        tool
    }

    /// How long it took, in microseconds.
    fn call(&mut self, method: &str, params: &Value) -> f64 {
        self.last += 1;
        let request = format!("{}\n", json!({ "jsonrpc": "2.0", "id": self.last, "method": method, "params": params }));
        let mut line = String::new();
        let begun = Instant::now();
        self.input.write_all(request.as_bytes()).unwrap();
        self.output.read_line(&mut line).unwrap();
        let took = begun.elapsed().as_secs_f64() * 1e6;
        let answer: Value = serde_json::from_str(&line).unwrap();
        let told = &answer["result"]["structuredContent"];
        assert!(method == "initialize" || told["status"] == 200, "{answer}");
        took
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
