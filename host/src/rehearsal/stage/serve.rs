//! TLS, connections and their limits.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::House;
use super::play::Played;

/// A connection that has not finished by then is cut. Longer than the broker waits for an answer.
const PATIENCE: Duration = Duration::from_secs(120);
/// The largest body read.
const BODY: usize = 512 * 1024;

/// A certificate for these hosts, and the PEM of the authority that signed it. Both keys end with the process.
pub(super) fn certificate(hosts: &[String]) -> Result<(TlsAcceptor, String), String> {
    let told = |error: rcgen::Error| format!("there is no certificate for {} ({error})", hosts.join(", "));
    let mut authority = CertificateParams::new(Vec::new()).map_err(told)?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().map_err(told)?).map_err(told)?;
    let key = KeyPair::generate().map_err(told)?;
    let leaf = CertificateParams::new(hosts.to_vec()).map_err(told)?.signed_by(&key, &authority).map_err(told)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|config| config.with_no_client_auth().with_single_cert(vec![leaf.der().clone()], private))
        .map_err(|error| error.to_string())?;
    Ok((TlsAcceptor::from(Arc::new(config)), authority.pem()))
}

/// Serves for ever. Ends with all of its connections when the task is aborted.
pub(super) async fn listen(listener: TcpListener, acceptor: TlsAcceptor, house: Arc<House>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < 32 => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, acceptor.clone(), Arc::clone(&house)))),
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, house: Arc<House>) {
    let service = service_fn(move |request| {
        let house = Arc::clone(&house);
        async move { Ok::<_, std::convert::Infallible>(read(&house, request).await) }
    });
    let served = async {
        let Ok(stream) = acceptor.accept(stream).await else { return };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(10)).keep_alive(false);
        let _ = http.serve_connection(TokioIo::new(stream), service).await;
    };
    // Whatever goes wrong on a connection concerns only who opened it.
    let _ = tokio::time::timeout(PATIENCE, served).await;
}

async fn read(house: &House, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (asked, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY).collect().await else {
        let mut answer = Response::new(Full::default());
        *answer.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
        return answer;
    };
    match house.answer(&asked, &body.to_bytes()) {
        Played::Answer(answer) => *answer,
        // until the other side gives up, or the connection's time is over
        Played::Silence => std::future::pending().await,
    }
}
