//! Keeps secrets out of what a component may read, when a server sends them back.
//!
//! A readable text that contains a secret of the call, as it is or in a usual encoding, is hidden as a whole. This is
//! the second line: the first is that strings in answers are handles unless the table says otherwise. Values shorter
//! than eight characters are not searched for.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The shortest value that is searched for.
const MIN: usize = 8;

/// The most secrets of one call. Nothing interrupts the search, so whoever answers must not decide how long it takes.
const MAX_SECRETS: usize = 256;

/// The secrets of one call, in every form that is searched for.
#[derive(Default)]
pub(super) struct Scrubber {
    secrets: usize,
    forms: Vec<Zeroizing<String>>,
    /// Hexadecimal, which is written in either case.
    hex: Vec<Zeroizing<String>>,
}

impl Scrubber {
    /// Takes a secret in. What the broker lends comes first and is few; later ones were learnt from the answer already.
    pub(super) fn add(&mut self, secret: &Secret) {
        let _ = self.add_text(secret.expose());
    }

    /// Takes a text in; false where there is no room for more.
    #[must_use]
    pub(super) fn add_text(&mut self, text: &str) -> bool {
        if text.len() < MIN || self.forms.iter().any(|form| form.as_str() == text) {
            return true;
        }
        if self.secrets == MAX_SECRETS {
            return false;
        }
        self.secrets += 1;
        self.hex.push(Zeroizing::new(text.bytes().fold(String::with_capacity(2 * text.len()), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })));
        let mut add = |form: String| {
            let form = Zeroizing::new(form);
            if !self.forms.contains(&form) {
                self.forms.push(form);
            }
        };
        add(text.to_owned());
        add(utf8_percent_encode(text, NON_ALPHANUMERIC).to_string());
        add(form_urlencoded::byte_serialize(text.as_bytes()).collect());
        // Basic authentication form-encodes before it goes to base64 (RFC 6749 section 2.3.1), but for `basic-raw`.
        let encoded = Zeroizing::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>());
        for text in [text, encoded.as_str()] {
            for skip in 0..3 {
                // Base64 of a text that holds the secret: which of three alignments it has is not known, and the first
                // and last characters depend on the neighbours.
                let padded = Zeroizing::new([&b"\0\0"[..skip], text.as_bytes()].concat());
                for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
                    let encoded = Zeroizing::new(engine.encode(padded.as_slice()));
                    let start = (skip * 8).div_ceil(6);
                    let end = padded.len() * 8 / 6;
                    if let Some(inner) = encoded.get(start..end) {
                        add(inner.to_owned());
                    }
                }
            }
        }
        true
    }

    /// Whether the text contains one of the secrets.
    pub(super) fn finds(&self, text: &str) -> bool {
        text.len() >= MIN && (self.forms.iter().any(|form| text.contains(form.as_str())) || self.finds_hex(text))
    }

    fn finds_hex(&self, text: &str) -> bool {
        let lower = Zeroizing::new(text.to_ascii_lowercase());
        self.hex.iter().any(|form| lower.contains(form.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_found_in_its_usual_forms() {
        let mut scrubber = Scrubber::default();
        scrubber.add(&Secret::from("gho_16C7e42F/292c69"));
        for form in [
            "your token gho_16C7e42F/292c69 is bad".to_owned(),
            "gho%5F16C7e42F%2F292c69".to_owned(),
            "gho_16C7e42F%2F292c69".to_owned(),
            BASE64_STANDARD_NO_PAD.encode("gho_16C7e42F/292c69"),
            BASE64_STANDARD_NO_PAD.encode("x:gho_16C7e42F/292c69 and more"),
            BASE64_URL_SAFE_NO_PAD.encode("id:gho_16C7e42F/292c69"),
            BASE64_STANDARD_NO_PAD.encode("my+id:gho_16C7e42F%2F292c69"),
            "67686F5F31364337653432462F323932633639".to_owned(),
        ] {
            assert!(scrubber.finds(&form), "{form}");
        }
        assert!(!scrubber.finds("The code has expired."));
    }
}
