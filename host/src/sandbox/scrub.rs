//! Keeps secrets out of what a component may read, when a server sends them back.
//!
//! A readable text that contains a secret of the call, as it is or in a usual encoding, is hidden as a whole. This is
//! the second line: the first is that strings in answers are handles unless the table says otherwise. Values shorter
//! than eight characters are not searched for.
//!
//! A server decides how many secrets there are and how long the texts: so every form is found by a hash of its
//! beginning, in one pass, and a text that takes too much looking at is hidden without. No form is shorter than its
//! secret: so a secret's forms are made when a text as long as it is looked at, which for most secrets of a call is never.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The shortest value that is searched for, and how much of a form's beginning is hashed.
const MIN: usize = 8;
/// How many forms with the same beginning are compared for each byte of a text, on average.
const COMPARED: usize = 32;
/// How many secrets are searched for; with more of them, every text is hidden.
const SECRETS: usize = 10_000;

/// The secrets of one call, in every form that is searched for.
#[derive(Default)]
pub(super) struct Scrubber {
    /// Secrets by their length, of which no text was looked at yet that could hold one.
    waiting: BTreeMap<usize, Vec<Secret>>,
    /// Forms by the hash of their beginning.
    forms: HashMap<u64, Vec<Zeroizing<String>>>,
    /// Hashes of the secrets: each has its forms made once.
    secrets: HashSet<u64>,
    /// Hashes of all forms: each is kept once.
    known: HashSet<u64>,
    hashing: RandomState,
}

impl Scrubber {
    pub(super) fn add(&mut self, secret: Secret) {
        if secret.len() >= MIN && self.secrets.len() <= SECRETS && self.secrets.insert(self.hashing.hash_one(secret.expose())) {
            self.waiting.entry(secret.len()).or_default().push(secret);
        }
    }

    /// Makes every form of the secrets, so that how long a text is looked at does not tell how long they are.
    pub(super) fn make_all_forms(&mut self) {
        self.make_forms(usize::MAX);
    }

    /// Makes every form of the secrets that are no longer than that.
    fn make_forms(&mut self, length: usize) {
        if self.secrets.len() > SECRETS {
            return;
        }
        while let Some(shortest) = self.waiting.first_entry().filter(|shortest| *shortest.key() <= length) {
            shortest.remove().iter().for_each(|secret| self.add_forms(secret.expose()));
        }
    }

    fn add_forms(&mut self, text: &str) {
        self.add_form(text.to_owned());
        // as it stands in a query, and in a JSON text
        if text.contains(' ') {
            self.add_form(put_together(text.len(), text.chars().map(|c| if c == ' ' { '+' } else { c })));
        }
        let mut json = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
        let written = serde_json::to_writer(&mut *json, text).is_ok();
        let inner = json.get(1..json.len().saturating_sub(1)).and_then(|inner| std::str::from_utf8(inner).ok());
        if let Some(inner) = inner.filter(|inner| written && *inner != text) {
            self.add_form(inner.to_owned());
        }
        const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
        let digits = text.bytes().flat_map(|byte| [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        self.add_form(put_together(2 * text.len(), digits));
        self.add_base64(text);
        // Basic authentication form-encodes before it goes to base64 (RFC 6749 section 2.3.1), but for `basic-raw`.
        let encoded = form_urlencoded::byte_serialize(text.as_bytes()).flat_map(str::chars);
        let encoded = Zeroizing::new(put_together(3 * text.len(), encoded));
        if *encoded != text {
            self.add_base64(&encoded);
        }
    }

    /// Base64 of a text that holds this one: which of three alignments it has is not known, and the first and last characters
    /// depend on the neighbours.
    fn add_base64(&mut self, text: &str) {
        for skip in 0..3 {
            let padded = Zeroizing::new([&b"\0\0"[..skip], text.as_bytes()].concat());
            let encoded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(padded.as_slice()));
            let (start, end) = ((skip * 8).div_ceil(6), padded.len() * 8 / 6);
            let Some(inner) = encoded.get(start..end) else { continue };
            self.add_form(inner.to_owned());
            // the alphabet of RFC 4648 section 5 differs in two characters
            if inner.contains(['+', '/']) {
                let swapped = |c| match c {
                    '+' => '-',
                    '/' => '_',
                    other => other,
                };
                self.add_form(put_together(inner.len(), inner.chars().map(swapped)));
            }
        }
    }

    fn add_form(&mut self, form: String) {
        let form = Zeroizing::new(form);
        let Some(beginning) = form.as_bytes().first_chunk::<MIN>() else { return };
        if self.known.insert(self.hashing.hash_one(form.as_bytes())) {
            self.forms.entry(self.hashing.hash_one(beginning)).or_default().push(form);
        }
    }

    /// Whether the text contains one of the secrets, or takes too long to tell.
    pub(super) fn finds(&mut self, text: &str) -> bool {
        if text.len() < MIN {
            return false;
        }
        if self.secrets.len() > SECRETS {
            return true;
        }
        self.make_forms(text.len());
        if self.forms.is_empty() {
            return false;
        }
        // percent-encoding can be had of any character, in either case
        let decoded = match percent_decode_str(text).decode_utf8_lossy() {
            Cow::Owned(decoded) => Some(Zeroizing::new(decoded)),
            Cow::Borrowed(_) => None,
        };
        let hexadecimal = text.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| Zeroizing::new(text.to_ascii_lowercase()));
        self.stands_in(text) || [decoded, hexadecimal].iter().flatten().any(|text| self.stands_in(text))
    }

    fn stands_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut left = COMPARED * text.len();
        for (at, beginning) in text.windows(MIN).enumerate() {
            let Some(candidates) =
                <&[u8; MIN]>::try_from(beginning).ok().and_then(|it| self.forms.get(&self.hashing.hash_one(it)))
            else {
                continue;
            };
            let rest = text.get(at..).unwrap_or_default();
            if candidates.len() > left || candidates.iter().any(|form| rest.starts_with(form.as_bytes())) {
                return true;
            }
            left -= candidates.len();
        }
        false
    }
}

/// A text of at most that many bytes. One that grows by itself leaves what it was in the heap.
fn put_together(most: usize, characters: impl Iterator<Item = char>) -> String {
    let mut text = String::with_capacity(most);
    characters.for_each(|character| text.push(character));
    text
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_URL_SAFE_NO_PAD;

    use super::*;

    #[test]
    fn a_secret_is_found_in_its_usual_forms() {
        let mut scrubber = Scrubber::default();
        scrubber.add(Secret::from("gho_16C7e42F/292c69"));
        for form in [
            "your token gho_16C7e42F/292c69 is bad".to_owned(),
            "gho%5F16C7e42F%2F292c69".to_owned(),
            "gho_16C7e42F%2F292c69".to_owned(),
            BASE64_STANDARD_NO_PAD.encode("gho_16C7e42F/292c69"),
            BASE64_STANDARD_NO_PAD.encode("x:gho_16C7e42F/292c69 and more"),
            BASE64_URL_SAFE_NO_PAD.encode("id:gho_16C7e42F/292c69"),
            BASE64_STANDARD_NO_PAD.encode("my+id:gho_16C7e42F%2F292c69"),
            "67686F5F31364337653432462F323932633639".to_owned(),
            "g%68%6F_%31%36C7e42F%2f292c69".to_owned(),
        ] {
            assert!(scrubber.finds(&form), "{form}");
        }
        assert!(!scrubber.finds("The code has expired."));
    }

    #[test]
    fn a_text_that_takes_too_long_to_look_at_is_hidden() {
        let mut scrubber = Scrubber::default();
        (0..1000).for_each(|number| scrubber.add(Secret::new(format!("aaaaaaaaaaaa{number}"))));
        assert!(scrubber.finds(&"a".repeat(100_000)));
        assert!(!scrubber.finds(&"b".repeat(100_000)) && !scrubber.finds("aaaaaaa"));
    }

    #[test]
    fn a_secret_that_is_a_form_of_another_is_found_in_its_own_forms() {
        let hex = "6f7468657220736563726574";
        for secrets in [["other secret", hex], [hex, "other secret"]] {
            let mut scrubber = Scrubber::default();
            secrets.into_iter().for_each(|secret| scrubber.add(Secret::from(secret)));
            assert!(scrubber.finds(&BASE64_STANDARD_NO_PAD.encode(format!("id:{hex}"))));
        }
    }

    #[test]
    fn with_too_many_secrets_everything_is_hidden() {
        let mut scrubber = Scrubber::default();
        (0..SECRETS).for_each(|number| scrubber.add(Secret::new(format!("secret-{number}"))));
        scrubber.add(Secret::from("secret-1"));
        assert!(!scrubber.finds("harmless"));
        (SECRETS..SECRETS + 10).for_each(|number| scrubber.add(Secret::new(format!("secret-{number}"))));
        assert!(scrubber.finds("harmless") && !scrubber.finds("bearer"));
    }

    #[test]
    fn no_form_is_shorter_than_its_secret() {
        for length in MIN..100 {
            for text in ["a", "/", "~\u{7f}", "é", "\n\"", " "].map(|part| part.repeat(length.div_ceil(part.len()))) {
                let mut scrubber = Scrubber::default();
                scrubber.add_forms(&text);
                let forms: Vec<_> = scrubber.forms.values().flatten().collect();
                assert!(forms.len() >= 5 && forms.iter().all(|form| form.len() >= text.len()), "{text:?}");
            }
        }
    }

    #[test]
    fn a_secret_is_found_whatever_was_looked_at_before() {
        let mut scrubber = Scrubber::default();
        for secret in ["s3cr3t-8", "s3cr3t-of-more", "s3cr3t-8", "s3cr3t-of-many-characters"] {
            scrubber.add(Secret::from(secret));
            assert!(!scrubber.finds("a-text-of-some-length") && !scrubber.finds("s3cr3t-"));
            assert!(scrubber.finds(secret), "{secret}");
        }
        assert!(scrubber.finds("s3cr3t-8") && scrubber.finds("<s3cr3t-of-more>"));
    }
}
