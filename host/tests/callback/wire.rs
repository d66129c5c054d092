//! Raw HTTP over TCP: what no well-behaved client would send.
#![expect(clippy::disallowed_methods, reason = "a test plays the browser, which connects to the broker")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Response {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }
}

/// A connection on which these bytes were sent.
pub(crate) async fn connect(port: u16, bytes: &[u8]) -> TcpStream {
    connect_at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), bytes).await
}

async fn connect_at(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = timeout(PATIENCE, TcpStream::connect(address)).await.unwrap().unwrap();
    // A connection that is closed already is an answer too.
    let _ = stream.write_all(bytes).await;
    stream
}

async fn read_all(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // A reset, which unread bytes cause, ends it like a close does.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection was not closed");
    bytes
}

/// Sends bytes and reads until the other side closes.
pub(crate) async fn raw(port: u16, bytes: &[u8]) -> Vec<u8> {
    read_all(connect(port, bytes).await).await
}

/// Sends bytes, hangs up the sending half, and lets whatever comes be.
pub(crate) async fn throw(port: u16, bytes: &[u8]) {
    let mut stream = connect(port, bytes).await;
    let _ = stream.shutdown().await;
    read_all(stream).await;
}

pub(crate) fn status_of(bytes: &[u8]) -> Option<u16> {
    std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()
}

pub(crate) async fn get(port: u16, target: &str) -> Response {
    get_with(port, target, "accept: text/html").await
}

pub(crate) async fn get_with(port: u16, target: &str, header: &str) -> Response {
    parse(&raw(port, format!("GET {target} HTTP/1.1\r\nhost: localhost:{port}\r\n{header}\r\n\r\n").as_bytes()).await)
}

pub(crate) async fn get_at(address: SocketAddr, host: &str, target: &str) -> Response {
    let request = format!("GET {target} HTTP/1.1\r\nhost: {host}:{}\r\n\r\n", address.port());
    parse(&read_all(connect_at(address, request.as_bytes()).await).await)
}

/// From a thread outside the broker's runtime.
pub(crate) fn get_blocking(port: u16, target: &str) -> Response {
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Response {
    let text = std::str::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    Response {
        status: status_of(bytes).unwrap(),
        headers: headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect(),
        body: body.to_owned(),
    }
}

/// How many of the connections the other side has not closed.
pub(crate) async fn still_open(streams: &mut [TcpStream]) -> usize {
    let mut open = 0;
    for stream in streams {
        let mut byte = [0];
        open += usize::from(timeout(Duration::from_millis(20), stream.read(&mut byte)).await.is_err());
    }
    open
}

/// Sends a byte now and then until the other side closes.
pub(crate) async fn trickle_until_closed(stream: &mut TcpStream) {
    let mut buffer = [0; 1024];
    for _ in 0..100 {
        let _ = stream.write_all(b"x").await;
        if let Ok(Ok(0) | Err(_)) = timeout(Duration::from_millis(200), stream.read(&mut buffer)).await {
            return;
        }
    }
    panic!("the connection was never closed");
}
