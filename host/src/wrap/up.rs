//! Takes every known value out of what the server says, so that it stays the message that it was.
//!
//! A value is looked for in the text as it stands, and in each string as it reads, since a server may write any character
//! as an escape. What is found is replaced inside its string; a number becomes a string. All other bytes stay.

use super::json::{Piece, decode, encode, walk};
use crate::redaction::Redactor;

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cleaned {
    /// Nothing was found: it goes up as it is.
    AsItIs,
    /// A value was taken out.
    Changed(Vec<u8>),
    /// A value stands across the borders of its parts: no message is left without it.
    Hidden,
}

/// Cleans a line that is JSON.
pub(super) fn clean(text: &str, redactor: &Redactor) -> Cleaned {
    if redactor.is_empty() {
        return Cleaned::AsItIs;
    }
    let seen = redactor.redact(text.as_bytes()) != text.as_bytes();
    if !seen && !text.contains('\\') {
        return Cleaned::AsItIs;
    }
    let mut patches = Vec::new();
    let walked = walk(text, |piece| match piece {
        Piece::Key(span) | Piece::Text(span) => {
            let raw = text.get(span.clone()).unwrap_or_default();
            if !seen && !raw.contains('\\') {
                return;
            }
            let said = decode(raw);
            let clean = redactor.redact(said.as_bytes());
            if clean != said.as_bytes() {
                patches.push((span, encode(&String::from_utf8_lossy(&clean))));
            }
        }
        Piece::Other(span) if seen => {
            let word = text.get(span.clone()).unwrap_or_default().as_bytes();
            let clean = redactor.redact(word);
            if clean != word {
                patches.push((span, format!("\"{}\"", encode(&String::from_utf8_lossy(&clean)))));
            }
        }
        _ => {}
    });
    if walked.is_err() {
        return Cleaned::Hidden;
    }
    if patches.is_empty() {
        return if seen { Cleaned::Hidden } else { Cleaned::AsItIs };
    }
    let mut out = Vec::with_capacity(text.len());
    let mut done = 0;
    for (span, instead) in patches {
        out.extend_from_slice(text.get(done..span.start).unwrap_or_default().as_bytes());
        out.extend_from_slice(instead.as_bytes());
        done = span.end;
    }
    out.extend_from_slice(text.get(done..).unwrap_or_default().as_bytes());
    if redactor.redact(&out) == out { Cleaned::Changed(out) } else { Cleaned::Hidden }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::{Secret, SecretName};

    fn cleaned(value: &str, text: &str) -> Cleaned {
        let (name, value) = (SecretName::parse("gh").unwrap(), Secret::from(value));
        clean(text, &Redactor::new([(&name, &value)]))
    }

    fn changed(value: &str, text: &str) -> String {
        match cleaned(value, text) {
            Cleaned::Changed(out) => String::from_utf8(out).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn what_has_no_value_in_it_stays_as_it_is() {
        let text = "{ \"a\" : 1.0e+2, \"b\\n\":[ \"ghp\" ]}";
        assert_eq!(cleaned("ghp_canary_1", text), Cleaned::AsItIs);
    }

    #[test]
    fn a_value_goes_and_every_other_byte_stays() {
        let text = r#"{ "id" : 1.0,"result":{"a":"x ghp_canary_1 y\u00e4","b" : null}}"#;
        assert_eq!(changed("ghp_canary_1", text), r#"{ "id" : 1.0,"result":{"a":"x [secret:gh] yä","b" : null}}"#);
    }

    #[test]
    fn a_value_is_found_behind_any_escape() {
        let escaped: String = "ghp_canary_1".chars().map(|c| format!("\\u{:04x}", c as u32)).collect();
        assert_eq!(changed("ghp_canary_1", &format!("{{\"{escaped}\":\"{escaped}\"}}")), r#"{"[secret:gh]":"[secret:gh]"}"#);
        let pem = "-----BEGIN KEY-----\nab\"c/d\\e\n-----END KEY-----\n";
        let once = serde_json::json!({ "k": pem }).to_string();
        let twice = serde_json::json!({ "text": once }).to_string();
        for text in [&once, &twice] {
            let out = changed(pem, text);
            assert!(!out.contains("BEGIN") && serde_json::from_str::<serde_json::Value>(&out).is_ok(), "{out}");
        }
    }

    #[test]
    fn the_message_stays_json_whatever_the_value_is() {
        assert_eq!(changed("12345678", r#"{"a":12345678,"b":[-12345678.5]}"#), r#"{"a":"[secret:gh]","b":["-[secret:gh].5"]}"#);
        assert_eq!(cleaned(r#"a","b":"c"#, r#"{"x":"a","b":"c"}"#), Cleaned::Hidden);
        let key = r#"{"type":"service_account","private_key":"k"}"#;
        assert_eq!(cleaned(key, &format!(r#"{{"result":{key}}}"#)), Cleaned::Hidden);
        let quoted = serde_json::json!({ "text": key }).to_string();
        assert_eq!(changed(key, &quoted), r#"{"text":"[secret:gh]"}"#);
    }
}
