//! One request: to the judged addresses, with the name in TLS and `Host`. Over a connection of its own, or one that was
//! kept from the last request to the same place.

use std::error::Error as StdError;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{HOST, USER_AGENT};
use rustls::ClientConfig;
use url::Url;
use zeroize::Zeroizing;

use super::failure::{Failure, Target};
use super::kept::{CONNECTIONS, Kept, Place};
use super::{Incoming, Outgoing};
use crate::error::foreign;

/// A connection that is not there by then will not come; the rest of the time is for the answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Some servers (GitHub's API) answer nobody without one.
const AGENT: &str = concat!("mcp-credentials-broker/", env!("CARGO_PKG_VERSION"));

/// How the connection is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Way {
    /// To the address in the URL.
    Literal,
    /// To these addresses, for the name in the URL.
    Pinned(Vec<SocketAddr>),
    /// Through this proxy.
    Proxy(Url),
}

/// Sends the request and reads the answer up to its limit. `begun` is set before anything can have been sent.
pub(super) async fn exchange(
    kept: &Kept<reqwest::Client>,
    tls: ClientConfig,
    way: Way,
    target: &Target,
    mut request: Outgoing,
    begun: &AtomicBool,
) -> Result<Incoming, Failure> {
    let (limit, may_cut) = (request.limit, request.cut);
    let proxy = match &way {
        Way::Proxy(proxy) => proxy.host_str().map(|host| format!("{host}:{}", proxy.port_or_known_default().unwrap_or(80))),
        Way::Literal | Way::Pinned(_) => None,
    };
    let explain = |error: reqwest::Error| match (explain(&error, target), &proxy) {
        (Failure::Unreachable { target, reason, sent }, Some(proxy)) => {
            Failure::Unreachable { target, reason: format!("{reason}, through the proxy {proxy}"), sent }
        }
        (failure, _) => failure,
    };
    if let Way::Pinned(_) = way {
        // A port in the URL would win over the one that was pinned: `Host` keeps it, the connection must not see it.
        let authority = request.url.port().map_or_else(|| target.host.clone(), |_| target.to_string());
        let authority = HeaderValue::try_from(authority).map_err(|_| broken(target, "the host is no header value"))?;
        request.headers.insert(HOST, authority);
        request.url.set_port(None).map_err(|()| broken(target, "the URL has no place for a port"))?;
    }
    request.headers.entry(USER_AGENT).or_insert(HeaderValue::from_static(AGENT));
    let https = request.url.scheme() == "https";
    let sent = match request.body {
        None if request.keep => {
            let place = Place { https, host: target.host.clone(), port: target.port, way: sorted(way) };
            begun.store(true, Ordering::Relaxed);
            let outgoing = (request.method, request.url, request.headers);
            over_kept(kept, place, outgoing, |way| build(tls.clone(), way, target, https)).await
        }
        body => {
            let client = build(tls, way, target, https).map_err(explain)?;
            let mut outgoing = client.request(request.method, request.url).headers(request.headers);
            if let Some(body) = body {
                // Owned, not copied: the bytes are wiped when the connection lets go of them.
                outgoing = outgoing.body(Bytes::from_owner(body));
            }
            begun.store(true, Ordering::Relaxed);
            outgoing.send().await
        }
    };
    let mut answer = sent.map_err(explain)?;
    let too_large = || Failure::TooLarge { target: target.clone(), limit };
    let announced = usize::try_from(answer.content_length().unwrap_or(0)).unwrap_or(usize::MAX);
    if announced > limit && !may_cut {
        return Err(too_large());
    }
    let mut body = Zeroizing::new(Vec::with_capacity(announced.min(limit)));
    let mut cut = false;
    while let Some(chunk) = answer.chunk().await.map_err(explain)? {
        let room = limit - body.len();
        cut = chunk.len() > room;
        if cut && !may_cut {
            return Err(too_large());
        }
        append(&mut body, &chunk[..chunk.len().min(room)]);
        if cut {
            break;
        }
    }
    Ok(Incoming { status: answer.status().as_u16(), headers: std::mem::take(answer.headers_mut()), body, cut })
}

/// Sends it over a connection that was kept, if there is one, and once more over a new one where that turns out closed.
async fn over_kept(
    kept: &Kept<reqwest::Client>,
    place: Place,
    (method, url, headers): (http::Method, Url, http::HeaderMap),
    build: impl Fn(Way) -> reqwest::Result<reqwest::Client>,
) -> reqwest::Result<reqwest::Response> {
    if let Some(client) = kept.get(&place, Instant::now()) {
        match client.request(method.clone(), url.clone()).headers(headers.clone()).send().await {
            Err(error) if !error.is_timeout() && !error.is_connect() => kept.forget(&place),
            sent => return sent,
        }
    }
    let client = build(place.way.clone())?;
    let answer = client.request(method, url).headers(headers).send().await?;
    kept.keep(place, client, Instant::now());
    Ok(answer)
}

/// The same addresses in another order are the same place.
fn sorted(way: Way) -> Way {
    match way {
        Way::Pinned(mut addresses) => {
            addresses.sort_unstable();
            Way::Pinned(addresses)
        }
        other => other,
    }
}

/// No redirect, no retry, no proxy but the given one: nothing goes where it has not been judged.
fn build(tls: ClientConfig, way: Way, target: &Target, https: bool) -> reqwest::Result<reqwest::Client> {
    #[expect(clippy::disallowed_methods, reason = "this is the one door out")]
    let builder = reqwest::Client::builder();
    let builder = builder
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .https_only(https)
        .connect_timeout(CONNECT_TIMEOUT)
        // no timer of the library's: who comes next looks at the clock
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(CONNECTIONS)
        .no_proxy();
    match way {
        Way::Literal => builder,
        Way::Pinned(addresses) => builder.resolve_to_addrs(&target.host, &addresses),
        Way::Proxy(proxy) => builder.proxy(reqwest::Proxy::all(proxy)?),
    }
    .build()
}

/// Grows into a new buffer and wipes the old one; a `Vec` that grows by itself leaves its content behind in the heap.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    if body.capacity() - body.len() < chunk.len() {
        let mut larger = Zeroizing::new(Vec::with_capacity((body.len() + chunk.len()).max(2 * body.capacity())));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

/// What went wrong, from the innermost cause: the library's own text carries the URL with its query.
fn explain(error: &reqwest::Error, target: &Target) -> Failure {
    // Whatever fails while the connection is made, TLS included, fails before the request.
    let sent = !error.is_connect() && !error.is_builder();
    if error.is_timeout() {
        return Failure::Timeout { target: target.clone(), waited: CONNECT_TIMEOUT, sent };
    }
    let mut innermost: &(dyn StdError + 'static) = match error.source() {
        Some(source) => source,
        None => return Failure::Unreachable { target: target.clone(), reason: foreign("the request could not be made"), sent },
    };
    loop {
        if innermost.is::<rustls::Error>() {
            return Failure::Tls { target: target.clone(), reason: foreign(&innermost.to_string()), sent };
        }
        // An I/O error shows the cause of the error inside it, not that error itself.
        let wrapped = innermost
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|inner| inner as &(dyn StdError + 'static));
        match wrapped.or_else(|| innermost.source()) {
            Some(source) => innermost = source,
            None => return Failure::Unreachable { target: target.clone(), reason: foreign(&innermost.to_string()), sent },
        }
    }
}

fn broken(target: &Target, reason: &str) -> Failure {
    Failure::Unreachable { target: target.clone(), reason: foreign(reason), sent: false }
}
