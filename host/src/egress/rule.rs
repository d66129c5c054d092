//! What the operator allows, and the decision for one URL that needs no network.
//!
//! Everything here is pure. What a name leads to is judged in [`super::resolve`], with the same [`Rules::judge`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};

use super::address::{Class, classify, unwrapped};
use super::failure::{Refusal, Target};
use super::network::Network;
use crate::config;
use crate::error::{Code, Error, Result};

/// The operator's lists, read.
#[derive(Debug, Default)]
pub(super) struct Rules {
    resolve: BTreeMap<(String, u16), SocketAddr>,
    loopback: Vec<SocketAddr>,
    private: Vec<Network>,
    proxy: Option<Url>,
}

/// The way a request takes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// To the URL's own address, which has been judged.
    Literal,
    /// To this address, whatever DNS says: the operator's word.
    Pinned(SocketAddr),
    /// To what the name resolves to, once that is judged.
    Lookup(String),
    /// Through the operator's proxy, which looks names up itself.
    Proxy(Url),
}

impl Rules {
    pub(super) fn new(config: &config::Egress) -> Result<Self> {
        let mut rules = Self::default();
        for (place, address) in &config.resolve {
            rules.resolve.insert(parse_place(place)?, pinnable(place, *address)?);
        }
        for address in &config.allow_loopback {
            if classify(address.ip()) != Class::Loopback || address.port() == 0 {
                return Err(invalid(
                    format!("[egress] allow_loopback lists {address}, which is no loopback address with a port."),
                    "Write addresses as \"127.0.0.1:4000\" or \"[::1]:4000\"; private networks go into allow_private.",
                ));
            }
            rules.loopback.push(SocketAddr::new(unwrapped(address.ip()), address.port()));
        }
        for network in &config.allow_private {
            rules.private.push(Network::parse(network)?);
        }
        if let Some(proxy) = &config.proxy {
            let plain = proxy.scheme() == "http" && proxy.host().is_some() && proxy.path() == "/" && proxy.query().is_none();
            if !plain || has_user_info(proxy) {
                return Err(invalid(
                    "[egress] proxy is not the plain address of an http proxy.",
                    "Write proxy = \"http://HOST:PORT\", without user, password or path.",
                ));
            }
            rules.proxy = Some(proxy.clone());
        }
        Ok(rules)
    }

    /// Where a request for this URL would go, or why it must not.
    pub(super) fn route(&self, url: &Url) -> Result<Route, Refusal> {
        let (Some(host), Some(port), "https" | "http") = (url.host(), url.port_or_known_default(), url.scheme()) else {
            return Err(Refusal::Scheme(url.scheme().to_owned()));
        };
        let target = Target { host: host.to_string(), port };
        if has_user_info(url) {
            return Err(Refusal::UserInfo(target));
        }
        if port == 0 || target.host.ends_with('.') {
            return Err(Refusal::Form(target));
        }
        let https = url.scheme() == "https";
        let route = match host {
            Host::Ipv4(address) => self.literal(&target, address.into())?,
            Host::Ipv6(address) => self.literal(&target, address.into())?,
            Host::Domain(name) => self.name(&target, name, https)?,
        };
        // What plain http may reach is what the loopback list names, and nothing else.
        let listed = match &route {
            Route::Literal => is_loopback(&host),
            Route::Pinned(_) => target.host == "localhost",
            Route::Lookup(_) | Route::Proxy(_) => false,
        };
        if https || listed { Ok(route) } else { Err(Refusal::PlainHttp(target)) }
    }

    fn literal(&self, target: &Target, address: IpAddr) -> Result<Route, Refusal> {
        let address = unwrapped(address);
        let class = classify(address);
        if class == Class::Loopback {
            return if self.loopback.contains(&SocketAddr::new(address, target.port)) {
                Ok(Route::Literal)
            } else {
                Err(Refusal::Address(target.clone(), address, class))
            };
        }
        self.judge(address).map_err(|class| Refusal::Address(target.clone(), address, class))?;
        Ok(self.proxy.clone().map_or(Route::Literal, Route::Proxy))
    }

    fn name(&self, target: &Target, name: &str, https: bool) -> Result<Route, Refusal> {
        if https && let Some(address) = self.resolve.get(&(name.to_owned(), target.port)) {
            return Ok(Route::Pinned(*address));
        }
        // These names mean this machine by definition (RFC 6761): DNS has no say, and a proxy must not be asked.
        if name == "localhost" || name.ends_with(".localhost") {
            let listed = self.loopback.iter().find(|listed| name == "localhost" && listed.port() == target.port);
            let here = IpAddr::from([127, 0, 0, 1]);
            return listed
                .map(|address| Route::Pinned(*address))
                .ok_or_else(|| Refusal::Name(target.clone(), here, Class::Loopback));
        }
        Ok(self.proxy.clone().map_or_else(|| Route::Lookup(name.to_owned()), Route::Proxy))
    }

    /// Whether an address may be connected to. Never a loopback one: a name that leads there by DNS may be an attack
    /// on what the operator listed for another name (DNS rebinding).
    pub(super) fn judge(&self, address: IpAddr) -> Result<(), Class> {
        let address = unwrapped(address);
        match classify(address) {
            Class::Public => Ok(()),
            class if class.can_be_allowed() && self.private.iter().any(|network| network.contains(address)) => Ok(()),
            class => Err(class),
        }
    }
}

fn is_loopback<S>(host: &Host<S>) -> bool {
    match host {
        Host::Ipv4(address) => classify((*address).into()) == Class::Loopback,
        Host::Ipv6(address) => classify((*address).into()) == Class::Loopback,
        Host::Domain(_) => false,
    }
}

fn has_user_info(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// A key of `resolve`: a name, as the URL parser writes it, and a port.
fn parse_place(place: &str) -> Result<(String, u16)> {
    let wrong = || {
        invalid(
            format!("[egress] resolve has the key \"{}\", which is no name with a port.", place.escape_debug()),
            "Write resolve = { \"github.example.com:443\" = \"10.1.2.3:443\" }.",
        )
    };
    let (host, port) = place.rsplit_once(':').ok_or_else(wrong)?;
    let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(wrong)?;
    match Host::parse(host) {
        Ok(Host::Domain(name)) if !name.ends_with('.') => Ok((name, port)),
        _ => Err(wrong()),
    }
}

/// The operator may send a name to any real host: this machine and private networks included, but no place where no
/// server can be meant.
fn pinnable(place: &str, address: SocketAddr) -> Result<SocketAddr> {
    let class = classify(address.ip());
    if address.port() != 0 && (matches!(class, Class::Public | Class::Loopback) || class.can_be_allowed()) {
        return Ok(address);
    }
    Err(invalid(
        format!("[egress] resolve sends \"{}\" to {address}, which is {}.", place.escape_debug(), class.describe()),
        "Name the address and port of the server itself.",
    ))
}

pub(super) fn invalid(message: impl Into<std::borrow::Cow<'static, str>>, hint: &'static str) -> Error {
    Error::new(Code::InvalidConfiguration, message, hint)
}

#[cfg(test)]
mod tests;
