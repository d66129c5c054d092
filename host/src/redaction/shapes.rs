//! The second line: what looks like a token, though the broker holds no such value.
//!
//! A provider may answer with a credential that nobody stored, such as a new one. Its own literal prefixes (`gho_…`) and
//! a few shapes that are nobody's in particular tell. Only for the traffic of the provider that names the prefixes: in
//! other people's text the same letters may mean something else.

use aho_corasick::AhoCorasick;

/// What stands in the place of something that looks like a token.
const PLACE: &[u8] = b"[token]";
/// How many characters must follow a provider's prefix.
const FOLLOWING: usize = 16;
/// Beginnings of the shapes that belong to no provider.
const GENERAL: [(&str, Shape); 3] = [("eyJ", Shape::Jwt), ("AKIA", Shape::AwsKeyId), ("ASIA", Shape::AwsKeyId)];

/// Finds what looks like a token.
pub struct Shapes {
    beginnings: AhoCorasick,
    prefixes: usize,
}

#[derive(Clone, Copy)]
enum Shape {
    /// A provider's prefix, and what follows it.
    Prefixed,
    /// Three or five parts in base64url (RFC 7519, RFC 7516).
    Jwt,
    /// Sixteen capital letters and digits.
    AwsKeyId,
}

impl Shapes {
    /// Shapes with a provider's own prefixes.
    #[must_use]
    pub fn new<S: AsRef<str>>(prefixes: &[S]) -> Self {
        let all: Vec<&str> = prefixes.iter().map(AsRef::as_ref).chain(GENERAL.iter().map(|(beginning, _)| *beginning)).collect();
        let beginnings = AhoCorasick::new(&all).or_else(|_| AhoCorasick::new([""; 0]));
        #[expect(clippy::expect_used, reason = "an automaton of nothing can always be built, and one of 64 short prefixes too")]
        Self { beginnings: beginnings.expect("a small automaton"), prefixes: prefixes.len() }
    }

    /// The text with everything replaced that looks like a token.
    #[must_use]
    pub fn redact(&self, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for found in self.beginnings.find_overlapping_iter(text) {
            let inside_a_word = found.start() > 0 && is_word(text[found.start() - 1]);
            if found.start() < done || inside_a_word {
                continue;
            }
            let number = found.pattern().as_usize();
            let shape =
                number.checked_sub(self.prefixes).and_then(|it| GENERAL.get(it)).map_or(Shape::Prefixed, |(_, shape)| *shape);
            if let Some(len) = shape.length(&text[found.end()..]) {
                out.extend_from_slice(&text[done..found.start()]);
                out.extend_from_slice(PLACE);
                done = found.end() + len;
            }
        }
        out.extend_from_slice(&text[done..]);
        out
    }
}

impl Shape {
    /// How much of what follows the beginning belongs to the token, if it is one.
    fn length(self, rest: &[u8]) -> Option<usize> {
        let run = |good: fn(u8) -> bool| rest.iter().take_while(|byte| good(**byte)).count();
        match self {
            Self::Prefixed => Some(run(|byte| is_word(byte) || b".~+/=".contains(&byte))).filter(|len| *len >= FOLLOWING),
            Self::Jwt => {
                let len = run(|byte| is_word(byte) || byte == b'.');
                let parts: Vec<usize> = rest[..len].split(|byte| *byte == b'.').map(<[u8]>::len).collect();
                (parts.len() >= 3 && parts[0] >= 10 && parts[1] >= 2).then_some(len)
            }
            Self::AwsKeyId => Some(run(is_word))
                .filter(|len| *len == 16 && rest[..16].iter().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())),
        }
    }
}

/// Not derived: an automaton's is long.
impl std::fmt::Debug for Shapes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shapes({} prefixes)", self.prefixes)
    }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(text: &str) -> String {
        String::from_utf8(Shapes::new(&["gho_", "ya29."]).redact(text.as_bytes())).unwrap()
    }

    #[test]
    fn what_looks_like_a_token_is_replaced() {
        for (text, wanted) in [
            ("{\"token\":\"gho_16C7e42F292c6912E7710c838347Ae178B4a\"}", "{\"token\":\"[token]\"}"),
            ("Bearer ya29.a0AfH6SMB_x-y.z1234567890, next", "Bearer [token], next"),
            ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl", "[token]"),
            ("a=AKIAIOSFODNN7EXAMPLE&b=ASIAIOSFODNN7EXAMPLE", "a=[token]&b=[token]"),
        ] {
            assert_eq!(redacted(text), wanted);
        }
    }

    #[test]
    fn what_only_begins_like_a_token_stays() {
        for text in [
            "gho_short",
            "xgho_16C7e42F292c6912E7710c838347Ae178B4a",
            "eyJ is no token",
            "eyJhbGciOiJFZERTQSJ9",
            "AKIAIOSFODNN7EXAMPLE0",
            "AKIA",
        ] {
            assert_eq!(redacted(text), text);
        }
    }
}
