//! Connections and their limits.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::answer::{Answer, empty};
use super::{Server, routes};

/// At most this many connections at once; the next one waits in the machine's own queue.
const CONNECTIONS: usize = 32;
/// A connection that has not finished by then is cut.
const PATIENCE: Duration = Duration::from_secs(15);
/// The largest body read.
const BODY: usize = 16 * 1024;

/// Serves for ever. Ends with all of its connections when the task is aborted.
pub(super) async fn listen(listener: TcpListener, server: Arc<Server>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&server)))),
                // No file descriptors left, most likely: others may give some back.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, server: Arc<Server>) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(read(&server, request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE / 3).max_buf_size(BODY).max_headers(64).keep_alive(false);
    // Whatever goes wrong on a connection concerns only who opened it.
    let _ = tokio::time::timeout(PATIENCE, http.serve_connection(TokioIo::new(stream), service)).await;
}

async fn read(server: &Server, request: Request<Incoming>) -> Answer {
    let (asked, body) = request.into_parts();
    let body = if asked.method == Method::POST {
        if body.size_hint().lower() > BODY as u64 {
            return empty(StatusCode::PAYLOAD_TOO_LARGE);
        }
        match Limited::new(body, BODY).collect().await {
            Ok(body) => body.to_bytes(),
            Err(_) => return empty(StatusCode::PAYLOAD_TOO_LARGE),
        }
    } else {
        Bytes::new()
    };
    routes::answer(server, &asked, &body, Instant::now())
}
