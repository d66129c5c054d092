//! Which requests share a connection, and what becomes of one whose connection was closed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;

/// Answers so many requests on each connection, and closes it then without having said so.
async fn server(each: usize) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, connections) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                for _ in 0..each {
                    let mut length = 0;
                    loop {
                        let mut line = String::new();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        if line == "\r\n" {
                            break;
                        }
                    }
                    stream.read_exact(&mut vec![0; length]).await.unwrap();
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    (address, connections)
}

async fn connections(each: usize, requests: impl Fn(&str) -> Vec<Outgoing>) -> usize {
    let (address, connections) = server(each).await;
    let egress = Egress::new(&listing(address)).unwrap();
    for request in requests(&format!("http://{address}/")) {
        assert_eq!(egress.send(request).await.unwrap().body.as_slice(), b"ok");
        // what the server closes, it has closed by now
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    connections.load(Ordering::SeqCst)
}

fn kept(url: &str) -> Outgoing {
    Outgoing { keep: true, ..get(url) }
}

#[tokio::test]
async fn requests_that_may_be_sent_twice_share_a_connection_and_others_have_their_own() {
    assert_eq!(connections(100, |url| vec![kept(url), kept(url), kept(url)]).await, 1);
    assert_eq!(connections(100, |url| vec![get(url), get(url), get(url)]).await, 3);
    let body = |url: &str| Outgoing { body: Some(Zeroizing::new(b"x".to_vec())), ..kept(url) };
    assert_eq!(connections(100, |url| vec![kept(url), body(url), body(url), kept(url)]).await, 3);
}

#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced() {
    assert_eq!(connections(1, |url| vec![kept(url), kept(url), kept(url)]).await, 3);
    assert_eq!(connections(2, |url| vec![kept(url), kept(url), kept(url)]).await, 2);
}

#[tokio::test]
async fn a_server_that_closes_while_a_request_is_on_its_way_gets_it_once_more_and_no_more_often() {
    // the second request on a connection finds nobody who answers it
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut connection = 0;
        while let Ok((stream, _)) = listener.accept().await {
            connection += 1;
            let (count, answers) = (Arc::clone(&count), usize::from(connection != 3));
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                for request in 0..2 {
                    let mut line = String::new();
                    while line != "\r\n" {
                        line.clear();
                        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                            return;
                        }
                    }
                    count.fetch_add(1, Ordering::SeqCst);
                    if request == answers {
                        return;
                    }
                    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
                }
            });
        }
    });
    let egress = Egress::new(&listing(address)).unwrap();
    let url = format!("http://{address}/");
    assert!(egress.send(kept(&url)).await.is_ok());
    assert!(egress.send(kept(&url)).await.is_ok(), "over a second connection");
    assert_eq!(seen.load(Ordering::SeqCst), 3);
    // the third connection answers nothing at all
    assert!(egress.send(kept(&url)).await.is_err());
    assert_eq!(seen.load(Ordering::SeqCst), 5);
}
