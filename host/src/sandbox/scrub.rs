//! Keeps secrets out of what a component may read, when a server sends them back.
//!
//! A readable text that contains a secret of the call, as it is or in a usual encoding, is hidden as a whole. This is
//! the second line: the first is that strings in answers are handles unless the table says otherwise. Values shorter
//! than eight characters are not searched for.
//!
//! A server decides how many secrets there are and how long the texts: so every form is found by a hash of its
//! beginning, in one pass, and a text that takes too much looking at is hidden without. No form is shorter than its
//! secret, and what is encoded has no spaces or dots: so a secret's forms are made when a text comes that could hold
//! them, which for most secrets of a call is never.

use std::borrow::Cow;
use std::collections::btree_map::OccupiedEntry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher as _, BuildHasherDefault, Hasher, RandomState};

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
    /// Secrets of which no text was looked at yet that is as long.
    waiting: ByLength,
    /// Secrets of which no text was looked at yet that could hold them encoded.
    waiting_encoded: ByLength,
    /// Forms by the hash of their beginning.
    forms: HashMap<u64, Vec<Zeroizing<String>>, AsItIs>,
    /// Hashes of the secrets: each has its forms made once.
    secrets: HashSet<u64, AsItIs>,
    /// Hashes of all forms: each is kept once.
    known: HashSet<u64, AsItIs>,
    hashing: RandomState,
}

/// For keys that are hashes already.
type AsItIs = BuildHasherDefault<Hash>;

#[derive(Default)]
struct Hash(u64);

impl Hasher for Hash {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Secrets by their length, and by a number that tells those of the same length apart.
type ByLength = BTreeMap<(usize, usize), Secret>;

/// Takes the shortest out, if it is no longer than that.
fn shortest(secrets: &mut ByLength, length: usize) -> Option<((usize, usize), Secret)> {
    secrets.first_entry().filter(|shortest| shortest.key().0 <= length).map(OccupiedEntry::remove_entry)
}

impl Scrubber {
    pub(super) fn add(&mut self, secret: Secret) {
        if secret.len() >= MIN && self.secrets.len() <= SECRETS && self.secrets.insert(self.hashing.hash_one(secret.expose())) {
            self.waiting.insert((secret.len(), self.secrets.len()), secret);
        }
    }

    /// Makes every form of the secrets, so that how long a text is looked at does not tell how long they are.
    pub(super) fn make_all_forms(&mut self) {
        self.make_forms(usize::MAX, || usize::MAX);
    }

    /// Makes the forms that a text of that length may hold, whose longest run of [`encoding`] characters is that long.
    fn make_forms(&mut self, length: usize, run: impl FnOnce() -> usize) {
        if self.secrets.len() > SECRETS {
            return;
        }
        while let Some((place, secret)) = shortest(&mut self.waiting, length) {
            self.add_readable(secret.expose());
            self.waiting_encoded.insert(place, secret);
        }
        if self.waiting_encoded.first_key_value().is_some_and(|(shortest, _)| shortest.0 <= length) {
            let run = run();
            while let Some((_, secret)) = shortest(&mut self.waiting_encoded, run) {
                self.add_encoded(secret.expose());
            }
        }
    }

    /// The secret as it is, as it stands in a query, and in a JSON text.
    fn add_readable(&mut self, text: &str) {
        self.add_form(text.to_owned());
        if text.contains(' ') {
            self.add_form(put_together(text.len(), text.chars().map(|c| if c == ' ' { '+' } else { c })));
        }
        if text.contains(|c: char| c.is_control() || matches!(c, '"' | '\\')) {
            let mut json = Zeroizing::new(Vec::with_capacity(6 * text.len() + 2));
            let written = serde_json::to_writer(&mut *json, text).is_ok();
            let inner = json.get(1..json.len().saturating_sub(1)).and_then(|inner| std::str::from_utf8(inner).ok());
            if let Some(inner) = inner.filter(|_| written) {
                self.add_form(inner.to_owned());
            }
        }
    }

    /// The secret in hexadecimal digits and in base64, which consist of [`encoding`] characters.
    fn add_encoded(&mut self, text: &str) {
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
        let Some(beginning) = form.as_bytes().first_chunk() else { return };
        if self.known.insert(self.hashing.hash_one(form.as_bytes())) {
            self.forms.entry(self.hash(beginning)).or_default().push(form);
        }
    }

    fn hash(&self, beginning: &[u8; MIN]) -> u64 {
        self.hashing.hash_one(u64::from_le_bytes(*beginning))
    }

    /// Whether the text contains one of the secrets, or takes too long to tell.
    pub(super) fn finds(&mut self, text: &str) -> bool {
        if text.len() < MIN {
            return false;
        }
        if self.secrets.len() > SECRETS {
            return true;
        }
        // percent-encoding can be had of any character, in either case
        let decoded = match percent_decode_str(text).decode_utf8_lossy() {
            Cow::Owned(decoded) => Some(Zeroizing::new(decoded)),
            Cow::Borrowed(_) => None,
        };
        self.make_forms(text.len(), || longest_run(text).max(decoded.as_ref().map_or(0, |text| longest_run(text))));
        if self.forms.is_empty() {
            return false;
        }
        let hexadecimal = text.bytes().any(|byte| byte.is_ascii_uppercase()).then(|| Zeroizing::new(text.to_ascii_lowercase()));
        self.stands_in(text) || [decoded, hexadecimal].iter().flatten().any(|text| self.stands_in(text))
    }

    fn stands_in(&self, text: &str) -> bool {
        let text = text.as_bytes();
        let mut left = COMPARED * text.len();
        for (at, beginning) in text.array_windows().enumerate() {
            let Some(candidates) = self.forms.get(&self.hash(beginning)) else { continue };
            let rest = text.get(at..).unwrap_or_default();
            if candidates.len() > left || candidates.iter().any(|form| rest.starts_with(form.as_bytes())) {
                return true;
            }
            left -= candidates.len();
        }
        false
    }
}

/// What hexadecimal digits and base64 in both its alphabets consist of.
const fn encoding(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}

fn longest_run(text: &str) -> usize {
    text.as_bytes().split(|byte| !encoding(*byte)).map(<[u8]>::len).max().unwrap_or_default()
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
    fn no_form_is_shorter_than_its_secret_and_encoded_ones_are_one_run() {
        for length in MIN..100 {
            for text in ["a", "/", "~\u{7f}", "é", "\n\"", " "].map(|part| part.repeat(length.div_ceil(part.len()))) {
                let forms_after = |add: fn(&mut Scrubber, &str)| {
                    let mut scrubber = Scrubber::default();
                    add(&mut scrubber, &text);
                    scrubber.forms.into_values().flatten().collect::<Vec<_>>()
                };
                let (readable, encoded) = (forms_after(Scrubber::add_readable), forms_after(Scrubber::add_encoded));
                assert!(!readable.is_empty() && encoded.len() >= 4, "{text:?}");
                assert!(readable.iter().all(|form| form.len() >= text.len()), "{text:?}");
                assert!(encoded.iter().all(|form| form.len() >= text.len() && longest_run(form) == form.len()), "{text:?}");
            }
        }
    }

    #[test]
    fn every_escape_of_json_makes_a_form() {
        for character in (0..=0x2100).filter_map(char::from_u32) {
            let text = format!("secret{character}text");
            let json = serde_json::to_string(&text).unwrap();
            let mut scrubber = Scrubber::default();
            scrubber.add(Secret::new(text));
            assert!(scrubber.finds(&json), "{json}");
        }
    }

    #[test]
    fn a_secret_is_found_whatever_was_looked_at_before() {
        let secrets = ["s3cr3t-8", "s3cr3t-of-more", "s3cr3t-8", "s3cr3t-of-many-characters", "two words"];
        let mut scrubber = Scrubber::default();
        for secret in secrets {
            scrubber.add(Secret::from(secret));
            assert!(
                !scrubber.finds("a-text-of-some-length") && !scrubber.finds("s3cr3t-") && !scrubber.finds("a b c d e f g h i j")
            );
            assert!(scrubber.finds(secret), "{secret}");
        }
        assert!(scrubber.finds("s3cr3t-8") && scrubber.finds("<s3cr3t-of-more>") && scrubber.finds("?two+words"));
        for secret in secrets {
            let encoded = BASE64_STANDARD_NO_PAD.encode(format!("x:{secret}."));
            assert!(scrubber.finds(&format!("a {encoded}")), "{secret}");
            // its only letters are those of percent-encoding
            assert!(scrubber.finds(&encoded.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>()), "{secret}");
        }
    }
}
