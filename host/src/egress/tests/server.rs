//! A server on loopback that answers every request with the same bytes and remembers what it was sent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempPath;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server was sent.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    /// The name in the TLS handshake.
    pub(crate) sni: Option<String>,
    /// The head of the request and its body.
    pub(crate) request: String,
}

/// What a server answers.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A body without an end.
    Endless,
    /// Nothing; the connection stays open.
    Silence,
    /// As an http proxy: a way through to this address.
    Tunnel(SocketAddr),
}

impl Answer {
    /// A whole answer.
    pub(crate) fn new(status: &str, headers: &str, body: &str) -> Self {
        Self::Bytes(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes())
    }
}

/// A server that lives as long as the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    /// A server without TLS.
    pub(crate) async fn plain(answer: Answer) -> Self {
        Self::start(answer, None).await
    }

    /// A server with a certificate of `authority` for these names.
    pub(crate) async fn tls(authority: &Authority, names: &[&str], answer: Answer) -> Self {
        Self::start(answer, Some(authority.acceptor(names))).await
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn start(answer: Answer, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let memory = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, tls, memory) = (answer.clone(), tls.clone(), Arc::clone(&memory));
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, None, &answer, &memory).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else { return };
                            let sni = stream.get_ref().1.server_name().map(str::to_owned);
                            serve(stream, sni, &answer, &memory).await;
                        }
                    }
                });
            }
        });
        Self { address, seen }
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, sni: Option<String>, answer: &Answer, seen: &Mutex<Vec<Seen>>) {
    let request = read_request(&mut stream).await;
    seen.lock().unwrap().push(Seen { sni, request });
    match answer {
        Answer::Bytes(bytes) => {
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
        }
        Answer::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
        Answer::Tunnel(address) => {
            #[expect(clippy::disallowed_methods, reason = "the proxy of a test, not the product")]
            let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let _ = tokio::io::copy_bidirectional(&mut stream, &mut far).await;
        }
        Answer::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await;
            while stream.write_all(b"10\r\n0123456789abcdef\r\n").await.is_ok() {}
        }
    }
}

/// The head, and as much body as it announces.
async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let announced = text[..end].lines().find_map(|line| line.strip_prefix("content-length: "));
            if bytes.len() >= end + 4 + announced.map_or(0, |length| length.parse::<usize>().unwrap()) {
                break;
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A private certificate authority.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    /// Its certificate, as an operator would name it under `extra_roots`.
    pub(crate) file: TempPath,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        std::fs::write(&file, issuer.pem()).unwrap();
        Self { issuer, file }
    }

    fn acceptor(&self, names: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &self.issuer).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}
