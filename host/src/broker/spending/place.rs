//! Where a credential may be spent, and where not: hosts, path prefixes, and the endpoints that hand out credentials.
//!
//! The rules are the descriptor's, with the settings that held at login, narrowed by the operator; or the operator's alone.
//! Endpoints that hand out credentials stay closed whatever a list says: with them, one token would become many.

use std::sync::OnceLock;

use super::target::Target;
use crate::config::SecretRule;
use crate::descriptor::template::{Template, Values};
use crate::descriptor::{Descriptor, Role};
use crate::error::{Code, Error, Result, foreign};
use crate::providers::embedded;

/// Stands for what a component would fill into an endpoint's address.
const ANYTHING: &str = "any-thing-goes-here";

/// A host, paths that may be asked for, and paths that may not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// With its port where that is not 443.
    host: String,
    /// Path prefixes. Empty: any path.
    paths: Vec<String>,
    /// Patterns of path prefixes that are closed.
    closed: Vec<String>,
}

/// All that is to be said about where one secret may be spent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// Where it may be spent.
    open: Vec<Place>,
    /// The operator's list, where it narrows another one.
    narrowed: Option<SecretRule>,
    /// Where nothing may be spent, whatever is open; beside what is closed for every secret.
    closed: Vec<Place>,
}

/// What settings held at login, and what `resolve` gave.
pub struct AtLogin<'a> {
    /// A plain setting.
    pub setting: &'a dyn Fn(&str) -> Option<&'a str>,
    /// A resolved address.
    pub resolved: &'a dyn Fn(&str) -> Option<&'a str>,
}

impl Values for AtLogin<'_> {
    fn setting(&self, name: &str) -> Option<&str> {
        (self.setting)(name)
    }

    fn resolved(&self, name: &str) -> Option<&str> {
        (self.resolved)(name)
    }

    fn argument(&self, _: &str) -> Option<&str> {
        Some(ANYTHING)
    }
}

impl Places {
    /// For a login: what its provider declares, within the operator's list; the operator's list alone where the provider
    /// declares nothing.
    #[must_use]
    pub fn of_login(descriptor: &Descriptor, at_login: &AtLogin<'_>, rule: Option<&SecretRule>) -> Self {
        let declared = declared(descriptor, at_login);
        let closed = closed(descriptor, at_login);
        if declared.iter().any(|place| !place.is_shut()) {
            return Self { open: declared, narrowed: rule.cloned(), closed };
        }
        Self { open: rule.map(listed).unwrap_or_default(), narrowed: None, closed }
    }

    /// For a stored value: the operator's list, or nowhere.
    #[must_use]
    pub fn of_value(rule: Option<&SecretRule>) -> Self {
        Self { open: rule.map(listed).unwrap_or_default(), narrowed: None, closed: Vec::new() }
    }

    /// Whether a request may carry the secret there.
    ///
    /// # Errors
    /// `not_allowed`, with the hosts that would do.
    pub fn judge(&self, target: &Target) -> Result<()> {
        let host = target.host();
        let at: Vec<&Place> = self.open.iter().filter(|place| place.host == host && !place.is_shut()).collect();
        let narrowed_hosts = self.narrowed.as_ref().and_then(|rule| rule.hosts.as_ref());
        if at.is_empty() || narrowed_hosts.is_some_and(|hosts| !hosts.contains(&host)) {
            return Err(self.elsewhere(&host));
        }
        let narrowed_paths = self.narrowed.as_ref().map(|rule| rule.paths.as_slice()).unwrap_or_default();
        let here: Vec<&Place> =
            closed_everywhere().iter().chain(&self.closed).chain(&self.open).filter(|place| place.host == host).collect();
        let matters = !narrowed_paths.is_empty() || here.iter().any(|place| !place.paths.is_empty() || !place.closed.is_empty());
        let Some(segments) = target.segments() else {
            return if matters { Err(doubtful()) } else { Ok(()) };
        };
        let within = |paths: &[String]| paths.is_empty() || paths.iter().any(|path| begins(path, segments));
        if !at.iter().any(|place| within(&place.paths)) || !within(narrowed_paths) {
            return Err(Error::new(
                Code::NotAllowed,
                format!("On {host} this secret may not be spent at that path."),
                format!("Paths that begin so are open: {}.", open_paths(&at, narrowed_paths)),
            ));
        }
        if here.iter().any(|place| place.closed.iter().any(|pattern| is_closed(pattern, segments))) {
            return Err(Error::new(
                Code::NotAllowed,
                format!("That path of {host} hands out or ends credentials; the broker sends none there."),
                "Use another endpoint of the API. What needs a new credential needs the person: ask them.",
            ));
        }
        Ok(())
    }

    /// The hosts where it may be spent.
    #[must_use]
    pub fn hosts(&self) -> Vec<&str> {
        let narrowed = self.narrowed.as_ref().and_then(|rule| rule.hosts.as_ref());
        let mut hosts: Vec<&str> = self
            .open
            .iter()
            .filter(|place| !place.is_shut() && narrowed.is_none_or(|hosts| hosts.contains(&place.host)))
            .map(|place| place.host.as_str())
            .collect();
        hosts.dedup();
        hosts
    }

    fn elsewhere(&self, host: &str) -> Error {
        let hosts = self.hosts();
        let hint = if hosts.is_empty() {
            "Nobody has said where it may be spent. The operator can, in broker.toml, below [secrets.\"NAME\"]: hosts = [\"api.example.com\"]".to_owned()
        } else {
            format!("It may be spent at: {}.", hosts.join(", "))
        };
        Error::new(Code::NotAllowed, format!("This secret may not be spent at {}.", foreign(host)), hint)
    }
}

impl Place {
    /// Whether nothing of it is open.
    fn is_shut(&self) -> bool {
        self.closed.iter().any(|pattern| pattern == "/")
    }
}

fn doubtful() -> Error {
    Error::new(
        Code::NotAllowed,
        "The path can be read in more than one way: it has an empty segment, an encoded slash or percent sign, or a semicolon.",
        "Write the path plainly; put names with slashes into the query or body, or use the API's other form for them.",
    )
}

fn open_paths(at: &[&Place], narrowed: &[String]) -> String {
    let own = at.iter().flat_map(|place| &place.paths);
    let all: Vec<&str> =
        if narrowed.is_empty() { own.map(String::as_str).collect() } else { narrowed.iter().map(String::as_str).collect() };
    all.join(", ")
}

fn listed(rule: &SecretRule) -> Vec<Place> {
    let hosts = rule.hosts.iter().flatten();
    hosts.map(|host| Place { host: host.clone(), paths: rule.paths.clone(), closed: Vec::new() }).collect()
}

/// The descriptor's destinations, as far as the settings fit them. A setting that is not there counts as the empty text.
fn declared(descriptor: &Descriptor, at_login: &AtLogin<'_>) -> Vec<Place> {
    let fits = |(name, value): (&String, &String)| at_login.setting(name).unwrap_or_default() == value;
    let places = descriptor.spend.iter().filter(|destination| destination.when.iter().all(fits)).filter_map(|destination| {
        let setting = destination.host.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let host = setting.map_or(Some(destination.host.as_str()), |name| at_login.setting(name))?;
        let host = host.strip_suffix(":443").unwrap_or(host).to_owned();
        Some(Place { host, paths: destination.paths.clone(), closed: destination.except.clone() })
    });
    places.collect()
}

/// The provider's own endpoints that hand out or end credentials.
fn closed(descriptor: &Descriptor, at_login: &AtLogin<'_>) -> Vec<Place> {
    let hands_out = |role| matches!(role, Role::Authorization | Role::Token | Role::Device | Role::Mint | Role::Revocation);
    let endpoints = descriptor.endpoints.iter().filter(|endpoint| hands_out(endpoint.role)).filter_map(|endpoint| {
        let url = Template::parse(&endpoint.url).ok()?.fill(at_login).ok()?;
        let host =
            url.port().map_or_else(|| url.host_str().map(str::to_owned), |port| Some(format!("{}:{port}", url.host_str()?)))?;
        // as it stands there, and with any of what a component fills in
        let path = url.path().replace(ANYTHING, "*");
        Some(Place { host, paths: Vec::new(), closed: vec![if path.is_empty() { "/".to_owned() } else { path }] })
    });
    endpoints.collect()
}

/// What the embedded providers close, with the settings that hold where nobody sets any: for stored values too.
fn closed_everywhere() -> &'static [Place] {
    static CLOSED: OnceLock<Vec<Place>> = OnceLock::new();
    CLOSED.get_or_init(|| {
        let of = |descriptor: &'static Descriptor| {
            let default = |name: &str| descriptor.setting(name).and_then(|setting| setting.default.as_deref());
            let at_login = AtLogin { setting: &default, resolved: &|_| None };
            let mut places = closed(descriptor, &at_login);
            places.extend(declared(descriptor, &at_login).into_iter().filter(|place| !place.closed.is_empty()));
            places
        };
        let all = embedded::all().iter().flat_map(|component| of(&component.descriptor));
        all.map(|place| Place { paths: Vec::new(), ..place }).collect()
    })
}

/// Whether a path begins with a prefix, at the borders of segments.
fn begins(prefix: &str, segments: &[String]) -> bool {
    let prefix: Vec<&str> = prefix.split('/').filter(|part| !part.is_empty()).collect();
    prefix.len() <= segments.len() && prefix.iter().zip(segments).all(|(wanted, segment)| wanted == segment)
}

/// Whether a path begins as a pattern says: `*` stands for any part of a segment, `**` for any number of segments. Upper
/// and lower case are the same, since they are to some servers.
fn is_closed(pattern: &str, segments: &[String]) -> bool {
    let pattern = pattern.to_lowercase();
    let pattern: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let segments: Vec<String> = segments.iter().map(|segment| bare(segment)).collect();
    let wild = pattern.iter().position(|part| *part == "**");
    let all = |pattern: &[&str], segments: &[String]| {
        pattern.len() <= segments.len() && pattern.iter().zip(segments).all(|(part, segment)| globs(part, segment))
    };
    match wild {
        None => all(&pattern, &segments),
        Some(at) => {
            all(&pattern[..at], &segments) && (at..=segments.len()).any(|from| all(&pattern[at + 1..], &segments[from..]))
        }
    }
}

/// A segment as a lenient server may read it: in lower case, and without the arguments, blanks and dots at its end.
fn bare(segment: &str) -> String {
    let name = segment.split_once('(').map_or(segment, |(name, _)| name);
    name.trim_end_matches(|c: char| c.is_whitespace() || c == '.').to_lowercase()
}

fn globs(part: &str, segment: &str) -> bool {
    match part.split_once('*') {
        None => part == segment,
        Some((before, after)) => {
            segment.len() >= before.len() + after.len() && segment.starts_with(before) && segment.ends_with(after)
        }
    }
}

#[cfg(test)]
mod tests;
