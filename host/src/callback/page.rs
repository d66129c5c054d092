//! The pages that a person sees after signing in.
//!
//! Fixed texts, chosen by an enum: nothing that a request said stands on a page. The one variable is the provider's
//! title, which comes from the flow and is escaped. No script, no font, no image: nothing is loaded, so no address with
//! a code in it is ever told to another server.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("page.css");
const TEMPLATE: &str = include_str!("page.html");
const MAX_TITLE_CHARS: usize = 60;

/// The pages there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// The exchange succeeded and the credential is stored.
    SignedIn,
    /// The person, or the provider on their behalf, said no.
    Declined,
    /// The answer came, and nothing could be made of it.
    Failed,
    /// The answer came a second time.
    AlreadyUsed,
    /// The flow ended before the answer came.
    Expired,
    /// No flow has that state, or the answer makes no sense.
    Rejected,
    /// Another path.
    NotFound,
    /// Another method than GET.
    MethodNotAllowed,
    /// Another `Host` than the redirect URI's.
    Misdirected,
    /// More than a sign-in sends.
    TooLarge,
    /// More requests than sign-ins send.
    TooMany,
    /// The browser only looks ahead.
    Prefetch,
}

/// What a page says.
struct Words {
    status: StatusCode,
    mark: Mark,
    heading: &'static str,
    /// Stands between heading and title, where the title is known.
    joint: &'static str,
    happened: &'static str,
    now: &'static str,
}

/// The sign above the heading. It repeats what the heading says, so it is hidden from screen readers.
#[derive(Clone, Copy)]
enum Mark {
    Good,
    Neutral,
    Bad,
}

impl Mark {
    const fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Neutral => "neutral",
            Self::Bad => "bad",
        }
    }

    const fn drawing(self) -> &'static str {
        match self {
            Self::Good => r#"<path d="M15 24.5l6.2 6.2L33.5 18"/>"#,
            Self::Neutral => r#"<path d="M24 22v11M24 15.2v.1"/>"#,
            Self::Bad => r#"<path d="M24 14v12M24 32.7v.1"/>"#,
        }
    }
}

impl Page {
    fn words(self) -> Words {
        let words = |status, mark, heading, joint, happened, now| Words { status, mark, heading, joint, happened, now };
        match self {
            Self::SignedIn => words(
                StatusCode::OK,
                Mark::Good,
                "You are signed in",
                " to ",
                "The credential is with the broker now, and whoever asked for it can go on.",
                "You can close this tab and go back to your agent or terminal.",
            ),
            Self::Declined => words(
                StatusCode::OK,
                Mark::Neutral,
                "Sign-in declined",
                " at ",
                "No access was given and nothing was stored. Whoever asked has been told.",
                "You can close this tab. If you want to sign in after all, start again from your agent or terminal.",
            ),
            Self::Failed => words(
                StatusCode::BAD_GATEWAY,
                Mark::Bad,
                "You are not signed in",
                " to ",
                "The provider sent you back, but the broker got no credential. Nothing was stored.",
                "You can close this tab. Your agent or terminal says why, and what to do next.",
            ),
            Self::AlreadyUsed => words(
                StatusCode::BAD_REQUEST,
                Mark::Neutral,
                "This sign-in has already arrived",
                " from ",
                "It came a second time, as when a page is reloaded. Only the first time counts.",
                "You can close this tab and go back to your agent or terminal, which has the result.",
            ),
            Self::Expired => words(
                StatusCode::GONE,
                Mark::Neutral,
                "This sign-in has expired",
                "",
                "Nobody waits for it any longer. Nothing was stored.",
                "Close this tab, and start a new sign-in from your agent or terminal.",
            ),
            Self::Rejected => words(
                StatusCode::BAD_REQUEST,
                Mark::Bad,
                "This is not an answer to your sign-in",
                "",
                "It is incomplete, or belongs to another sign-in or one that is over. It was ignored.",
                "If you have just signed in, go back to your agent or terminal and start again. Otherwise, just close this tab.",
            ),
            Self::NotFound => words(
                StatusCode::NOT_FOUND,
                Mark::Neutral,
                "There is nothing here",
                "",
                "At this address the broker only takes the answers of providers, while a sign-in is under way.",
                "You can close this tab and go back to your agent or terminal.",
            ),
            Self::MethodNotAllowed => words(
                StatusCode::METHOD_NOT_ALLOWED,
                Mark::Bad,
                "This is not how a sign-in comes back",
                "",
                "The broker takes the answers of providers by GET only. This request was ignored.",
                "If you have just signed in, go back to your agent or terminal and start again.",
            ),
            Self::Misdirected => words(
                StatusCode::MISDIRECTED_REQUEST,
                Mark::Bad,
                "This is not the broker's address",
                "",
                "The request names another host than the one that sign-ins come back to. It was ignored.",
                "You can close this tab and go back to your agent or terminal.",
            ),
            Self::TooLarge => words(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                Mark::Bad,
                "Your browser sent too much",
                "",
                "Most often these are cookies that other programs on this computer have set for the same address.",
                "Start again from your agent or terminal, and open the sign-in in a private window.",
            ),
            Self::TooMany => words(
                StatusCode::TOO_MANY_REQUESTS,
                Mark::Bad,
                "Too many requests",
                "",
                "Something keeps calling this address with answers that belong to no sign-in. They are ignored.",
                "Close other tabs that may do this. A sign-in that is under way goes on.",
            ),
            Self::Prefetch => words(
                StatusCode::SERVICE_UNAVAILABLE,
                Mark::Neutral,
                "Not yet",
                "",
                "This page cannot be loaded ahead of time.",
                "Open it to go on.",
            ),
        }
    }

    /// The answer to a browser.
    pub(super) fn response(self, title: Option<&str>) -> Response<Full<Bytes>> {
        let words = self.words();
        let mut response = Response::new(Full::new(Bytes::from(words.html(title))));
        *response.status_mut() = words.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if self == Self::MethodNotAllowed {
            headers.insert(ALLOW, HeaderValue::from_static("GET"));
        }
        response
    }
}

impl Words {
    fn html(&self, title: Option<&str>) -> String {
        let (joint, title) = match title {
            Some(title) if !self.joint.is_empty() => (self.joint, escape(title)),
            _ => ("", String::new()),
        };
        // The title goes in last, so that nothing in it can be taken for a place of the template.
        TEMPLATE
            .replace("{style}", STYLE)
            .replace("{class}", self.mark.class())
            .replace("{drawing}", self.mark.drawing())
            .replace("{heading}", self.heading)
            .replace("{joint}", joint)
            .replace("{happened}", self.happened)
            .replace("{now}", self.now)
            .replace("{title}", &title)
    }
}

/// The policy that lets the page load nothing and be framed by nobody; its own style is named by its digest.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    let policy = format!("default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'");
    HeaderValue::try_from(policy).unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"))
});

/// A provider's title made fit for a page: bounded, one line, without characters that change the direction of others.
pub(super) fn label(title: &str) -> String {
    let short: String = title.chars().take(MAX_TITLE_CHARS).collect();
    crate::error::foreign(&short).trim_matches('"').trim().to_owned()
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Page; 12] = [
        Page::SignedIn,
        Page::Declined,
        Page::Failed,
        Page::AlreadyUsed,
        Page::Expired,
        Page::Rejected,
        Page::NotFound,
        Page::MethodNotAllowed,
        Page::Misdirected,
        Page::TooLarge,
        Page::TooMany,
        Page::Prefetch,
    ];

    #[test]
    fn no_page_has_an_open_place_script_or_reference() {
        for page in ALL {
            for title in [None, Some("GitHub")] {
                let html = page.words().html(title);
                let body = html.replace(STYLE, "");
                for forbidden in ["{", "}", "<script", "href", "src=", "url(", "style=", "http-equiv", "@import"] {
                    assert!(!body.contains(forbidden), "{page:?}: {forbidden}");
                }
                assert!(!STYLE.contains("url(") && !STYLE.contains("@import") && !STYLE.contains("</"));
            }
        }
    }

    #[test]
    fn the_style_on_the_page_is_the_one_that_the_policy_names() {
        let html = Page::SignedIn.words().html(None);
        let style = html.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
        let digest = STANDARD.encode(Sha256::digest(style.as_bytes()));
        let expected = format!("default-src 'none'; style-src 'sha256-{digest}'; frame-ancestors 'none'");
        assert_eq!(Page::SignedIn.response(None).headers()[CONTENT_SECURITY_POLICY], expected);
    }

    #[test]
    fn a_title_cannot_become_markup_or_a_place() {
        let html = Page::SignedIn.words().html(Some(&label("<script>alert('x')</script>{now}\u{202e}\"&")));
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;{now}"), "{html}");
        assert!(!html.contains("<script") && !html.contains('\u{202e}'));
        assert_eq!(label(&"x".repeat(500)).len(), MAX_TITLE_CHARS);
    }

    #[test]
    fn the_title_is_named_where_it_is_known() {
        let heading = |title| {
            let html = Page::SignedIn.words().html(title);
            html.split("<h1").nth(1).unwrap().split("</h1>").next().unwrap().to_owned()
        };
        assert!(heading(Some("GitHub")).ends_with("You are signed in to <bdi>GitHub</bdi>"), "{}", heading(Some("GitHub")));
        assert!(heading(None).contains("You are signed in"));
    }
}
