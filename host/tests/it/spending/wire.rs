//! Answers that are too large, too slow, compressed, or no HTTP at all.

use std::time::{Duration, Instant};

use credentials_broker::error::Code;
use tokio::io::AsyncWriteExt;

use super::{at_loopback, inside, with_key};
use crate::support::raw::Raw;

const KEY: &str = "k-0123456789";

#[tokio::test]
async fn of_a_gigabyte_the_beginning_is_read() {
    for head in ["HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let server = Raw::start(move |_, mut stream| async move {
            let _ = stream.write_all(head.as_bytes()).await;
            let chunk = vec![b'a'; 1 << 20];
            for _ in 0..1024 {
                if stream.write_all(&chunk).await.is_err() {
                    return;
                }
            }
        })
        .await;
        let broker = inside(&at_loopback(server.address().port(), ""), &[("key", KEY)]);
        let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
        assert!(answer.cut && answer.status == 200);
        // what may be the beginning of a secret is held back at the end
        assert!(((8 << 20) - 511..=8 << 20).contains(&answer.body.bytes().len()));
        assert_eq!(answer.part.next, Some(64 * 1024));
    }
}

#[tokio::test]
async fn half_a_secret_at_the_end_of_what_is_read_is_not_shown() {
    let server = Raw::start(move |_, mut stream| async move {
        let body = [&b"a".repeat((8 << 20) - 6)[..], KEY.as_bytes(), &b"b".repeat(100)].concat();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
        let _ = stream.write_all(head.as_bytes()).await;
        let _ = stream.write_all(&body).await;
    })
    .await;
    let broker = inside(&at_loopback(server.address().port(), ""), &[("key", KEY)]);
    let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
    let end = answer.body.bytes().iter().rev().take(10).rev().copied().collect::<Vec<_>>();
    assert!(answer.cut && end == b"a".repeat(10), "{}", String::from_utf8_lossy(&end));
}

#[tokio::test]
async fn what_is_compressed_is_neither_unpacked_nor_shown() {
    // a gzip member of a gigabyte of zeros begins like this; what it unpacks to is never made
    let bomb = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03"[..], &[0xff; 1000]].concat();
    let server = Raw::answering("200 OK", "content-encoding: gzip\r\ncontent-type: application/json\r\n", bomb).await;
    let broker = inside(&at_loopback(server.address().port(), ""), &[("key", KEY)]);
    let answer = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap();
    assert_eq!((answer.status, answer.body.bytes()), (200, &b""[..]));
    assert!(answer.note.is_some_and(|note| note.contains("compressed")));
    assert!(server.last_request().to_ascii_lowercase().contains("accept-encoding: identity\r\n"));
}

#[tokio::test]
async fn an_answer_that_drips_ends_with_the_time_for_it() {
    let server = Raw::start(|_, mut stream| async move {
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await;
        while stream.write_all(b"a").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
    .await;
    let broker = inside(&at_loopback(server.address().port(), ""), &[("key", KEY)]);
    let start = Instant::now();
    let error = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
    assert!(start.elapsed() >= Duration::from_secs(39), "it was given its time");
}

#[tokio::test]
async fn what_is_no_http_is_said_to_be_none() {
    for garbage in ["", "SSH-2.0-OpenSSH_9.6\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "HTTP/1.1 999999 X\r\n\r\n"]
    {
        let server = Raw::start(move |_, mut stream| async move { drop(stream.write_all(garbage.as_bytes()).await) }).await;
        let broker = inside(&at_loopback(server.address().port(), ""), &[("key", KEY)]);
        let error = broker.http_request(with_key(&format!("http://{}/", server.address()))).await.unwrap_err();
        assert!(error.code() == Code::Unavailable && !error.hint().is_empty(), "{garbage:?}: {error}");
    }
}
