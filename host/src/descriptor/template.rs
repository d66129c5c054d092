//! URL templates of the endpoint table.
//!
//! A template says beforehand, in one line that an operator can read, which addresses are possible at all. Nothing
//! that a component says at run time can change scheme, host or port: those come from the text, from the operator's
//! settings, or from metadata that the broker has checked.
//!
//! | place             | filled with                                             | where                          |
//! |-------------------|---------------------------------------------------------|--------------------------------|
//! | `{domain}`        | a setting of the kind `host`, `segment` or `url`        | host: `host` only; path: `host`, `segment`; `url` only at the start |
//! | `{issuer.origin}` | scheme, host and port of a `url` setting                | at the start                   |
//! | `{issuer.path}`   | the path of a `url` setting, without a trailing slash   | in the path                    |
//! | `{client_id}`     | the client id, as one encoded segment                   | path and query                 |
//! | `{argument.app}`  | what the component gives with the request, encoded      | path and query                 |
//! | `{resolved.token_endpoint}` | what `resolve` gave and the broker checked    | alone                          |
//! | `{claim.tid}`     | a GUID in an id_token's claim (issuers only)            | path                           |

use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

use crate::error::{Code, Error, Result};

/// Everything but the unreserved characters of RFC 3986, section 2.3.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A parsed URL template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Place { space: Space, name: String },
}

/// Where a place's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    Setting,
    Origin,
    Path,
    Argument,
    Resolved,
    Claim,
}

/// What fills a template.
pub trait Values {
    /// A plain setting.
    fn setting(&self, name: &str) -> Option<&str>;
    /// A value that `resolve` gave and the broker checked.
    fn resolved(&self, name: &str) -> Option<&str>;
    /// An argument of the request.
    fn argument(&self, name: &str) -> Option<&str>;
}

impl Template {
    /// Parses a template; says in one sentence what is wrong with it.
    ///
    /// # Errors
    /// A sentence for the component's author.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            let close = after.find('}').ok_or_else(|| format!("the template {text} has a {{ without its }}"))?;
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(place(after.get(1..close).unwrap_or_default(), text)?);
            rest = after.get(close + 1..).unwrap_or_default();
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        let template = Self { text: text.to_owned(), parts };
        template.check()?;
        Ok(template)
    }

    fn check(&self) -> Result<(), String> {
        let text = &self.text;
        // Not graphic: a tab or a line break too, which the URL parser leaves out without a word.
        if text.contains(['\\', '#', '@']) || text.contains("..") || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!("the template {text} has a character that no endpoint needs"));
        }
        match self.parts.as_slice() {
            [Part::Place { space: Space::Resolved, .. }] => return Ok(()),
            [Part::Place { space: Space::Origin | Space::Setting, .. }, Part::Text(next), ..] if next.starts_with('/') => {}
            [Part::Place { space: Space::Setting, .. }] => {}
            // With a third slash the URL parser would take what comes next for the host.
            [Part::Text(start), ..] if start.strip_prefix("https://").is_some_and(|rest| !rest.starts_with('/')) => {}
            _ => return Err(format!("the template {text} must begin with https://, {{SETTING}}/ or {{SETTING.origin}}/")),
        }
        let mut in_authority = matches!(self.parts.first(), Some(Part::Text(_)));
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(literal) => {
                    let after_scheme = if index == 0 { literal.trim_start_matches("https://") } else { literal };
                    in_authority &= !after_scheme.contains('/');
                }
                Part::Place { space, name } => {
                    let allowed = match space {
                        Space::Setting => true,
                        Space::Origin => index == 0,
                        Space::Path | Space::Argument | Space::Claim => !in_authority && index > 0,
                        Space::Resolved => false,
                    };
                    if !allowed {
                        return Err(format!("in the template {text} the place {name} may not stand where it does"));
                    }
                }
            }
        }
        Ok(())
    }

    /// The template as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name, where the whole template is `{resolved.NAME}`.
    #[must_use]
    pub fn resolved_name(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [Part::Place { space: Space::Resolved, name }] => Some(name),
            _ => None,
        }
    }

    /// The settings it needs, with whether the setting stands in the host.
    pub fn settings(&self) -> impl Iterator<Item = (&str, Use)> {
        let mut in_authority = matches!(self.parts.first(), Some(Part::Text(_)));
        self.parts.iter().enumerate().filter_map(move |(index, part)| match part {
            Part::Text(literal) => {
                let after_scheme = if index == 0 { literal.trim_start_matches("https://") } else { literal };
                in_authority &= !after_scheme.contains('/');
                None
            }
            Part::Place { space: Space::Setting, name } if index == 0 => Some((name.as_str(), Use::Url)),
            Part::Place { space: Space::Setting, name } => {
                Some((name.as_str(), if in_authority { Use::Host } else { Use::Segment }))
            }
            Part::Place { space: Space::Origin | Space::Path, name } => Some((name.as_str(), Use::Url)),
            Part::Place { .. } => None,
        })
    }

    /// Fills the places in and parses the result.
    ///
    /// # Errors
    /// `not_configured` where a setting is missing, `component_fault` where the component left an argument out or
    /// `resolve` gave nothing.
    pub fn fill(&self, values: &dyn Values) -> Result<Url> {
        let filled = self.fill_text(values)?;
        Url::parse(&filled).map_err(|error| {
            Error::new(
                Code::InvalidConfiguration,
                format!("The address made from {} is not a URL: {error}.", self.text),
                "Check the provider's settings; list_providers names them.",
            )
        })
    }

    /// Fills the places in, as text. `{claim.…}` places stay as they are; see [`Template::matches`].
    ///
    /// # Errors
    /// As [`Template::fill`].
    pub fn fill_text(&self, values: &dyn Values) -> Result<String> {
        let missing = |what: &str, name: &str| {
            Error::new(
                Code::NotConfigured,
                format!("The {what} \"{name}\" that the address {} needs is not there.", self.text),
                "Check the provider's settings; list_providers names them.",
            )
        };
        let mut out = String::with_capacity(self.text.len() + 32);
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Place { space: Space::Claim, name } => out.push_str(&format!("{{claim.{name}}}")),
                Part::Place { space: Space::Resolved, name } => {
                    out.push_str(values.resolved(name).ok_or_else(|| missing("endpoint", name))?);
                }
                Part::Place { space: Space::Argument, name } => {
                    let value = values.argument(name).ok_or_else(|| {
                        Error::new(
                            Code::ComponentFault,
                            format!("The component left out the argument \"{name}\" of {}.", self.text),
                            "Report this to the provider's author.",
                        )
                    })?;
                    // "." and ".." climb out of their segment however they are encoded
                    if matches!(value, "" | "." | "..") {
                        return Err(Error::new(
                            Code::ComponentFault,
                            format!("The component gave no usable argument \"{name}\" for {}.", self.text),
                            "Report this to the provider's author.",
                        ));
                    }
                    out.extend(utf8_percent_encode(value, SEGMENT));
                }
                Part::Place { space, name } => {
                    let value = values.setting(name).ok_or_else(|| missing("setting", name))?;
                    match space {
                        Space::Origin => out.push_str(&origin(value).ok_or_else(|| missing("setting", name))?),
                        Space::Path => {
                            out.push_str(Url::parse(value).map_err(|_| missing("setting", name))?.path().trim_end_matches('/'));
                        }
                        _ if index == 0 => out.push_str(value.trim_end_matches('/')),
                        _ => out.push_str(value),
                    }
                }
            }
        }
        Ok(out)
    }

    /// Whether `candidate` is this template with its settings filled in and each `{claim.…}` place a GUID.
    #[must_use]
    pub fn matches(&self, candidate: &str, values: &dyn Values) -> bool {
        let Ok(pattern) = self.fill_text(values) else { return false };
        matches_claims(&pattern, candidate)
    }
}

/// Whether `candidate` is `pattern` with each `{claim.…}` place replaced by a GUID.
#[must_use]
pub fn matches_claims(pattern: &str, candidate: &str) -> bool {
    match pattern.split_once("{claim.") {
        None => pattern == candidate,
        Some((before, rest)) => {
            let Some((_, after)) = rest.split_once('}') else { return false };
            let Some(tail) = candidate.strip_prefix(before) else { return false };
            let Some((guid, tail)) = tail.split_at_checked(36) else { return false };
            is_guid(guid) && matches_claims(after, tail)
        }
    }
}

/// Whether the text is a GUID in the usual writing.
#[must_use]
pub fn is_guid(text: &str) -> bool {
    uuid::Uuid::try_parse(text).is_ok() && text.len() == 36
}

/// How a template uses a setting, which decides what kind the setting must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// As (part of) the host.
    Host,
    /// As a path segment or query value.
    Segment,
    /// As the beginning of the URL, or its origin or path.
    Url,
}

fn place(inner: &str, template: &str) -> Result<Part, String> {
    let (space, name) = match inner.split_once('.') {
        None => (Space::Setting, inner),
        Some(("argument", name)) => (Space::Argument, name),
        Some(("resolved", name)) => (Space::Resolved, name),
        Some(("claim", name)) => (Space::Claim, name),
        Some((name, "origin")) => (Space::Origin, name),
        Some((name, "path")) => (Space::Path, name),
        Some(_) => return Err(format!("the template {template} has the unknown place {{{inner}}}")),
    };
    let good = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !good {
        return Err(format!("the template {template} has a place without a proper name"));
    }
    // where a resolved address comes from is checked by what its name says it is
    if space == Space::Resolved && !is_address(name) {
        return Err(format!(
            "the template {template} has the place {{{inner}}}; a resolved address is called …_endpoint or …_uri"
        ));
    }
    Ok(Part::Place { space, name: name.to_owned() })
}

/// Whether a resolved value of that name is an address, whose origin the broker checks before it believes it.
#[must_use]
pub fn is_address(name: &str) -> bool {
    name == "issuer" || name.ends_with("_endpoint") || name.ends_with("_uri")
}

fn origin(value: &str) -> Option<String> {
    let url = Url::parse(value).ok()?;
    url.has_host().then(|| url.origin().ascii_serialization())
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Values for Fixed {
        fn setting(&self, name: &str) -> Option<&str> {
            match name {
                "domain" => Some("dev-1.okta.com"),
                "issuer" => Some("https://id.example.com/realms/a/"),
                "client_id" => Some("Iv1.abc"),
                _ => None,
            }
        }
        fn resolved(&self, name: &str) -> Option<&str> {
            (name == "token_endpoint").then_some("https://id.example.com/token")
        }
        fn argument(&self, name: &str) -> Option<&str> {
            match name {
                "app" => Some("a/../b?c#d"),
                "dots" => Some(".."),
                _ => None,
            }
        }
    }

    fn filled(text: &str) -> String {
        Template::parse(text).unwrap().fill(&Fixed).unwrap().to_string()
    }

    #[test]
    fn settings_resolved_values_and_arguments_are_filled_in() {
        assert_eq!(filled("https://{domain}/oauth2/v1/token"), "https://dev-1.okta.com/oauth2/v1/token");
        assert_eq!(filled("{resolved.token_endpoint}"), "https://id.example.com/token");
        assert_eq!(
            filled("{issuer}/.well-known/openid-configuration"),
            "https://id.example.com/realms/a/.well-known/openid-configuration"
        );
        assert_eq!(
            filled("{issuer.origin}/.well-known/oauth-authorization-server{issuer.path}"),
            "https://id.example.com/.well-known/oauth-authorization-server/realms/a"
        );
        assert_eq!(
            filled("https://api.github.com/applications/{client_id}/token"),
            "https://api.github.com/applications/Iv1.abc/token"
        );
    }

    #[test]
    fn an_argument_cannot_leave_its_segment() {
        assert_eq!(filled("https://a.example/x/{argument.app}/y"), "https://a.example/x/a%2F..%2Fb%3Fc%23d/y");
        assert!(Template::parse("https://a.example/x/{argument.dots}/y").unwrap().fill(&Fixed).is_err());
    }

    #[test]
    fn a_component_cannot_name_the_host() {
        for bad in [
            "https://{argument.host}/token",
            "https://a.{argument.x}.example/",
            "https://user@a.example/",
            "http://a.example/",
            "{argument.url}",
            "https://a.example/{resolved.token_endpoint}",
            "{resolved.token_endpoint}/more",
            "https://a.example/../b",
            "https://a.example/#x",
            "https://{domain",
            "{issuer}evil.example/",
            "https://{what.ever}/",
            "https:///{argument.host}/token",
            "https://\t/{argument.host}/token",
            "https://a.example/\u{1b}[2K",
        ] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn no_text_before_an_argument_makes_a_host_of_it() {
        struct Evil;
        impl Values for Evil {
            fn setting(&self, _: &str) -> Option<&str> {
                None
            }
            fn resolved(&self, _: &str) -> Option<&str> {
                None
            }
            fn argument(&self, _: &str) -> Option<&str> {
                Some("evil.example")
            }
        }
        let characters: Vec<String> = (0..=0x7f_u8).map(|byte| char::from(byte).to_string()).chain([String::new()]).collect();
        for (one, other) in characters.iter().flat_map(|one| characters.iter().map(move |other| (one, other))) {
            for text in [format!("https://{one}{other}/{{argument.x}}/"), format!("https:{one}{other}{{argument.x}}/")] {
                let Ok(template) = Template::parse(&text) else { continue };
                let host = template.fill(&Evil).ok().and_then(|url| url.host_str().map(str::to_owned));
                assert!(host.as_deref().is_none_or(|host| !host.contains("evil")), "{text:?} leads to {host:?}");
            }
        }
    }

    #[test]
    fn a_claim_in_an_issuer_matches_a_guid_only() {
        let template = Template::parse("https://login.microsoftonline.com/{claim.tid}/v2.0").unwrap();
        assert!(template.matches("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", &Fixed));
        assert!(!template.matches("https://login.microsoftonline.com/{tenantid}/v2.0", &Fixed));
        assert!(!template.matches("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0/x", &Fixed));
        assert!(!template.matches("https://evil.example/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0", &Fixed));
    }
}
