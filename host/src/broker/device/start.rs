//! What a device endpoint answered (RFC 8628 section 3.2), as a component hands it on.
//!
//! A person will follow the address and trust it. So a component tells nothing of its own here: code and addresses must
//! stand in what the device endpoint of its table answered.

use std::time::Duration;

use serde_json::Value;
use url::Url;

use super::polling::Polling;
use crate::error::{Code, Error, Result, foreign};
use crate::sandbox::DeviceStart;
use crate::secret::Secret;

/// How long a person has, at most, whatever the server says.
const LONGEST: Duration = Duration::from_secs(1800);
/// Where the server does not say.
const DEFAULT: Duration = Duration::from_secs(600);
/// The longest user code, in characters.
const MAX_USER_CODE: usize = 64;

/// What a person needs to finish a device flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// What they enter.
    pub user_code: String,
    /// Where.
    pub verification_uri: Url,
    /// The same with the code filled in, where the server has that.
    pub verification_uri_complete: Option<Url>,
}

/// A device flow that has begun.
#[derive(Debug)]
pub(in crate::broker) struct Begun {
    pub(in crate::broker) code: Secret,
    pub(in crate::broker) shown: DeviceCode,
    pub(super) polling: Polling,
    pub(in crate::broker) within: Duration,
}

/// Reads a component's answer.
///
/// # Errors
/// `component_fault` for what the device endpoint did not say; `provider_error` for what makes no sense.
pub(in crate::broker) fn read(title: &str, start: DeviceStart) -> Result<Begun> {
    let get = |name: &str| start.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    for name in ["user_code", "verification_uri", "verification_uri_complete"] {
        if let Some(value) = get(name)
            && !start.answers.iter().any(|answer| says(answer, value))
        {
            return Err(Error::new(
                Code::ComponentFault,
                format!("The component of {title} gives {} as {name}, which the provider did not say.", foreign(value)),
                "Do not follow it. Report this to the component's author.",
            ));
        }
    }
    let wrong = |what: &str| {
        Error::new(
            Code::ProviderError,
            format!("{title}'s device endpoint answered with {what}."),
            "Sign in with mode \"browser\", or check the provider's settings.",
        )
    };
    let user_code =
        get("user_code").filter(|code| is_user_code(code)).ok_or_else(|| wrong("no code that a person could enter"))?;
    let address = |text: &str| Url::parse(text).ok().filter(|url| matches!(url.scheme(), "https" | "http"));
    let verification_uri = get("verification_uri").and_then(address).ok_or_else(|| wrong("no address to go to"))?;
    let shown = DeviceCode {
        user_code: user_code.to_owned(),
        verification_uri,
        verification_uri_complete: get("verification_uri_complete").and_then(address),
    };
    let within = get("expires_in").and_then(seconds).map_or(DEFAULT, |within| within.clamp(Duration::from_secs(1), LONGEST));
    let polling = Polling::every(get("interval").and_then(seconds));
    Ok(Begun { code: start.code, shown, polling, within })
}

/// Whether one of the answer's members is this text.
fn says(answer: &Value, text: &str) -> bool {
    // what a component may not read is empty there
    !text.is_empty() && answer.as_object().is_some_and(|members| members.values().any(|member| member.as_str() == Some(text)))
}

fn is_user_code(text: &str) -> bool {
    (1..=MAX_USER_CODE).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

/// Whole or broken, as servers write it.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(1e6).floor()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn start(pairs: &[(&str, &str)], answer: Value) -> DeviceStart {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        DeviceStart { code: Secret::from("d"), pairs, answers: vec![answer] }
    }

    const CODE: (&str, &str) = ("user_code", "WDJB-MJHT");
    const URI: (&str, &str) = ("verification_uri", "https://id.example/device");

    fn answer() -> Value {
        json!({ "user_code": "WDJB-MJHT", "verification_url": "https://id.example/device", "device_code": "" })
    }

    #[test]
    fn what_the_device_endpoint_said_is_shown_whatever_it_calls_it() {
        let begun = read("Acme", start(&[CODE, URI, ("expires_in", "900"), ("interval", "7")], answer())).unwrap();
        assert_eq!((begun.shown.user_code.as_str(), begun.within), ("WDJB-MJHT", Duration::from_secs(900)));
        assert_eq!(begun.polling, Polling::every(Some(Duration::from_secs(7))));
        for (text, within) in [("1e9", LONGEST), ("0", Duration::from_secs(1)), ("-5", DEFAULT), ("soon", DEFAULT)] {
            assert_eq!(read("Acme", start(&[CODE, URI, ("expires_in", text)], answer())).unwrap().within, within, "{text}");
        }
    }

    #[test]
    fn what_it_did_not_say_is_the_components_fault() {
        for pairs in [
            [CODE, ("verification_uri", "https://evil.example/device")],
            [("user_code", "another"), URI],
            [CODE, ("verification_uri", "")],
        ] {
            assert_eq!(read("Acme", start(&pairs, answer())).unwrap_err().code(), Code::ComponentFault, "{pairs:?}");
        }
        let lie = [CODE, URI, ("verification_uri_complete", "https://evil.example/device?user_code=WDJB-MJHT")];
        assert_eq!(read("Acme", start(&lie, answer())).unwrap_err().code(), Code::ComponentFault);
    }

    #[test]
    fn what_nobody_could_enter_or_open_is_the_providers_error() {
        for (code, uri) in [("A\u{202e}B", "https://id.example/"), ("A", "javascript:alert(1)"), ("A", "x")] {
            let answer = json!({ "user_code": code, "verification_uri": uri });
            let pairs = [("user_code", code), ("verification_uri", uri)];
            assert_eq!(read("Acme", start(&pairs, answer)).unwrap_err().code(), Code::ProviderError, "{code} {uri}");
        }
        assert_eq!(read("Acme", start(&[URI], answer())).unwrap_err().code(), Code::ProviderError);
    }
}
