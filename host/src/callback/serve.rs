//! Sockets, limits and connections.
//!
//! Who connects to a loopback port is unknown: another user, a web page, a scanner. So a connection has five seconds for
//! its request, few are read at a time, and where more come the oldest silent one goes: whoever holds connections open
//! cannot keep the real browser out.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::TcpListener as StdListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Page;
use super::flows::{Flows, Verdict};
use super::request::{MAX_HEADERS, MAX_TARGET};

const READ_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_READERS: usize = 16;
/// How long a connection may be silent before it can be sent away in favour of another.
const GRACE: Duration = Duration::from_millis(50);
const MAX_HEADER_COUNT: usize = 32;
/// Enough to read what is a little too large and to say so on a page.
const READ_BUFFER: usize = 2 * (MAX_TARGET + MAX_HEADERS);
const SETTLE_TIMEOUT: Duration = Duration::from_secs(1);

/// A port that is open, and the flows that it is open for. Dropping it closes the port at once.
#[derive(Debug)]
pub(super) struct Door {
    port: u16,
    flows: Arc<Flows>,
    sockets: Arc<Sockets>,
    accepting: AbortHandle,
}

impl Door {
    /// Opens bound sockets. `authority` is what browsers send as `Host`.
    pub(super) fn open(sockets: Vec<StdListener>, port: u16, authority: String, pages: OpenPages) -> Self {
        // They are made non-blocking where they are bound; the rest of the conversion fails only without a reactor.
        let listeners = sockets.into_iter().filter_map(|socket| TcpListener::from_std(socket).ok()).collect();
        let sockets = Arc::new(Sockets(Mutex::new(Some(listeners))));
        let flows = Arc::new(Flows::new(authority));
        let task = tokio::spawn(accept(Arc::clone(&sockets), Arc::clone(&flows), pages));
        Self { port, flows, sockets, accepting: task.abort_handle() }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn flows(&self) -> &Flows {
        &self.flows
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.sockets.close();
        self.accepting.abort();
    }
}

/// The listening sockets. They stand outside the accepting task because aborting a task frees what it owns only later,
/// and by then the next flow may want the port.
#[derive(Debug)]
struct Sockets(Mutex<Option<Vec<TcpListener>>>);

impl Sockets {
    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// The next connection; nothing once they are closed.
    async fn next(&self) -> Option<io::Result<TcpStream>> {
        poll_fn(|context| {
            let mut sockets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(listeners) = sockets.as_mut() else { return Poll::Ready(None) };
            for index in 0..listeners.len() {
                if let Poll::Ready(accepted) = listeners[index].poll_accept(context) {
                    // Whoever had a connection comes last now: a flood on one address must not shut out the other.
                    listeners.rotate_left(index + 1);
                    return Poll::Ready(Some(accepted.map(|(stream, _)| stream)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn accept(sockets: Arc<Sockets>, flows: Arc<Flows>, pages: OpenPages) {
    let mut readers = Readers::default();
    while let Some(accepted) = sockets.next().await {
        let Ok(stream) = accepted else {
            // Out of file descriptors, as a rule: wait for some to come free.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        readers.make_room().await;
        let judged = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn(serve(stream, Arc::clone(&flows), Arc::clone(&judged), pages.clone()));
        readers.0.push_back(Reader { judged, since: Instant::now(), task: task.abort_handle() });
    }
}

/// The connections that have not sent a whole request yet. Those that have need no limit: they are answered at once,
/// or belong to one of the flows.
#[derive(Debug, Default)]
struct Readers(VecDeque<Reader>);

#[derive(Debug)]
struct Reader {
    /// Set by whoever comes first: the request, which is then answered, or the eviction.
    judged: Arc<AtomicBool>,
    since: Instant,
    task: AbortHandle,
}

impl Reader {
    fn evict(&self) {
        if !self.judged.swap(true, Ordering::AcqRel) {
            self.task.abort();
        }
    }
}

impl Readers {
    /// Waits until one more may be read. A browser sends its request as soon as it is connected, and gets the time to.
    async fn make_room(&mut self) {
        loop {
            self.0.retain(|reader| !reader.judged.load(Ordering::Acquire) && !reader.task.is_finished());
            if self.0.len() < MAX_READERS {
                return;
            }
            match self.0.front() {
                Some(oldest) if oldest.since.elapsed() >= GRACE => oldest.evict(),
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

/// When the port closes, whoever has not asked yet need not ask any more.
impl Drop for Readers {
    fn drop(&mut self) {
        self.0.iter().for_each(Reader::evict);
    }
}

async fn serve(stream: TcpStream, flows: Arc<Flows>, judged: Arc<AtomicBool>, pages: OpenPages) {
    let open = pages.open();
    let service = service_fn(|request: Request<Incoming>| answer(request, &flows, &judged, &open));
    // An error is a peer that sent nonsense or left: hyper has answered what can be answered.
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(READ_TIMEOUT)
        .max_buf_size(READ_BUFFER)
        .max_headers(MAX_HEADER_COUNT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    flows: &Flows,
    judged: &AtomicBool,
    open: &OpenPage,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if judged.swap(true, Ordering::AcqRel) {
        // Evicted in this very moment; the task ends at the next await.
        return Ok(Page::TooMany.response(None));
    }
    // Before the flow hears of it: the broker may answer, and wait for the pages, at once.
    open.count();
    let (page, title) = match flows.judge(&request.into_parts().0) {
        Verdict::Answer(page, title) => {
            tracing::debug!(?page, "a request at the callback port was answered");
            (page, title)
        }
        Verdict::Arrived(page, title) => (page.await.unwrap_or(Page::Failed), Some(title)),
    };
    Ok(page.response(title.as_deref()))
}

/// How many browsers have sent their request and not got their page yet.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenPages(Arc<watch::Sender<usize>>);

impl OpenPages {
    fn open(&self) -> OpenPage {
        OpenPage { pages: self.clone(), counted: AtomicBool::new(false) }
    }

    /// Waits until every page is out, but not for ever.
    pub(super) async fn settle(&self) {
        let mut pages = self.0.subscribe();
        let _ = tokio::time::timeout(SETTLE_TIMEOUT, pages.wait_for(|open| *open == 0)).await;
    }
}

/// A connection that comes to owe a page. It lives until the page is written.
struct OpenPage {
    pages: OpenPages,
    counted: AtomicBool,
}

impl OpenPage {
    fn count(&self) {
        if !self.counted.swap(true, Ordering::AcqRel) {
            self.pages.0.send_modify(|open| *open += 1);
        }
    }
}

impl Drop for OpenPage {
    fn drop(&mut self) {
        if *self.counted.get_mut() {
            self.pages.0.send_modify(|open| *open -= 1);
        }
    }
}
