//! Finds a secret in bytes, however it is written: as it is, percent-encoded, in base64 at any of the three alignments
//! and in both alphabets, JSON-escaped, in hexadecimal.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// Shorter secrets are found everywhere by chance.
const SHORTEST: usize = 8;

/// Fails where a secret stands in the bytes. `place` says whose bytes they are.
pub fn assert_unseen<S: AsRef<str>>(place: &str, bytes: &[u8], secrets: impl IntoIterator<Item = S>) {
    for secret in secrets {
        let secret = secret.as_ref();
        assert!(secret.len() >= SHORTEST, "{secret:?} is too short to be searched for");
        if let Some((form, at)) = find(bytes, secret) {
            let around = &bytes[at.saturating_sub(80)..(at + 120).min(bytes.len())];
            panic!("a secret stands in {place}, {form}: …{}…", String::from_utf8_lossy(around));
        }
    }
}

/// Where it stands, and in which form.
pub fn find(bytes: &[u8], secret: &str) -> Option<(&'static str, usize)> {
    forms(secret).into_iter().find_map(|(form, text)| position(bytes, text.as_bytes()).map(|at| (form, at)))
}

fn forms(secret: &str) -> Vec<(&'static str, String)> {
    let mut forms = vec![
        ("as it is", secret.to_owned()),
        ("percent-encoded", url::form_urlencoded::byte_serialize(secret.as_bytes()).collect()),
        ("percent-encoded throughout", secret.bytes().map(|byte| format!("%{byte:02X}")).collect()),
        ("JSON-escaped", serde_json::to_string(secret).expect("a string").trim_matches('"').to_owned()),
        ("in hexadecimal", secret.bytes().map(|byte| format!("{byte:02x}")).collect()),
        ("in hexadecimal", secret.bytes().map(|byte| format!("{byte:02X}")).collect()),
    ];
    // Basic authentication encodes what was form-encoded before (RFC 6749 section 2.3.1).
    let encoded = forms[1].1.clone();
    for offset in 0..3 {
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            forms.push(("in base64", within_base64(engine, secret, offset)));
            forms.push(("form-encoded in base64", within_base64(engine, &encoded, offset)));
        }
    }
    forms
}

/// The characters that depend on the secret alone when it begins `offset` bytes into a group of three.
fn within_base64(engine: &base64::engine::GeneralPurpose, secret: &str, offset: usize) -> String {
    let mut padded = vec![0_u8; offset];
    padded.extend_from_slice(secret.as_bytes());
    let text = engine.encode(&padded);
    let first = [0, 2, 3][offset];
    let last = padded.len() / 3 * 4;
    text[first..last].to_owned()
}

fn position(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| *byte == first) {
        let at = from + at;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[test]
fn a_secret_is_found_in_every_form_and_at_every_alignment() {
    let secret = "s3cr\"et/+va1ue";
    let forms = [
        secret.to_owned(),
        "s3cr%22et%2F%2Bva1ue".to_owned(),
        serde_json::json!({ "a": secret }).to_string(),
        STANDARD_NO_PAD.encode(secret),
        STANDARD_NO_PAD.encode(format!("x{secret}yz")),
        URL_SAFE_NO_PAD.encode(format!("id:{secret}")),
        "7333637222".to_owned() + "65742f2b766131756500",
    ];
    for form in forms {
        assert!(find(form.as_bytes(), secret).is_some(), "{form}");
    }
    assert_eq!(find(b"s3cr\"et/+va1u", secret), None);
}
