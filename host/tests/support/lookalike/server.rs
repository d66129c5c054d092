//! The TLS listener under the sites.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Answer, Request, Shared};

/// Starts it; returns where it listens and the PEM of the authority that signed its certificate.
pub(super) async fn start(hosts: Vec<String>, shared: Arc<Shared>) -> (SocketAddr, String, tokio::task::JoinHandle<()>) {
    let (acceptor, ca) = certificate(hosts);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("bound");
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(acceptor.clone(), stream, Arc::clone(&shared)));
        }
    });
    (address, ca, server)
}

/// A certificate for these names, and the PEM of the authority that signed it.
pub fn certificate(hosts: Vec<String>) -> (TlsAcceptor, String) {
    let mut authority = CertificateParams::new(Vec::new()).expect("parameters");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().expect("a key")).expect("an authority");
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(hosts).expect("names").signed_by(&key, &authority).expect("a certificate");
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], private)
        .expect("a certificate that fits its key");
    (TlsAcceptor::from(Arc::new(config)), authority.pem())
}

async fn serve(acceptor: TlsAcceptor, stream: TcpStream, shared: Arc<Shared>) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let sni = stream.get_ref().1.server_name().unwrap_or("").to_owned();
    let service = service_fn(move |request| {
        let (shared, sni) = (Arc::clone(&shared), sni.clone());
        async move {
            let request = read(sni, request).await?;
            write(shared.answer(request)).await
        }
    });
    // A fault that closes the connection ends here, as do clients that go away.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(sni: String, request: http::Request<Incoming>) -> Result<Request, std::io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    Ok(Request {
        sni,
        host: parts.headers.get("host").map_or("", |host| host.to_str().unwrap_or("")).to_owned(),
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    })
}

async fn write(answer: Answer) -> Result<http::Response<Full<Bytes>>, std::io::Error> {
    let mut answer = answer;
    while let Answer::Late(delay, next) = answer {
        tokio::time::sleep(delay).await;
        answer = *next;
    }
    // `Quote` is an ordinary answer by now.
    let Answer::Http { status, headers, body } = answer else { return Err(std::io::Error::other("closed by a fault")) };
    let mut response = http::Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Full::from(body)).map_err(std::io::Error::other)
}
