//! What the person sees: self-contained, without a script, in light and dark.
//!
//! Nothing of a request is repeated on a page except the origin of a checked loopback address, so there is nothing to
//! inject; the policy would keep it from doing anything.

use std::net::SocketAddr;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

use super::authorize::Shown;
use super::{account, client};

const STYLE: &str = include_str!("page.css");
const FRAME: &str = include_str!("page.html");
const SIGN_IN: &str = include_str!("sign-in.html");
const PROBLEM: &str = include_str!("problem.html");

static STYLE_HASH: LazyLock<String> = LazyLock::new(|| STANDARD.encode(Sha256::digest(STYLE)));

/// The page with the form.
pub(super) fn sign_in(shown: &Shown, address: SocketAddr) -> String {
    let told = account::SCOPES.iter().filter(|(scope, _)| shown.scopes.contains(scope));
    let scopes: String = told.map(|(scope, meaning)| format!("<li>{meaning}<code>{scope}</code></li>")).collect();
    let initial = account::NAME.get(..1).unwrap_or_default();
    let values = [
        ("client", client::NAME),
        ("initial", initial),
        ("name", account::NAME),
        ("email", account::EMAIL),
        ("scopes", &scopes),
        ("ticket", &shown.ticket),
        ("back", shown.origin.trim_start_matches("http://")),
    ];
    framed("Sign in", &filled(SIGN_IN, &values), address)
}

/// The page that says why there is no form.
pub(super) fn problem(reason: &str, address: SocketAddr) -> String {
    framed("Sign-in stopped", &filled(PROBLEM, &[("reason", reason)]), address)
}

/// The Content-Security-Policy of a page. Chromium applies `form-action` to the redirect after the form too, so the
/// way back must stand in it.
pub(super) fn policy(back: Option<&str>) -> String {
    // The grammar of a policy has no IPv6 addresses.
    let back = back.map_or("", |origin| if origin.contains('[') { "http:" } else { origin });
    format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self' {back}; base-uri 'none'; frame-ancestors 'none'",
        *STYLE_HASH
    )
}

fn framed(title: &str, content: &str, address: SocketAddr) -> String {
    filled(FRAME, &[("title", title), ("style", STYLE), ("content", content), ("address", &address.to_string())])
}

fn filled(template: &str, values: &[(&str, &str)]) -> String {
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(&format!("{{{{{name}}}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> [String; 2] {
        let address = SocketAddr::from(([127, 0, 0, 1], 4242));
        let shown =
            Shown { ticket: "TICKET".to_owned(), scopes: vec!["openid", "email"], origin: "http://localhost:9876".to_owned() };
        [sign_in(&shown, address), problem("it is already finished", address)]
    }

    #[test]
    fn the_page_says_who_asks_and_for_what() {
        let [page, _] = pages();
        for part in ["MCP Credentials Broker", "alice@example.com", "See your e-mail address", "TICKET", "localhost:9876"] {
            assert!(page.contains(part), "{part}");
        }
        assert!(!page.contains("See your name"), "only what was asked for");
    }

    #[test]
    fn no_place_is_left_empty_and_nothing_is_loaded() {
        for page in pages() {
            assert!(!page.contains("{{") && !page.contains("<script") && !page.contains(" style="), "{page}");
            assert!(!page.contains("src=") && !page.contains("@import"), "{page}");
        }
    }
}
