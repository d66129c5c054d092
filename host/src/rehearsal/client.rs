//! The one registered client, and whether it is really the client who asks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use subtle::ConstantTimeEq as _;

use super::answer::Refusal;
use super::parameters::Parameters;
use super::random;
use crate::secret::Secret;

/// What the person reads as the client's name.
pub(super) const NAME: &str = "MCP Credentials Broker";

#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Secret,
}

const WRONG: Refusal =
    Refusal::unauthorized("Basic realm=\"rehearsal\"", "invalid_client", "The client id or its secret is wrong.");

impl Client {
    pub(super) fn new() -> Option<Self> {
        let id = format!("rehearsal-{}", random::text()?.get(..8)?);
        Some(Self { id, secret: Secret::new(random::text()?) })
    }

    /// Client authentication by header or by form members (RFC 6749 section 2.3.1), not by both.
    pub(super) fn check(&self, headers: &HeaderMap, form: &Parameters) -> Result<(), Refusal> {
        let in_form = form.get("client_id").zip(form.get("client_secret"));
        match (headers.get(AUTHORIZATION), in_form) {
            (Some(_), Some(_)) => Err(Refusal::new("invalid_request", "Authenticate in one way, not in two.")),
            (Some(header), None) => {
                let (id, secret) = header.to_str().ok().and_then(basic).ok_or(WRONG)?;
                let same = form.get("client_id").is_none_or(|named| named == id);
                self.is(&id, secret.expose()).filter(|()| same).ok_or(WRONG)
            }
            (None, Some((id, secret))) => self.is(id, secret).ok_or(WRONG),
            (None, None) => Err(WRONG),
        }
    }

    fn is(&self, id: &str, secret: &str) -> Option<()> {
        let same = id.as_bytes().ct_eq(self.id.as_bytes()) & secret.as_bytes().ct_eq(self.secret.expose().as_bytes());
        bool::from(same).then_some(())
    }
}

/// Both halves were form-encoded before they were joined.
fn basic(header: &str) -> Option<(String, Secret)> {
    let (scheme, encoded) = header.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    Some((form_decoded(id)?, Secret::new(form_decoded(secret)?)))
}

fn form_decoded(text: &str) -> Option<String> {
    let text = text.replace('+', " ");
    percent_encoding::percent_decode_str(&text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn ask(header: Option<&str>, form: &str) -> Result<(), &'static str> {
        let client = Client { id: "a:b".to_owned(), secret: Secret::from("s+c %") };
        let mut headers = HeaderMap::new();
        if let Some(value) = header {
            headers.insert(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
        }
        let form = Parameters::parse(form.as_bytes()).unwrap_or_else(|_| panic!());
        client.check(&headers, &form).map_err(|refusal| refusal.error)
    }

    fn header(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn a_client_is_known_by_its_header_or_its_form() {
        assert_eq!(ask(Some(&header("a%3Ab:s%2Bc+%25")), ""), Ok(()));
        assert_eq!(ask(Some(&header("a%3Ab:s%2Bc+%25")), "client_id=a:b"), Ok(()));
        assert_eq!(ask(None, "client_id=a:b&client_secret=s%2Bc+%25"), Ok(()));
    }

    #[test]
    fn anything_else_is_nobody() {
        for (auth, form) in [
            (None, ""),
            (None, "client_id=a:b"),
            (None, "client_id=a:b&client_secret=wrong"),
            (Some(header("a%3Ab:wrong")), ""),
            (Some(header("a%3Ab:s%2Bc+%25")), "client_id=other"),
            (Some("Bearer x".to_owned()), ""),
            (Some("Basic ?".to_owned()), ""),
        ] {
            assert_eq!(ask(auth.as_deref(), form), Err("invalid_client"), "{auth:?} {form}");
        }
        assert_eq!(ask(Some(&header("a%3Ab:s%2Bc+%25")), "client_id=a:b&client_secret=s%2Bc+%25"), Err("invalid_request"));
    }
}
