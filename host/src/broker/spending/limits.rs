//! What an agent said when it took a reference: how often, where and how it may be used. Limits narrow what the
//! operator's file and the provider allow; they never widen it.

use serde_json::Value;

use super::target::Target;
use crate::config::secrets::{METHODS, is_host};
use crate::error::{Code, Error, Result};

/// The most entries in a list.
const MAX_ENTRIES: usize = 64;

/// The limits of one reference.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How many times it may be used.
    pub max_uses: Option<u64>,
    /// The hosts of requests that may use it, each with its port where that is not 443.
    pub hosts: Option<Vec<String>>,
    /// The methods of such requests.
    pub methods: Option<Vec<String>>,
}

impl Limits {
    /// Reads them.
    ///
    /// # Errors
    /// `invalid_argument`, naming the argument.
    pub fn parse(max_uses: Option<&Value>, hosts: Option<Vec<String>>, methods: Option<Vec<String>>) -> Result<Self> {
        let wrong = |what: &str, hint: &str| Error::new(Code::InvalidArgument, what.to_owned(), hint.to_owned());
        let max_uses = match max_uses {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().filter(|uses| *uses > 0).ok_or_else(|| {
                wrong("max_uses is no whole number from 1.", "Use a whole number, such as 1, or leave it out.")
            })?),
        };
        let sound = |list: &Option<Vec<String>>, good: &dyn Fn(&str) -> bool| {
            list.as_ref().is_none_or(|list| (1..=MAX_ENTRIES).contains(&list.len()) && list.iter().all(|text| good(text)))
        };
        if !sound(&hosts, &is_host) {
            return Err(wrong(
                "hosts is no list of host names.",
                "Use one to 64 names in lower case, such as [\"api.github.com\"], with a port where it is not 443.",
            ));
        }
        if !sound(&methods, &|text| METHODS.contains(&text)) {
            return Err(wrong("methods is no list of HTTP methods.", "Use some of GET, HEAD, POST, PUT, PATCH, DELETE."));
        }
        Ok(Self { max_uses, hosts, methods })
    }

    /// What its lists take, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let lists = [&self.hosts, &self.methods];
        lists.into_iter().flatten().flatten().map(|text| text.len() + size_of::<String>()).sum()
    }

    /// Whether such a request may use the reference.
    ///
    /// # Errors
    /// `not_allowed`.
    pub fn allow_request(&self, target: &Target, method: &str) -> Result<()> {
        let host = target.host();
        if self.hosts.as_ref().is_some_and(|hosts| !hosts.contains(&host)) {
            return Err(narrowed(&format!("requests to {}", self.hosts.as_deref().unwrap_or_default().join(", "))));
        }
        if self.methods.as_ref().is_some_and(|methods| !methods.iter().any(|allowed| allowed == method)) {
            return Err(narrowed(&format!("the methods {}", self.methods.as_deref().unwrap_or_default().join(", "))));
        }
        Ok(())
    }

    /// Whether the value itself may be handed out: not where the reference is for certain requests only.
    ///
    /// # Errors
    /// `not_allowed`.
    pub fn allow_value(&self) -> Result<()> {
        if self.hosts.is_none() && self.methods.is_none() {
            return Ok(());
        }
        Err(narrowed("requests of http_request, and is never resolved to its value"))
    }
}

fn narrowed(what: &str) -> Error {
    Error::new(
        Code::NotAllowed,
        format!("This reference is for {what}."),
        "Use it as it was asked for, or call get_secret for another one.",
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(list: &[&str]) -> Option<Vec<String>> {
        Some(list.iter().map(|&text| text.to_owned()).collect())
    }

    #[test]
    fn limits_are_read_strictly() {
        for bad in [json!(0), json!(-1), json!(1.5), json!("1"), json!(true)] {
            assert!(Limits::parse(Some(&bad), None, None).is_err(), "{bad}");
        }
        assert_eq!(Limits::parse(Some(&json!(3)), None, None).unwrap().max_uses, Some(3));
        assert_eq!(Limits::parse(Some(&json!(null)), None, None).unwrap(), Limits::default());
        for bad in [&["*.github.com"][..], &["https://api.github.com"], &["API.github.com"], &[]] {
            assert!(Limits::parse(None, texts(bad), None).is_err(), "{bad:?}");
        }
        for bad in [&["get"][..], &["TRACE"], &[]] {
            assert!(Limits::parse(None, None, texts(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_narrowed_reference_is_for_such_requests_only() {
        let limits = Limits::parse(None, texts(&["api.github.com"]), texts(&["GET"])).unwrap();
        let target = |text: &str| Target::parse(text).unwrap();
        assert!(limits.allow_request(&target("https://api.github.com/user"), "GET").is_ok());
        assert!(limits.allow_request(&target("https://api.github.com/user"), "POST").is_err());
        assert!(limits.allow_request(&target("https://uploads.github.com/x"), "GET").is_err());
        assert!(limits.allow_value().is_err() && Limits::default().allow_value().is_ok());
        assert!(Limits { max_uses: Some(1), ..Limits::default() }.allow_value().is_ok());
    }
}
