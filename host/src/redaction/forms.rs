//! One value in every encoding in which programs write text down.
//!
//! Long forms are cut into pieces: the search compares no more than [`PIECE`] bytes at any place of the text, and a
//! stream holds no more than that back. All pieces of a form stand side by side in a text that holds the form.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::MIN;
use crate::secret::{Secret, SecretName};

/// The longest piece, in bytes.
pub(super) const PIECE: usize = 512;
/// What all encoded forms together may take, in bytes. The values themselves are searched for in any case; shorter ones
/// get their encodings first, so that nobody can crowd a token out with large values.
const BUDGET: usize = 128 << 20;
/// What a piece takes beside its bytes.
const OVERHEAD: usize = 64;

/// A text to search for, and the number of the secret that it betrays.
pub(super) struct Form {
    pub(super) text: Zeroizing<Box<[u8]>>,
    pub(super) owner: u32,
}

/// Every form of every value, in pieces.
pub(super) fn all(secrets: &[(&SecretName, &Secret)]) -> Vec<Form> {
    let mut order: Vec<u32> = (0..).take(secrets.len()).collect();
    order.sort_by_key(|&owner| secrets[owner as usize].1.len());
    let (mut pieces, mut spent) = (Vec::new(), 0);
    for owner in order {
        let value = secrets[owner as usize].1.expose();
        for (number, form) in forms(value, spent < BUDGET).into_iter().enumerate() {
            let before = pieces.len();
            cut(form.as_bytes(), |piece| pieces.push(Form { text: Zeroizing::new(Box::from(piece)), owner }));
            spent += if number > 0 { form.len() + (pieces.len() - before) * OVERHEAD } else { 0 };
        }
    }
    pieces
}

/// The last piece overlaps the one before it, so that none is short enough to be found by accident.
fn cut(form: &[u8], mut take: impl FnMut(&[u8])) {
    if form.len() < MIN {
        return;
    }
    if form.len() <= PIECE {
        return take(form);
    }
    form.chunks_exact(PIECE).for_each(&mut take);
    take(&form[form.len() - PIECE..]);
}

fn forms(value: &str, encoded: bool) -> Vec<Zeroizing<String>> {
    let mut all = Forms(vec![Zeroizing::new(value.to_owned())]);
    // a stored file's last line break is rarely sent
    let trimmed = if value.trim().len() < MIN { value } else { value.trim() };
    all.add(trimmed.to_owned());
    if encoded {
        all.percent(trimmed);
        all.json(trimmed);
        for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
            all.add(each(trimmed, |byte, out| out.extend(hex(byte, digits))));
        }
        // Basic authentication form-encodes before it goes to base64 (RFC 6749 section 2.3.1), or does not.
        all.base64(trimmed);
        let form_encoded = Zeroizing::new(form_urlencoded::byte_serialize(trimmed.as_bytes()).collect::<String>());
        if form_encoded.as_str() != trimmed {
            all.base64(&form_encoded);
        }
    }
    all.0
}

struct Forms(Vec<Zeroizing<String>>);

impl Forms {
    fn add(&mut self, form: String) {
        let form = Zeroizing::new(form);
        if !self.0.contains(&form) {
            self.0.push(form);
        }
    }

    /// What encoders leave as it is differs: RFC 3986, `encodeURIComponent`, Python's `quote`, whole URLs, HTML forms; and
    /// some leave nothing.
    fn percent(&mut self, value: &str) {
        for digits in [b"0123456789ABCDEF", b"0123456789abcdef"] {
            let mut encoded = |kept: Option<&[u8]>, space: &[char]| {
                self.add(each(value, |byte, out| match byte {
                    b' ' if !space.is_empty() => out.extend(space),
                    byte if kept.is_some_and(|kept| byte.is_ascii_alphanumeric() || kept.contains(&byte)) => {
                        out.push(char::from(byte));
                    }
                    byte => {
                        out.push('%');
                        out.extend(hex(byte, digits));
                    }
                }));
            };
            if !value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)) {
                for kept in [&b"-._~"[..], b"-_.!~*'()", b"-._~/", b"-._~:/?#[]@!$&'()*+,;="] {
                    encoded(Some(kept), &[]);
                }
                encoded(Some(b"*-._"), &['+']);
            }
            encoded(None, &[]);
        }
    }

    /// As JSON writers escape: what they must; also slashes; also what HTML or a list of their own forbids, and what is not
    /// ASCII; and once more where JSON stands in a text of JSON.
    fn json(&mut self, value: &str) {
        if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)) {
            return;
        }
        let once = escaped(value);
        self.add(once.as_str().to_owned());
        self.add(escaped(&once).as_str().to_owned());
        self.add(once.replace('/', "\\/"));
        for (forbidden, digits) in [
            ("", b"0123456789abcdef"),
            ("<>&", b"0123456789abcdef"),
            ("<>&='", b"0123456789abcdef"),
            ("<>&'+`\"", b"0123456789ABCDEF"),
        ] {
            let mut out = String::with_capacity(6 * value.len());
            for character in value.chars() {
                if character.is_ascii() && !forbidden.contains(character) {
                    out.push_str(&escaped(character.encode_utf8(&mut [0; 4])));
                } else {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        out.push_str("\\u");
                        unit.to_be_bytes().iter().for_each(|byte| out.extend(hex(*byte, digits)));
                    }
                }
            }
            self.add(out);
        }
    }

    /// Base64 of any text that holds the value: which of three alignments it has is not known, and the first and last
    /// characters depend on the neighbours, so they are left out.
    fn base64(&mut self, value: &str) {
        for skip in 0..3 {
            let padded = Zeroizing::new([&b"\0\0"[..skip], value.as_bytes()].concat());
            let encoded = Zeroizing::new(BASE64_STANDARD_NO_PAD.encode(padded.as_slice()));
            if let Some(inner) = encoded.get((skip * 8).div_ceil(6)..padded.len() * 8 / 6) {
                if inner.contains(['+', '/']) {
                    self.add(inner.replace('+', "-").replace('/', "_"));
                }
                self.add(inner.to_owned());
            }
        }
    }
}

fn each(value: &str, write: impl Fn(u8, &mut String)) -> String {
    // room for the longest, so that no half-written copy stays behind in the heap
    let mut out = String::with_capacity(3 * value.len());
    value.bytes().for_each(|byte| write(byte, &mut out));
    out
}

fn hex(byte: u8, digits: &[u8; 16]) -> [char; 2] {
    [char::from(digits[usize::from(byte >> 4)]), char::from(digits[usize::from(byte & 15)])]
}

fn escaped(text: &str) -> Zeroizing<String> {
    let quoted = Zeroizing::new(serde_json::Value::from(text).to_string());
    Zeroizing::new(quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned())
}
