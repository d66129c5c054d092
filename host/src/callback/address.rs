//! Where to listen.
//!
//! `localhost` means both loopback addresses, because browsers try either: listening on one only would hand the code to
//! whatever program listens on the other. So both are bound, on the same port, or none.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use url::{Host, Position, Url};

use super::holder;
use crate::error::{Code, Error, Result};

/// A callback URL that was checked: plain http, a loopback host, a port, and nothing beyond a path.
#[derive(Debug)]
pub(super) struct Address {
    url: Url,
    ips: Vec<IpAddr>,
    port: u16,
}

impl Address {
    pub(super) fn of(callback_url: &Url) -> Result<Self> {
        let ips = match callback_url.host() {
            Some(Host::Domain("localhost")) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            Some(Host::Ipv4(ip)) if ip.is_loopback() => vec![ip.into()],
            Some(Host::Ipv6(ip)) if ip.is_loopback() => vec![ip.into()],
            _ => return Err(unsuitable(callback_url)),
        };
        let plain = callback_url.scheme() == "http"
            && callback_url.username().is_empty()
            && callback_url.password().is_none()
            && callback_url.query().is_none()
            && callback_url.fragment().is_none();
        match callback_url.port_or_known_default() {
            Some(port) if plain && port != 0 => Ok(Self { url: callback_url.clone(), ips, port }),
            _ => Err(unsuitable(callback_url)),
        }
    }

    pub(super) fn ips(&self) -> &[IpAddr] {
        &self.ips
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The redirect URI at this port and path, with the host as configured: authorization servers compare it exactly.
    pub(super) fn redirect_uri(&self, port: u16, path: &str) -> Url {
        let mut url = self.url.clone();
        // It fails for URLs without a host only, and this one has a host.
        let _ = url.set_port(Some(port));
        url.set_path(path);
        url
    }

    /// What a browser that follows the redirect URI sends as `Host`, and nothing else is accepted as.
    pub(super) fn authority(&self, port: u16) -> String {
        self.redirect_uri(port, "/")[Position::BeforeHost..Position::AfterPort].to_owned()
    }
}

fn unsuitable(callback_url: &Url) -> Error {
    Error::new(
        Code::InvalidConfiguration,
        format!(
            "The callback URL (host {}) is none that the broker can listen at.",
            crate::error::foreign(callback_url.host_str().unwrap_or_default())
        ),
        "Set `[callback] url` to http, localhost, 127.0.0.1 or [::1], a port and a path, such as \"http://localhost:9876/oauth/callback\".",
    )
}

/// Why a port was not to be had.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another program listens there.
    Taken(SocketAddr),
    /// The system refuses.
    Refused(SocketAddr, io::Error),
}

/// Listens at all the addresses on one port; 0 lets the system choose it. An address family that the machine does not
/// have is left out: nobody else can listen there either.
///
/// The standard library sets `SO_REUSEADDR` on Unix. That frees the port of connections that are still closing, but
/// lets no two programs listen at one address, which would need `SO_REUSEPORT`.
pub(super) fn bind(ips: &[IpAddr], port: u16) -> Result<(Vec<TcpListener>, u16), Failure> {
    /// How often the system is asked for a port that is free in both families.
    const TRIES: usize = 16;
    let mut outcome = bind_once(ips, port);
    for _ in 1..TRIES {
        match outcome {
            Err(Failure::Taken(_)) if port == 0 => outcome = bind_once(ips, port),
            _ => break,
        }
    }
    outcome
}

fn bind_once(ips: &[IpAddr], mut port: u16) -> Result<(Vec<TcpListener>, u16), Failure> {
    let mut sockets = Vec::with_capacity(ips.len());
    let mut absent = None;
    for &ip in ips {
        let address = SocketAddr::new(ip, port);
        match listen(address) {
            Ok((socket, bound)) => {
                port = bound;
                sockets.push(socket);
            }
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(Failure::Taken(address)),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Err(Failure::Refused(address, error)),
            Err(error) => absent = Some(Failure::Refused(address, error)),
        }
    }
    match absent {
        Some(failure) if sockets.is_empty() => Err(failure),
        _ => Ok((sockets, port)),
    }
}

fn listen(address: SocketAddr) -> io::Result<(TcpListener, u16)> {
    let socket = TcpListener::bind(address)?;
    socket.set_nonblocking(true)?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

/// Makes a failure an error that says who is in the way and what to do.
pub(super) async fn explain(failure: Failure, address: &Address) -> Error {
    let taken = match failure {
        Failure::Taken(taken) => taken,
        Failure::Refused(refused, error) => {
            return Error::new(
                if error.kind() == ErrorKind::PermissionDenied { Code::PortTaken } else { Code::Internal },
                format!("The system does not let the broker listen at {refused}: {error}."),
                "Set `[callback] url` to another loopback address or port, and register that URL with the OAuth client.",
            );
        }
    };
    // A panic in there would only cost the name.
    let holder = tokio::task::spawn_blocking(move || holder::find(taken)).await.ok().flatten();
    taken_error(taken, &address.url, holder.as_ref())
}

fn taken_error(taken: SocketAddr, callback_url: &Url, holder: Option<&holder::Holder>) -> Error {
    let by = holder.map_or_else(|| "another program".to_owned(), ToString::to_string);
    let first = match holder {
        Some(holder) if holder.is_broker() => "Finish or cancel the sign-in that is under way there",
        _ => "Stop that program",
    };
    Error::new(
        Code::PortTaken,
        format!("The sign-in has to come back to {callback_url}, but {taken} is held by {by}."),
        format!(
            "{first}, then try again. Or set `[callback] url` to a URL with another port, and register it with the OAuth \
             client; or, where the registration takes any loopback port, set `loopback_port = \"any\"` under `[providers.NAME]`."
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address> {
        Address::of(&Url::parse(url).unwrap())
    }

    #[test]
    fn localhost_is_both_families_and_a_literal_only_itself() {
        assert_eq!(address("http://localhost:9876/cb").unwrap().ips().len(), 2);
        assert_eq!(address("http://127.0.0.1:9876/cb").unwrap().ips(), [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
        assert_eq!(address("http://[::1]:9876/cb").unwrap().ips(), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
    }

    #[test]
    fn anything_but_a_plain_loopback_url_is_refused() {
        for url in [
            "https://localhost:9876/cb",
            "http://0.0.0.0:9876/cb",
            "http://[::]:9876/cb",
            "http://192.168.1.2:9876/cb",
            "http://localhost.example:9876/cb",
            "http://example.com/cb",
            "http://localhost:0/cb",
            "http://me@localhost:9876/cb",
            "http://localhost:9876/cb?x=1",
            "http://localhost:9876/cb#x",
            "file:///tmp/x",
        ] {
            assert_eq!(address(url).unwrap_err().code(), Code::InvalidConfiguration, "{url}");
        }
    }

    #[test]
    fn the_host_header_is_the_one_of_the_redirect_uri() {
        assert_eq!(address("http://localhost:9876/cb").unwrap().authority(4000), "localhost:4000");
        assert_eq!(address("http://[::1]:9876/cb").unwrap().authority(9876), "[::1]:9876");
        // the default port is not written
        assert_eq!(address("http://localhost/cb").unwrap().authority(80), "localhost");
        let uri = address("http://localhost:9876/oauth/callback").unwrap().redirect_uri(4000, "/oauth/callback/acme");
        assert_eq!(uri.as_str(), "http://localhost:4000/oauth/callback/acme");
    }

    #[test]
    fn both_families_get_the_same_port() {
        let (sockets, port) = bind(address("http://localhost:1/").unwrap().ips(), 0).unwrap();
        for socket in sockets {
            let bound = socket.local_addr().unwrap();
            assert_eq!(bound.port(), port);
            assert!(bound.ip().is_loopback());
        }
    }

    #[test]
    fn a_family_that_the_machine_lacks_is_left_out() {
        // 192.0.2.1 (RFC 5737) is no address of this machine: the same error as ::1 without IPv6.
        let absent = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert_eq!(bind(&[Ipv4Addr::LOCALHOST.into(), absent], 0).unwrap().0.len(), 1);
        assert_eq!(bind(&[absent, Ipv4Addr::LOCALHOST.into()], 0).unwrap().0.len(), 1);
        assert!(matches!(bind(&[absent], 0), Err(Failure::Refused(..))));
    }

    #[test]
    fn another_broker_is_recognized_and_the_remedy_is_another() {
        let url = Url::parse("http://localhost:9876/oauth/callback").unwrap();
        let taken = SocketAddr::from((Ipv4Addr::LOCALHOST, 9876));
        let node = holder::Holder::new(7, "node");
        let broker = holder::Holder::new(8, "mcp-credentials-broker");
        let by_node = taken_error(taken, &url, Some(&node)).to_string();
        assert!(by_node.contains("127.0.0.1:9876 is held by \"node\" (process 7)"), "{by_node}");
        assert!(by_node.contains("Stop that program"), "{by_node}");
        let by_broker = taken_error(taken, &url, Some(&broker)).to_string();
        assert!(by_broker.contains("another credentials broker (process 8)"), "{by_broker}");
        assert!(by_broker.contains("Finish or cancel the sign-in"), "{by_broker}");
        assert!(taken_error(taken, &url, None).to_string().contains("held by another program"));
    }
}
