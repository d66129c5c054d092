//! The smallest server a component can talk to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// A server on loopback that gives one answer, and counts.
pub struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<u32>>,
}

impl Server {
    /// Answers JSON; `None` never answers.
    pub async fn start(body: Option<String>) -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<u32>> = Arc::default();
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (count, body) = (Arc::clone(&count), body.clone());
                let service = service_fn(move |_: hyper::Request<Incoming>| {
                    *count.lock().unwrap() += 1;
                    let body = body.clone();
                    async {
                        let Some(body) = body else { std::future::pending().await };
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
