//! Whether a request is one that a browser sends after a sign-in: a pure check of its head and its query.
//!
//! Whatever is odd is refused before any state is looked at, and touches no flow. That holds too for an answer that
//! carries the right state but makes no sense, such as both a code and an error: refusing leaves the flow pending, and
//! nothing that a third party could send ends it.

use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::{Outcome, Page};
use crate::secret::Secret;

/// The longest request line target, and the most that all headers may take, in bytes. Browsers send the cookies of
/// every program on `localhost`, so there is a page that says what to do about it.
pub(super) const MAX_TARGET: usize = 8 * 1024;
pub(super) const MAX_HEADERS: usize = 8 * 1024;

const MAX_ERROR_CHARS: usize = 100;
const MAX_DESCRIPTION_CHARS: usize = 500;

/// Whether the head of a request may be a callback to `authority`, the host and port of the redirect URI. The path is
/// not looked at: which ones there are, the flows know.
pub(super) fn check_head(parts: &Parts, authority: &str) -> Result<(), Page> {
    // A web page whose name resolves to 127.0.0.1 (DNS rebinding) sends its own name.
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let host_is_right = hosts.next().is_some_and(|host| host.as_bytes() == authority.as_bytes()) && hosts.next().is_none();
    if !host_is_right || parts.uri.authority().is_some() {
        return Err(Page::Misdirected);
    }
    if parts.method != Method::GET {
        return Err(Page::MethodNotAllowed);
    }
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    let headers: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if target > MAX_TARGET || headers > MAX_HEADERS {
        return Err(Page::TooLarge);
    }
    if is_prefetch(&parts.headers) {
        return Err(Page::Prefetch);
    }
    Ok(())
}

/// Whether the browser only looks ahead: nobody has clicked yet, and the real request still comes.
fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose", "x-purpose", "x-moz"]
        .into_iter()
        .flat_map(|name| headers.get_all(name))
        .any(|value| value.as_bytes().windows(8).any(|word| word.eq_ignore_ascii_case(b"prefetch")))
}

/// The query of a callback.
#[derive(Debug)]
pub(super) struct Answer {
    /// Empty where there is none: that is a wrong one.
    pub(super) state: Secret,
    pub(super) iss: Option<String>,
    /// Missing where the answer has neither a code nor an error, or both.
    pub(super) outcome: Option<Outcome>,
}

/// Reads the query (RFC 6749, section 4.1.2; RFC 9207). Unknown parameters are ignored, as the RFC demands.
///
/// # Errors
/// [`Page::Rejected`] where a known parameter comes twice, cannot be decoded, or has characters that it never has.
pub(super) fn read_query(query: &str) -> Result<Answer, Page> {
    let [mut code, mut state, mut iss, mut error, mut description] = [const { None }; 5];
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        // Decoded first: `%63ode` is `code`, and would be a second one unnoticed.
        let place = match decode(name).as_deref() {
            Some("code") => &mut code,
            Some("state") => &mut state,
            Some("iss") => &mut iss,
            Some("error") => &mut error,
            Some("error_description") => &mut description,
            _ => continue,
        };
        let value = decode(value).ok_or(Page::Rejected)?;
        if place.replace(value).is_some() {
            return Err(Page::Rejected);
        }
    }
    let printable = |text: &String| text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if ![&code, &state, &iss, &error].into_iter().flatten().all(printable) {
        return Err(Page::Rejected);
    }
    // A parameter without a value counts as absent (RFC 6749, section 3.1), except `iss`: an empty issuer is a wrong one.
    let filled = |text: &String| !text.is_empty();
    let outcome = match (code.filter(filled), error.filter(filled)) {
        (Some(code), None) => Some(Outcome::Code(Secret::new(code))),
        (None, Some(error)) => Some(Outcome::Error {
            error: bounded(&error, MAX_ERROR_CHARS),
            description: description.filter(filled).map(|text| bounded(&text, MAX_DESCRIPTION_CHARS)),
        }),
        _ => None,
    };
    Ok(Answer { state: Secret::new(state.unwrap_or_default()), iss, outcome })
}

fn bounded(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}

/// Undoes form encoding, strictly: a stray `%` or bytes that are no UTF-8 make it nothing.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "localhost:9876";

    fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Result<(), Page> {
        check_head(&parts(method, target, headers), HOST)
    }

    fn code(query: &str) -> String {
        match read_query(query).unwrap().outcome {
            Some(Outcome::Code(code)) => code.expose().to_owned(),
            other => panic!("{query}: {other:?}"),
        }
    }

    fn error(query: &str) -> (String, Option<String>) {
        match read_query(query).unwrap().outcome {
            Some(Outcome::Error { error, description }) => (error, description),
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn only_the_host_of_the_redirect_uri_is_answered() {
        assert_eq!(head("GET", "/", &[("host", HOST)]), Ok(()));
        for host in [
            "evil.example:9876",
            "127.0.0.1.nip.io:9876",
            "127.0.0.1:9876",
            "localhost",
            "localhost:9877",
            "localhost:9876.",
            "LOCALHOST:9876",
            "localhost.:9876",
            "",
        ] {
            assert_eq!(head("GET", "/", &[("host", host)]), Err(Page::Misdirected), "{host}");
        }
        assert_eq!(head("GET", "/", &[]), Err(Page::Misdirected));
        assert_eq!(head("GET", "/", &[("host", HOST), ("host", HOST)]), Err(Page::Misdirected));
        assert_eq!(head("GET", "http://evil.example/", &[("host", HOST)]), Err(Page::Misdirected));
        assert_eq!(head("GET", "http://localhost:9876/", &[("host", HOST)]), Err(Page::Misdirected));
    }

    #[test]
    fn only_get_is_a_sign_in_coming_back() {
        for method in ["POST", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "get", "PROPFIND"] {
            assert_eq!(head(method, "/", &[("host", HOST)]), Err(Page::MethodNotAllowed), "{method}");
        }
    }

    #[test]
    fn a_browser_that_looks_ahead_is_told_to_come_back() {
        for (name, value) in
            [("sec-purpose", "prefetch;prerender"), ("purpose", "prefetch"), ("x-moz", "prefetch"), ("Sec-Purpose", "Prefetch")]
        {
            assert_eq!(head("GET", "/", &[("host", HOST), (name, value)]), Err(Page::Prefetch), "{name}: {value}");
        }
        assert_eq!(head("GET", "/", &[("host", HOST), ("sec-purpose", "navigate")]), Ok(()));
    }

    #[test]
    fn what_is_too_large_is_said_to_be() {
        let long = "x".repeat(MAX_TARGET);
        assert_eq!(head("GET", &format!("/{long}"), &[("host", HOST)]), Err(Page::TooLarge));
        assert_eq!(head("GET", "/", &[("host", HOST), ("cookie", &long)]), Err(Page::TooLarge));
        assert_eq!(head("GET", &format!("/{}", "x".repeat(MAX_TARGET - 1)), &[("host", HOST)]), Ok(()));
    }

    #[test]
    fn a_code_or_an_error_is_read() {
        let answer = read_query("code=a%2Fb+c&state=s-1&iss=https%3A%2F%2Fid.example&session_state=x&redirect=//evil").unwrap();
        assert_eq!(answer.state.expose(), "s-1");
        assert_eq!(answer.iss.as_deref(), Some("https://id.example"));
        assert_eq!(code("code=a%2Fb+c&state=s"), "a/b c");
        assert_eq!(error("error=access_denied&state=s"), ("access_denied".to_owned(), None));
        // Entra's description has line breaks
        assert_eq!(
            error("error=access_denied&error_description=AADSTS65004%3a+no.%0d%0aTrace&state=s"),
            ("access_denied".to_owned(), Some("AADSTS65004: no.\r\nTrace".to_owned()))
        );
    }

    #[test]
    fn both_or_neither_of_code_and_error_is_no_outcome() {
        for query in ["code=c&error=e&state=s", "state=s", "code=&state=s", "error=&state=s", "", "code", "code=&error="] {
            assert!(read_query(query).unwrap().outcome.is_none(), "{query}");
        }
        // without a value is absent
        assert_eq!(code("code=c&error=&state=s"), "c");
        assert_eq!(error("code=&error=e&state=s").0, "e");
    }

    #[test]
    fn a_known_parameter_that_comes_twice_is_rejected() {
        for query in [
            "code=a&code=b&state=s",
            "code=a&code=a&state=s",
            "code=a&state=s&state=s",
            "code=a&state=s&iss=i&iss=i",
            "error=a&error=a&state=s",
            "error=a&error_description=&error_description=",
            "code=a&%63ode=b&state=s",
            "state&state=s",
        ] {
            assert_eq!(read_query(query).unwrap_err(), Page::Rejected, "{query}");
        }
        assert_eq!(code("code=a&state=s&scope=x&scope=y"), "a");
    }

    #[test]
    fn what_cannot_be_decoded_is_rejected() {
        for query in ["code=%00", "state=%ff", "code=a%", "code=a%4", "state=%zz", "iss=%0d%0a", "error=%e2%80%ae", "code=%C3%A4"]
        {
            assert_eq!(read_query(query).unwrap_err(), Page::Rejected, "{query}");
        }
        // of parameters that nobody reads, nothing is asked
        assert_eq!(code("code=a&x=%ff&%ff=y&z=%"), "a");
    }

    #[test]
    fn an_empty_issuer_is_not_an_absent_one() {
        assert_eq!(read_query("code=a&iss=").unwrap().iss.as_deref(), Some(""));
        assert_eq!(read_query("code=a").unwrap().iss, None);
    }

    #[test]
    fn foreign_text_is_bounded() {
        let (error, description) = error(&format!("error={}&error_description={}", "e".repeat(5000), "%E2%82%AC".repeat(5000)));
        assert_eq!(error.len(), MAX_ERROR_CHARS);
        assert_eq!(description.unwrap().chars().count(), MAX_DESCRIPTION_CHARS);
    }
}
