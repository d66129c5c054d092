//! Parameters of a query or a form. One that comes twice makes the whole request invalid (RFC 6749 section 3.1): two
//! readers that pick different ones are how checks get bypassed.

/// Parameters, each at most once.
pub(super) struct Parameters(Vec<(String, String)>);

/// A parameter came twice.
#[derive(Debug, PartialEq)]
pub(super) struct Repeated;

impl Parameters {
    pub(super) fn parse(text: &[u8]) -> Result<Self, Repeated> {
        let mut found: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(text) {
            if found.iter().any(|(known, _)| *known == name) {
                return Err(Repeated);
            }
            found.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(found))
    }

    /// The value; an empty one counts as left out (RFC 6749 section 3.1).
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, value)| known == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_at_most_once() {
        assert!(Parameters::parse(b"state=a&scope=b&st%61te=c").is_err());
        let good = Parameters::parse(b"state=a+b%21&nonce=").unwrap_or_else(|_| panic!());
        assert_eq!((good.get("state"), good.get("nonce"), good.get("code")), (Some("a b!"), None, None));
    }
}
