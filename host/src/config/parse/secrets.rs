//! `[policy]` and `[secrets]`.

use std::collections::BTreeMap;

use super::{Item, Section, optional};
use crate::config::Policy;
use crate::config::secrets::{Inject, METHODS, Permission, SecretKind, SecretRule, is_header, is_host, is_path};
use crate::error::Result;
use crate::secret::SecretName;

pub(super) fn policy(mut section: Section<'_>) -> Result<Policy> {
    let policy = Policy {
        max_ttl_seconds: optional(&mut section, "max_ttl_seconds", |item| item.positive("max_ttl_seconds = 28800"))?,
        reveal: optional(&mut section, "reveal", |item| permission(&item, "reveal = \"deny\""))?.unwrap_or_default(),
        store_secret: optional(&mut section, "store_secret", |item| permission(&item, "store_secret = \"deny\""))?
            .unwrap_or_default(),
    };
    section.finish()?;
    Ok(policy)
}

fn permission(item: &Item<'_>, form: &str) -> Result<Permission> {
    let read = |text: &str| match text {
        "allow" => Some(Permission::Allow),
        "deny" => Some(Permission::Deny),
        _ => None,
    };
    item.parsed(read, "\"allow\" or \"deny\"", form)
}

pub(super) fn secrets(section: Section<'_>) -> Result<BTreeMap<SecretName, SecretRule>> {
    let one = |(name, item): (String, Item<'_>)| {
        let header = format!("[secrets.\"{}\"]", name.escape_debug());
        let hint = "Use 1 to 128 letters, digits, '.', '_', '-', '/', '@' or ':', beginning with a letter or digit.";
        let name = SecretName::parse(&name).map_err(|_| item.error("is no name for a secret", hint))?;
        let table = item.table("a table", &format!("{header}, with its keys on the lines below"))?;
        Ok((name, rule(table.named(header))?))
    };
    section.rest().into_iter().map(one).collect()
}

fn rule(mut section: Section<'_>) -> Result<SecretRule> {
    let hosts = |item: Item<'_>| {
        let expected = "a list of host names in lower case, each with its port where that is not 443, without wildcards";
        list(&item, is_host, expected, "hosts = [\"api.openai.com\"]")
    };
    let paths = |item: Item<'_>| {
        list(&item, is_path, "a list of path prefixes without percent signs or wildcards", "paths = [\"/v1/chat\"]")
    };
    let methods = |item: Item<'_>| {
        list(&item, |text| METHODS.contains(&text), "a list of GET, HEAD, POST, PUT, PATCH, DELETE", "methods = [\"GET\"]")
    };
    let headers = |item: Item<'_>| {
        let free = |text: &str| is_header(text) && text != "authorization";
        list(&item, free, "a list of header names in lower case that are not the broker's own", "headers = [\"x-team\"]")
    };
    let kind = |item: Item<'_>| {
        let read = |text: &str| match text {
            "static" => Some(SecretKind::Static),
            "login" => Some(SecretKind::Login),
            _ => None,
        };
        item.parsed(read, "\"static\" or \"login\"", "kind = \"static\"")
    };
    let rule = SecretRule {
        kind: optional(&mut section, "kind", kind)?,
        hosts: optional(&mut section, "hosts", hosts)?,
        paths: optional(&mut section, "paths", paths)?.unwrap_or_default(),
        methods: optional(&mut section, "methods", methods)?,
        inject: inject(&mut section)?,
        headers: optional(&mut section, "headers", headers)?.unwrap_or_default(),
        reveal: optional(&mut section, "reveal", |item| permission(&item, "reveal = \"deny\""))?,
    };
    section.finish()?;
    Ok(rule)
}

/// A list with something in it: an empty one would look like "anywhere" and mean "nowhere".
fn list(item: &Item<'_>, good: impl Fn(&str) -> bool, expected: &str, form: &str) -> Result<Vec<String>> {
    let read = |text: &str| good(text).then(|| text.to_owned());
    let list = item.list(read, expected, form)?;
    if list.is_empty() { Err(item.wrong(expected, form)) } else { Ok(list) }
}

fn inject(section: &mut Section<'_>) -> Result<Inject> {
    let user = section.take("user");
    let Some(item) = section.take("inject") else {
        return match user {
            None => Ok(Inject::Bearer),
            Some(user) => Err(user.error("goes with inject = \"basic\" only", "Add inject = \"basic\", or leave user out.")),
        };
    };
    let read = |text: &str| match text {
        "bearer" => Some(Inject::Bearer),
        "basic" => Some(Inject::Basic { user: String::new() }),
        name => is_header(name).then(|| Inject::Header(name.to_owned())),
    };
    let inject = item.parsed(read, "\"bearer\", \"basic\", or the name of a header in lower case", "inject = \"x-api-key\"")?;
    match (inject, user) {
        (Inject::Basic { .. }, Some(user)) => {
            let read = |text: &str| {
                let good = text.len() <= 256 && !text.contains(':') && !text.chars().any(char::is_control);
                good.then(|| Inject::Basic { user: text.to_owned() })
            };
            user.parsed(read, "a user name without a colon", "user = \"me@example.com\"")
        }
        (Inject::Basic { .. }, None) => Err(item.error("= \"basic\" needs a user", "Add user = \"NAME\"; it may be \"\".")),
        (_, Some(user)) => Err(user.error("goes with inject = \"basic\" only", "Add inject = \"basic\", or leave user out.")),
        (inject, None) => Ok(inject),
    }
}
