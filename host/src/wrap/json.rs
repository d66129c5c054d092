//! Reads JSON (RFC 8259) without building anything: what stands where in the text, so that a value can be put in or taken
//! out and every other byte stays as it was.

use std::borrow::Cow;
use std::ops::Range;

/// What stands at a place of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// `{`
    OpenObject,
    /// `}`
    CloseObject,
    /// `[`
    OpenArray,
    /// `]`
    CloseArray,
    /// The name of a member, without its quotation marks.
    Key(Range<usize>),
    /// A string, without its quotation marks.
    Text(Range<usize>),
    /// A number, `true`, `false` or `null`.
    Other(Range<usize>),
}

/// The text is no JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrClose,
    Key,
    KeyOrClose,
    CommaOrClose,
    Nothing,
}

/// Walks over one JSON text. Nesting costs a byte a level and no stack.
pub(super) fn walk(text: &str, mut each: impl FnMut(Piece)) -> Result<(), Broken> {
    let bytes = text.as_bytes();
    let mut open: Vec<u8> = Vec::new();
    let (mut at, mut next) = (0, Next::Value);
    loop {
        while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            at += 1;
        }
        let Some(&byte) = bytes.get(at) else {
            return if next == Next::Nothing { Ok(()) } else { Err(Broken) };
        };
        let after_value = if open.is_empty() { Next::Nothing } else { Next::CommaOrClose };
        match (byte, next) {
            (b'{', Next::Value | Next::ValueOrClose) => {
                open.push(b'}');
                each(Piece::OpenObject);
                (at, next) = (at + 1, Next::KeyOrClose);
            }
            (b'[', Next::Value | Next::ValueOrClose) => {
                open.push(b']');
                each(Piece::OpenArray);
                (at, next) = (at + 1, Next::ValueOrClose);
            }
            (b'}' | b']', Next::CommaOrClose) | (b'}', Next::KeyOrClose) | (b']', Next::ValueOrClose) => {
                if open.pop() != Some(byte) {
                    return Err(Broken);
                }
                each(if byte == b'}' { Piece::CloseObject } else { Piece::CloseArray });
                (at, next) = (at + 1, if open.is_empty() { Next::Nothing } else { Next::CommaOrClose });
            }
            (b',', Next::CommaOrClose) => {
                (at, next) = (at + 1, if open.last() == Some(&b'}') { Next::Key } else { Next::Value });
            }
            (b'"', Next::Key | Next::KeyOrClose) => {
                let end = string(bytes, at + 1)?;
                each(Piece::Key(at + 1..end));
                at = end + 1;
                while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
                    at += 1;
                }
                if bytes.get(at) != Some(&b':') {
                    return Err(Broken);
                }
                (at, next) = (at + 1, Next::Value);
            }
            (b'"', Next::Value | Next::ValueOrClose) => {
                let end = string(bytes, at + 1)?;
                each(Piece::Text(at + 1..end));
                (at, next) = (end + 1, after_value);
            }
            (_, Next::Value | Next::ValueOrClose) => {
                let end = word(bytes, at)?;
                each(Piece::Other(at..end));
                (at, next) = (end, after_value);
            }
            _ => return Err(Broken),
        }
    }
}

/// Where the string that begins here ends: at its closing quotation mark.
fn string(bytes: &[u8], mut at: usize) -> Result<usize, Broken> {
    loop {
        match *bytes.get(at).ok_or(Broken)? {
            b'"' => return Ok(at),
            b'\\' => match *bytes.get(at + 1).ok_or(Broken)? {
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                b'u' if bytes.get(at + 2..at + 6).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) => at += 6,
                _ => return Err(Broken),
            },
            0..0x20 => return Err(Broken),
            _ => at += 1,
        }
    }
}

/// Where the number or word that begins here ends.
fn word(bytes: &[u8], at: usize) -> Result<usize, Broken> {
    let rest = bytes.get(at..).unwrap_or_default();
    for word in [&b"true"[..], b"false", b"null"] {
        if rest.starts_with(word) {
            return Ok(at + word.len());
        }
    }
    let digits = |from: usize| rest.get(from..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = usize::from(rest.first() == Some(&b'-'));
    let whole = digits(end);
    if whole == 0 || whole > 1 && rest.get(end) == Some(&b'0') {
        return Err(Broken);
    }
    end += whole;
    if rest.get(end) == Some(&b'.') {
        let part = digits(end + 1);
        if part == 0 {
            return Err(Broken);
        }
        end += 1 + part;
    }
    if matches!(rest.get(end), Some(b'e' | b'E')) {
        end += 1 + usize::from(matches!(rest.get(end + 1), Some(b'+' | b'-')));
        let exponent = digits(end);
        if exponent == 0 {
            return Err(Broken);
        }
        end += exponent;
    }
    Ok(at + end)
}

/// What a string says, its escapes resolved. Half a surrogate pair stands for U+FFFD.
pub(super) fn decode(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let mut out = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let (character, length) = match rest.as_bytes().first() {
            Some(b'u') => unicode(rest),
            Some(b'b') => ('\u{8}', 1),
            Some(b'f') => ('\u{c}', 1),
            Some(b'n') => ('\n', 1),
            Some(b'r') => ('\r', 1),
            Some(b't') => ('\t', 1),
            Some(byte) => (char::from(*byte), 1),
            None => break,
        };
        out.push(character);
        rest = rest.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The character of `uXXXX`, or of two of them, and how long that is.
fn unicode(rest: &str) -> (char, usize) {
    let unit = |at: usize| rest.get(at..at + 4).and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let first = unit(1).unwrap_or(0xfffd);
    if (0xd800..0xdc00).contains(&first)
        && rest.get(5..7) == Some("\\u")
        && let Some(second) = unit(7).filter(|second| (0xdc00..0xe000).contains(second))
        && let Some(character) = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    {
        return (character, 11);
    }
    (char::from_u32(first).unwrap_or('\u{fffd}'), 5)
}

/// A text as it stands between the quotation marks of a JSON string.
pub(super) fn encode(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len() - 1).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Result<Vec<Piece>, Broken> {
        let mut pieces = Vec::new();
        walk(text, |piece| pieces.push(piece)).map(|()| pieces)
    }

    #[test]
    fn everything_is_found_where_it_stands() {
        let text = r#" {"a" : [1, "x\"y", {}], "b":-0.5e+3} "#;
        let found = pieces(text).unwrap();
        let shown: Vec<String> = found
            .iter()
            .map(|piece| match piece {
                Piece::Key(span) | Piece::Text(span) | Piece::Other(span) => text[span.clone()].to_owned(),
                other => format!("{other:?}"),
            })
            .collect();
        let expected = [
            "OpenObject",
            "a",
            "OpenArray",
            "1",
            r#"x\"y"#,
            "OpenObject",
            "CloseObject",
            "CloseArray",
            "b",
            "-0.5e+3",
            "CloseObject",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn it_takes_and_refuses_what_serde_json_does() {
        for text in [
            "",
            " ",
            "{",
            "}",
            "{}",
            "[]",
            "[1,]",
            "[,1]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "[1 2]",
            "01",
            "-",
            "-1",
            "1.",
            ".5",
            "1e",
            "1e+",
            "1E5",
            "0.0",
            "-0",
            "true",
            "tru",
            "truex",
            "nulls",
            "\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u1234\"",
            "\"\t\"",
            "\"ä\"",
            "[[[[]]]]",
            "[[]",
            "[}",
            "{\"a\":1}{",
            "1 1",
            "NaN",
            "[1]]",
            "{\"a\":1 \"b\":2}",
            "[\"a\":1]",
            "{\"a\":{\"b\":[true,false,null,\"\\\\\"]}}",
        ] {
            let expected = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(pieces(text).is_ok(), expected, "{text:?}");
        }
        let deep = format!("{}{}", "[".repeat(1 << 20), "]".repeat(1 << 20));
        assert!(pieces(&deep).is_ok(), "depth is no matter of the stack");
    }

    #[test]
    fn escapes_are_resolved_as_serde_json_does() {
        for raw in [r"secr\u0065t:x", r"\u00e4\n\t\/\\\b\f\r", r"\ud83d\ude00!", "plain", r#"\""#, r"a\u0000b"] {
            let expected: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            assert_eq!(decode(raw), expected, "{raw}");
            assert_eq!(decode(&encode(&expected)), expected);
        }
        assert_eq!(decode(r"\ud83dx\ude00"), "\u{fffd}x\u{fffd}");
        assert_eq!(decode(r"\ud83d\ud83d\ude00"), "\u{fffd}\u{1f600}");
    }
}
