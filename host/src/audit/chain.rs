//! Lines that prove themselves and their place.
//!
//! Each line has a number, the code of the line before it, what is said, and its own code: HMAC-SHA256 over all of the
//! line before that code. So whoever lacks the key can neither write a line nor alter one; and since a line names the
//! one it follows, none can be taken out, put elsewhere or put in without a gap at that very place. That each line can be
//! judged by itself is what lets [`super::verify()`] say *which* one was touched.

use ring::hmac;
use serde::{Deserialize, Serialize};

/// The key of a chain.
pub(super) struct Key(hmac::Key);

impl Key {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    fn code(&self, text: &str) -> Code {
        let mut code = [0; 32];
        code.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        Code(code)
    }

    fn proves(&self, text: &str, code: &Code) -> bool {
        hmac::verify(&self.0, text.as_bytes(), &code.0).is_ok()
    }
}

/// A message authentication code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Code([u8; 32]);

const HEX: usize = 64;

impl From<Code> for String {
    fn from(code: Code) -> Self {
        let mut text = Self::with_capacity(HEX);
        code.write(&mut text);
        text
    }
}

impl TryFrom<String> for Code {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::read(&text).ok_or("no code of 64 hexadecimal digits")
    }
}

impl Code {
    /// Digit by digit: each line has two of them, and formatting them was a third of what a line took.
    fn write(&self, text: &mut String) {
        for byte in self.0 {
            text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        }
    }

    fn read(text: &str) -> Option<Self> {
        // Lower case only: one way to write it.
        let sound = text.len() == HEX && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut code = [0; 32];
        for (byte, at) in code.iter_mut().zip((0..HEX).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2).filter(|_| sound)?, 16).ok()?;
        }
        Some(Self(code))
    }
}

/// A place in the chain: a line's number and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) number: u64,
    pub(super) code: Code,
}

impl Link {
    /// Before the first line.
    pub(super) const START: Self = Self { number: 0, code: Code([0; 32]) };
}

const NUMBER: &str = "{\"n\":";
const PREVIOUS: &str = ",\"prev\":\"";
const CODE: &str = ",\"mac\":\"";
const END: &str = "\"}";

/// Makes an entry, which is a JSON object that is not empty, the line after `last`; without its line break.
pub(super) fn seal(key: &Key, last: &Link, entry: &str) -> (String, Link) {
    let number = last.number + 1;
    let members = entry.strip_prefix('{').and_then(|entry| entry.strip_suffix('}')).unwrap_or_default();
    let mut line = String::with_capacity(entry.len() + 2 * HEX + 64);
    line.push_str(&format!("{NUMBER}{number}{PREVIOUS}"));
    last.code.write(&mut line);
    line.push_str("\",");
    line.push_str(members);
    let code = key.code(&line);
    line.push_str(CODE);
    code.write(&mut line);
    line.push_str(END);
    (line, Link { number, code })
}

/// A line as it stands in a file; nothing is proven yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Everything before the code.
    body: &'a str,
    /// The code of the line before it.
    pub(super) previous: Code,
    /// Its own place.
    pub(super) link: Link,
}

impl<'a> Line<'a> {
    /// Takes a line apart. `None`: it has another form.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let (body, code) = text.strip_suffix(END)?.rsplit_once(CODE)?;
        let (number, rest) = body.strip_prefix(NUMBER)?.split_once(PREVIOUS)?;
        let sound = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse().ok().filter(|_| sound)?;
        let previous = Code::read(rest.get(..HEX).filter(|_| rest[HEX..].starts_with("\","))?)?;
        Some(Self { body, previous, link: Link { number, code: Code::read(code)? } })
    }

    /// Whether the holder of the key wrote it.
    pub(super) fn is_genuine(&self, key: &Key) -> bool {
        key.proves(self.body, &self.link.code)
    }

    /// Whether it stands right after `last`.
    pub(super) fn follows(&self, last: &Link) -> bool {
        self.link.number == last.number + 1 && self.previous == last.code
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_proves_itself_and_its_place() {
        let key = Key::new(&[7; 32]);
        let (first, after_first) = seal(&key, &Link::START, r#"{"event":"a"}"#);
        let (second, after_second) = seal(&key, &after_first, r#"{"event":"b\",\"mac\":\""}"#);
        let read = Line::read(&second).unwrap();
        assert!(read.is_genuine(&key) && read.follows(&after_first) && read.link == after_second);
        assert!(!read.follows(&Link::START) && !read.follows(&after_second));
        let value: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!((&value["n"], &value["event"]), (&1.into(), &"a".into()));
        assert!(!Line::read(&second).unwrap().is_genuine(&Key::new(&[8; 32])));
    }

    #[test]
    fn no_character_of_a_line_can_be_changed() {
        let key = Key::new(&[7; 32]);
        let (line, _) = seal(&key, &Link::START, r#"{"event":"get_secret","secret":"a"}"#);
        for at in 0..line.len() {
            let mut changed = line.clone().into_bytes();
            changed[at] ^= 1;
            let changed = String::from_utf8(changed).unwrap();
            assert!(Line::read(&changed).is_none_or(|line| !line.is_genuine(&key)), "{changed}");
        }
    }

    #[test]
    fn what_has_another_form_is_no_line() {
        let key = Key::new(&[7; 32]);
        let (line, _) = seal(&key, &Link::START, r#"{"event":"a"}"#);
        for text in ["", "{}", "\u{e9}", &line[1..], &line[..line.len() - 1], &line.replace("\"n\":1", "\"n\":01")] {
            assert!(Line::read(text).is_none(), "{text}");
        }
        assert!(Line::read(&line.replace("0000000000", "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}")).is_none());
    }
}
