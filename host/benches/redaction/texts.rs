//! What the redactor is measured with: a thousand secrets, and texts as they come back from services.

use credentials_broker::redaction::Redactor;
use credentials_broker::secret::{Secret, SecretName};

/// How many secrets are alive.
pub const SECRETS: usize = 1000;
/// How much text there is, in bytes.
pub const TEXT: usize = 10_000_000;
/// A message of usual length.
pub const MESSAGE: usize = 4096;

/// The same numbers in every run (xorshift64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize
    }

    fn text(&mut self, length: usize, alphabet: &[u8]) -> String {
        (0..length).map(|_| char::from(alphabet[self.next() % alphabet.len()])).collect()
    }
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
const BASE64: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/";

fn values() -> Vec<String> {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    (0..SECRETS)
        .map(|number| match number % 4 {
            0 => format!("gho_{}", numbers.text(36, LETTERS)),
            1 => format!("ya29.{}-{}", numbers.text(80, LETTERS), numbers.text(60, LETTERS)),
            // what every encoding changes
            2 => format!("p\"{}/+ä<{}&", numbers.text(12, LETTERS), numbers.text(8, LETTERS)),
            _ => numbers.text(32, b"0123456789abcdef"),
        })
        .collect()
}

/// A redactor of all of them, in all their encodings.
pub fn redactor() -> Redactor {
    let secrets: Vec<_> = values()
        .into_iter()
        .enumerate()
        .map(|(number, value)| (SecretName::parse(&format!("secret-{number}")).unwrap(), Secret::new(value)))
        .collect();
    Redactor::new(secrets.iter().map(|(name, value)| (name, value)))
}

/// What an API answers: JSON with names, numbers, addresses and ids, and a secret in every hundred kilobytes.
pub fn answers(length: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x2545_F491_4F6C_DD1D);
    let values = values();
    let mut text = String::with_capacity(length + 1024);
    let mut next_secret = 50_000;
    while text.len() < length {
        let (id, node) = (numbers.next() % 100_000_000, numbers.text(20, BASE64));
        let (words, sha) = (numbers.next() % 7, numbers.text(40, b"0123456789abcdef"));
        text.push_str(&format!(
            "{{\"id\":{id},\"node_id\":\"{node}=\",\"name\":\"repository-{words}\",\"private\":false,\"html_url\":\"https://github.com/acme/repository-{words}\",\
             \"description\":\"Reads the configuration, and writes what has changed since the last release.\",\"sha\":\"{sha}\",\
             \"created_at\":\"2026-01-{:02}T10:15:{:02}Z\",\"size\":{},\"default_branch\":\"main\"}},\n",
            numbers.next() % 28 + 1,
            numbers.next() % 60,
            numbers.next() % 90_000,
        ));
        if text.len() > next_secret {
            text.push_str(&values[numbers.next() % SECRETS]);
            next_secret += 100_000;
        }
    }
    text.into_bytes()[..length].to_vec()
}

/// A file in base64: nothing in it is a secret, and everything could be the beginning of one.
pub fn file_in_base64(length: usize) -> Vec<u8> {
    Numbers(0xD1B5_4A32_D192_ED03).text(length, BASE64).into_bytes()
}
