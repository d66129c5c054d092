use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};

use super::*;

const TOKEN: &str = "gho_16C7e42F292c6912E7710c838347Ae178B4a";
/// Something of everything that encoders treat differently.
const AWKWARD: &str = "p\"ä/ss+wörd <&>='`\\ %~!\u{1f600}\n";

fn redactor(values: &[(&str, &str)]) -> Redactor {
    let secrets: Vec<_> = values.iter().map(|(name, value)| (SecretName::parse(name).unwrap(), Secret::from(*value))).collect();
    Redactor::new(secrets.iter().map(|(name, value)| (name, value)))
}

fn redacted(redactor: &Redactor, text: &str) -> String {
    String::from_utf8(redactor.redact(text.as_bytes())).unwrap()
}

/// A value as programs write it, each with how many characters of its neighbours' stay beside the replacement.
fn encodings(value: &str) -> Vec<(String, usize)> {
    let percent = |kept: &str, upper: bool| {
        value.bytes().fold(String::new(), |out, byte| match byte {
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => format!("{out}{}", char::from(byte)),
            byte if upper => format!("{out}%{byte:02X}"),
            byte => format!("{out}%{byte:02x}"),
        })
    };
    let quoted = serde_json::to_string(value).unwrap();
    let json = &quoted[1..quoted.len() - 1];
    let ascii_json = json.chars().fold(String::new(), |out, character| match character {
        character if character.is_ascii() => format!("{out}{character}"),
        character => character.encode_utf16(&mut [0; 2]).iter().fold(out, |out, unit| format!("{out}\\u{unit:04x}")),
    });
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let form: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let exact = [
        value.to_owned(),
        percent("-._~", true),
        percent("-._~", false),
        percent("-_.!~*'()", true),
        percent("-._~/", true),
        form.clone(),
        value.bytes().map(|byte| format!("%{byte:02x}")).collect(),
        json.to_owned(),
        json.replace('/', "\\/"),
        ascii_json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
        ascii_json,
        hex.to_uppercase(),
        hex,
    ];
    let framed = ["", "u", "u:", "client:"].into_iter().flat_map(|before| {
        let (text, around) = (format!("{before}{value}{}", &before[..before.len() / 2]), before.len() + before.len() / 2);
        let form = format!("{before}{form}");
        [&BASE64_STANDARD, &BASE64_STANDARD_NO_PAD, &BASE64_URL_SAFE, &BASE64_URL_SAFE_NO_PAD]
            .into_iter()
            .flat_map(move |engine| [engine.encode(&text), engine.encode(&form)].map(|encoded| (encoded, around * 4 / 3 + 6)))
    });
    exact.into_iter().map(|form| (form, 0)).chain(framed).collect()
}

#[test]
fn every_encoding_is_found_wherever_it_is_cut() {
    for value in [TOKEN, "8 bytes!", AWKWARD, "ends in a line break\n", &"long".repeat(300)] {
        let redactor = redactor(&[("t", value)]);
        // as it was stored, and as it is sent
        for (form, around) in encodings(value).into_iter().chain(encodings(value.trim())).collect::<BTreeMap<_, _>>() {
            let text = format!("before {form} after");
            let whole = redacted(&redactor, &text);
            assert!(
                whole.starts_with("before ") && whole.ends_with(" after") && whole.contains("[secret:t]"),
                "{form} gave {whole}"
            );
            // of base64 a few bits of the first and last byte may stay, and padding; of a value with white space that
            let around = around + 2 * (form.len() - form.trim_end_matches(['\n', '%', '0', 'A', 'a', 'n', '\\']).len());
            assert!(whole.len() <= "before [secret:t] after".len() + around, "{form} gave {whole}");
            let step = if text.len() > 400 { 67 } else { 1 };
            for first in (0..=text.len()).step_by(step) {
                let second = if first % 7 == 0 { (first + 5).min(text.len()) } else { text.len() };
                let mut stream = redactor.stream();
                let mut out = stream.push(&text.as_bytes()[..first]);
                out.extend(stream.push(&text.as_bytes()[first..second]));
                out.extend(stream.push(&text.as_bytes()[second..]));
                out.extend(stream.finish());
                assert_eq!(String::from_utf8_lossy(&out), whole, "cut at {first} and {second}");
            }
            let mut stream = redactor.stream();
            let mut out: Vec<u8> = text.bytes().flat_map(|byte| stream.push(&[byte])).collect();
            out.extend(stream.finish());
            assert_eq!(String::from_utf8_lossy(&out), whole, "byte by byte");
        }
    }
}

#[test]
fn secrets_that_overlap_leave_nothing_of_either() {
    let redactor = redactor(&[("a", "abcdefghij"), ("b", "fghijklmnop"), ("c", "abcdefghijkl")]);
    assert_eq!(redacted(&redactor, "-abcdefghijklmnop-"), "-[secret:c]-");
    assert_eq!(redacted(&redactor, "-abcdefghij-fghijklmnop-"), "-[secret:a]-[secret:b]-");
    assert_eq!(redacted(&redactor, "abcdefghijabcdefghijklmnop"), "[secret:a][secret:c]");
}

#[test]
fn the_longest_of_several_is_taken_and_a_shorter_one_where_it_breaks_off() {
    let redactor = redactor(&[("short", "token-12"), ("middle", "token-1234"), ("long", "token-123456")]);
    assert_eq!(
        redacted(&redactor, "token-123456 token-12345 token-1234 token-123 token-12"),
        "[secret:long] [secret:middle]5 [secret:middle] [secret:short]3 [secret:short]"
    );
    let mut stream = redactor.stream();
    let mut out = stream.push(b"token-1234");
    assert!(out.is_empty() && stream.held() == 10, "the longest may still come");
    out.extend(stream.push(b"5"));
    out.extend(stream.finish());
    assert_eq!(out, b"[secret:middle]5");
}

#[test]
fn a_piece_of_a_long_value_is_taken_out_too() {
    let long: String = (0..400).map(|number| format!("{number:05}.")).collect();
    let redactor = redactor(&[("key", &long)]);
    assert_eq!(redacted(&redactor, &format!("<{long}>")), "<[secret:key]>");
    let broken = redacted(&redactor, &format!("<{}>", &long[..1000]));
    assert!(broken.starts_with("<[secret:key]") && broken.len() < 530, "{broken}");
}

#[test]
fn innocent_text_stays_and_flows_through_at_once() {
    let redactor = redactor(&[("t", TOKEN), ("short", "1234567")]);
    let text = "The quick brown fox 1234567 gho_16C7e42F \u{0}\u{1f600} ya29.";
    assert_eq!(redacted(&redactor, text), text);
    let mut stream = redactor.stream();
    assert_eq!(stream.push(b"a line\n"), b"a line\n");
    assert_eq!(stream.push(b"a prompt ends in g"), b"a prompt ends in ");
    assert_eq!((stream.held(), stream.finish()), (1, b"g".to_vec()));
    assert!(Redactor::default().is_empty() && Redactor::default().redact(b"x") == b"x");
}

#[test]
fn what_is_held_back_is_bounded_whatever_the_secret() {
    let redactor = redactor(&[("big", &"a".repeat(1 << 20))]);
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    for _ in 0..1000 {
        out.extend(stream.push(&[b'a'; 100]));
        assert!(stream.held() < 512);
    }
    out.extend(stream.push(b"b"));
    assert_eq!(out, b"[secret:big]b");
}

#[test]
fn it_does_not_show_itself() {
    let redactor = redactor(&[("t", TOKEN)]);
    let mut stream = redactor.stream();
    stream.push(b"gho_");
    assert_eq!(format!("{redactor:?} {stream:?}"), "Redactor(1 secrets) Stream(4 bytes held back)");
}

#[test]
fn an_error_text_is_redacted_as_text() {
    assert_eq!(redactor(&[("t", TOKEN)]).redact_text(&format!("„{TOKEN}“ is wrong")), "„[secret:t]“ is wrong");
}

#[test]
fn the_end_of_a_cut_text_tells_nothing_of_how_a_secret_begins() {
    let redactor = redactor(&[("a", "ghp_0123456789abcdef")]);
    let shown = |end: &str| redactor.redact_beginning(format!("{}{end}", "x".repeat(2000)).as_bytes()).len();
    assert_eq!(shown("ghp_01234"), shown("ghp_9876X"));
    let across = format!("{}ghp_0123456789abcdef{}", "x".repeat(1000), "y".repeat(500));
    assert_eq!(redactor.redact_beginning(across.as_bytes()), format!("{}[secret:a]", "x".repeat(1000)).as_bytes());
    assert!(redactor.redact_beginning(b"short").is_empty());
}

#[test]
fn a_stream_that_learns_another_value_lets_no_half_of_the_old_one_through() {
    let (old, new) = ("ghp_0123456789abcdef", "ghp_fedcba9876543210");
    for at in 1..old.len() {
        let mut stream = redactor(&[("a", old)]).stream();
        let mut out = stream.push(format!("x {}", &old[..at]).as_bytes());
        stream.learn(redactor(&[("a", old), ("b", new)]));
        out.extend(stream.push(format!("{} {new}", &old[at..]).as_bytes()));
        out.extend(stream.finish());
        assert_eq!(String::from_utf8_lossy(&out), "x [secret:a] [secret:b]", "cut at {at}");
    }
}
