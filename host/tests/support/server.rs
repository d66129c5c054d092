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
    asked: Arc<Mutex<u32>>,
}

impl Server {
    /// Answers JSON; `None` never answers.
    pub async fn start(body: Option<String>) -> Self {
        Self::answering(body, Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))).await
    }

    /// Answers JSON, but only once a permit was added for it.
    pub async fn holding(body: String) -> (Self, Arc<Semaphore>) {
        let gate = Arc::new(Semaphore::new(0));
        (Self::answering(Some(body), Arc::clone(&gate)).await, gate)
    }

    async fn answering(body: Option<String>, gate: Arc<Semaphore>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<u32>> = Arc::default();
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (count, body, gate) = (Arc::clone(&count), body.clone(), Arc::clone(&gate));
                let service = service_fn(move |_: hyper::Request<Incoming>| {
                    *count.lock().unwrap() += 1;
                    let (body, gate) = (body.clone(), Arc::clone(&gate));
                    async move {
                        let Some(body) = body else { std::future::pending().await };
                        gate.acquire().await.unwrap().forget();
                        let answer = hyper::Response::builder().header("content-type", "application/json");
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
        *self.asked.lock().unwrap()
    }
}
