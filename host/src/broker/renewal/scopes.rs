//! Which scopes an answer may bring. The person agreed to those of the login; a refresh is not the place for more (RFC 6749
//! section 6), and what the operator did not allow no answer can give.

use crate::descriptor::Descriptor;

/// The scopes that were not granted before.
///
/// # Errors
/// Those among them that the operator does not allow.
pub(super) fn wider<'a>(
    descriptor: &Descriptor,
    operator: Option<&[String]>,
    before: &[String],
    now: &'a [String],
) -> Result<Vec<&'a str>, Vec<&'a str>> {
    let quiet = |scope: &str| {
        let listed = |list: &[String]| list.iter().any(|known| known == scope);
        listed(before) || listed(&descriptor.scopes.not_echoed) || listed(&descriptor.scopes.may_add) || scope == "offline_access"
    };
    let wider: Vec<&str> = now.iter().map(String::as_str).filter(|scope| !quiet(scope)).collect();
    let Some(operator) = operator else { return Ok(wider) };
    let beyond: Vec<&str> = wider.iter().copied().filter(|scope| !operator.iter().any(|known| known == scope)).collect();
    if beyond.is_empty() { Ok(wider) } else { Err(beyond) }
}

#[cfg(test)]
mod tests {
    use crate::providers::embedded;

    fn list(words: &str) -> Vec<String> {
        words.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn more_than_before_is_told_and_more_than_the_operator_allows_refused() {
        let embedded = embedded::all();
        let descriptor = &embedded.iter().find(|known| known.descriptor.name == "oauth2").unwrap().descriptor;
        let wider = |operator: Option<&str>, before: &str, now: &str| {
            let operator = operator.map(list);
            let now = list(now);
            super::wider(descriptor, operator.as_deref(), &list(before), &now)
                .map(|more| more.join(" "))
                .map_err(|beyond| beyond.join(" "))
        };
        assert_eq!(wider(None, "read", "read"), Ok(String::new()));
        assert_eq!(wider(None, "read", "write read"), Ok("write".to_owned()));
        assert_eq!(wider(Some("read write"), "read", "read write"), Ok("write".to_owned()));
        assert_eq!(wider(Some("read"), "read", "read write admin"), Err("write admin".to_owned()));
        assert_eq!(wider(Some("read"), "read extra", "extra offline_access"), Ok(String::new()), "it had that before");
    }
}
