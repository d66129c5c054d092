//! The smallest server a component can talk to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;

/// A server on loopback that gives one answer, and counts.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers JSON; `None` never answers.
    pub async fn start(body: Option<String>) -> Self {
        Self::answering(body, open(), None).await
    }

    /// Answers JSON, but only once a permit was added for it.
    pub async fn holding(body: String) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self::answering(Some(body), Arc::clone(&gate), None).await, gate)
    }

    /// Sends whoever asks on to somewhere else.
    pub async fn redirecting(to: String) -> Self {
        Self::answering(Some("{}".to_owned()), open(), Some(to)).await
    }

    async fn answering(body: Option<String>, gate: Arc<Semaphore>, to: Option<String>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (heard, body, gate, to) = (Arc::clone(&heard), body.clone(), Arc::clone(&gate), to.clone());
                let service = service_fn(move |request: hyper::Request<Incoming>| {
                    let line = format!("{} {:?} {}", request.method(), request.headers().get("host"), request.uri());
                    heard.lock().unwrap().push(line);
                    let to = to.clone();
                    let (body, gate) = (body.clone(), Arc::clone(&gate));
                    async move {
                        let Some(body) = body else { std::future::pending().await };
                        gate.acquire().await.unwrap().forget();
                        let mut answer = hyper::Response::builder().header("content-type", "application/json");
                        if let Some(to) = to {
                            answer = answer.status(302).header("location", to);
                        }
                        Ok::<_, std::convert::Infallible>(answer.body(body).unwrap())
                    }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { address, asked }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often it was asked.
    pub fn asked(&self) -> u32 {
        u32::try_from(self.asked.lock().unwrap().len()).unwrap()
    }

    /// What it was asked for: method, `Host` and target of each request.
    pub fn heard(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn open() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))
}
