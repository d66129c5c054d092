//! What a component is and asks for, line by line: what an operator reads before approving it, and what an update
//! changes.
//!
//! One list serves the table for people and the comparison, so nothing can be in one and not in the other; a test holds
//! it against the JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::descriptor::{Descriptor, Destination, Endpoint, Loopback, Setting};
use crate::sandbox::Make;

/// What `providers inspect --json` shows of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// SHA-256 of its bytes, in hex.
    pub sha256: String,
    /// How many bytes it has.
    pub bytes: u64,
    /// What it is made of.
    #[serde(flatten)]
    pub make: Make,
    /// What it says of itself.
    pub descriptor: Descriptor,
}

/// One fact, under its heading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it is about, such as an endpoint.
    pub heading: String,
    /// The fact.
    pub text: String,
    /// Whether it is something that the component asks for, rather than something that it says.
    pub asks: bool,
}

struct Lines(Vec<Line>);

impl Lines {
    fn asks(&mut self, heading: &str, text: impl Into<String>) {
        self.0.push(Line { heading: heading.to_owned(), text: text.into(), asks: true });
    }

    fn says(&mut self, heading: &str, text: impl Into<String>) {
        self.0.push(Line { heading: heading.to_owned(), text: text.into(), asks: false });
    }
}

/// Everything, in the order in which it is shown.
#[must_use]
pub fn lines(make: &Make, descriptor: &Descriptor) -> Vec<Line> {
    let mut lines = Lines(Vec::new());
    lines.says("provider", format!("{}, {} {}", descriptor.name, descriptor.title, descriptor.version));
    for alias in &descriptor.aliases {
        lines.asks("provider", format!("also called {alias}"));
    }
    if let Some(documentation) = &descriptor.documentation {
        lines.says("provider", format!("an OAuth client is registered at {documentation}"));
    }
    lines.says("contract", format!("version {}", make.contract));
    for interface in &make.interfaces {
        lines.asks("contract", format!("exports {interface}"));
    }
    for import in &make.imports {
        lines.asks("imports", import);
    }
    for line in &make.built_by {
        lines.says("built by, in its own words", line);
    }
    for grant in &descriptor.grants {
        lines.asks("grants", grant);
    }
    for endpoint in &descriptor.endpoints {
        add_endpoint(&mut lines, endpoint);
    }
    for setting in &descriptor.settings {
        lines.asks("settings", setting_line(setting));
    }
    for set in &descriptor.requires_one_of {
        lines.asks("settings", format!("enough is: {}", set.join(" and ")));
    }
    for issuer in &descriptor.issuers {
        lines.asks("issuers", issuer);
    }
    if descriptor.openid {
        lines.asks("issuers", "openid: id_tokens say who signed in");
    }
    for scope in &descriptor.scopes.may_add {
        lines.asks("scopes", format!("may add {scope}"));
    }
    for scope in &descriptor.scopes.not_echoed {
        lines.says("scopes", format!("{scope} may be missing in answers, or be there unasked"));
    }
    lines.asks(
        "lifetimes",
        format!("{} seconds unless asked otherwise, {} at most", descriptor.ttl.default, descriptor.ttl.maximum),
    );
    let loopback = match descriptor.loopback {
        Loopback::Any => "any: a native app's callback may use any port",
        Loopback::Exact => "exact: the port must be the registered one",
    };
    lines.says("callback", loopback);
    if let Some(parameter) = &descriptor.login_hint {
        lines.says("tells the provider who signed in last, as the parameter", parameter);
    }
    for destination in &descriptor.spend {
        add_destination(&mut lines, destination);
    }
    for place in &descriptor.git {
        let user = place.username.as_deref().unwrap_or("x-access-token");
        lines.asks("git signs in", format!("at {} as {user}, with a login's token as the password", place.host));
    }
    for prefix in &descriptor.token_prefixes {
        lines.says("its tokens begin with", prefix);
    }
    lines.0
}

fn add_endpoint(lines: &mut Lines, endpoint: &Endpoint) {
    // as the descriptor writes it
    let role = serde_json::to_value(endpoint.role).ok().and_then(|role| role.as_str().map(str::to_owned)).unwrap_or_default();
    let heading = format!("endpoint {} ({role})", endpoint.id);
    lines.asks(&heading, format!("{} {}", endpoint.method, endpoint.url));
    for (slot, kinds) in &endpoint.slots {
        lines.asks(&heading, format!("{slot} takes {}", kinds.join(", ")));
    }
    for header in &endpoint.headers {
        lines.asks(&heading, format!("may set the header {header}"));
    }
    for pointer in &endpoint.readable {
        lines.asks(&heading, format!("may read {pointer}"));
    }
    for header in &endpoint.readable_headers {
        lines.asks(&heading, format!("may read the header {header}"));
    }
    for (pointer, kind) in &endpoint.secrets {
        lines.asks(&heading, format!("takes {pointer} for a secret of the kind {kind}"));
    }
}

fn setting_line(setting: &Setting) -> String {
    let kind = serde_json::to_value(setting.kind).ok().and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
    let mut text = format!("{} ({kind}{})", setting.name, if setting.required { ", required" } else { "" });
    if !setting.env.is_empty() {
        let _ = write!(text, " from {}", setting.env.join(", "));
    }
    if let Some(default) = &setting.default {
        let _ = write!(text, ", else {default}");
    }
    if !setting.choices.is_empty() {
        let _ = write!(text, ", one of {}", setting.choices.join(", "));
    }
    let _ = write!(text, ": {}", setting.about);
    text
}

fn add_destination(lines: &mut Lines, destination: &Destination) {
    let mut text = destination.host.clone();
    for (setting, value) in &destination.when {
        let value = if value.is_empty() { "not set" } else { value };
        let _ = write!(text, ", when {setting} is {value}");
    }
    if !destination.paths.is_empty() {
        let _ = write!(text, ", under {}", destination.paths.join(", "));
    }
    if !destination.except.is_empty() {
        let _ = write!(text, ", but not {}", destination.except.join(", "));
    }
    lines.asks("its tokens may be spent at", text);
}

/// What an update changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Only in the new one.
    pub added: Vec<Line>,
    /// Only in the old one.
    pub gone: Vec<Line>,
}

impl Difference {
    /// From the old lines to the new ones.
    #[must_use]
    pub fn between(old: &[Line], new: &[Line]) -> Self {
        let only = |here: &[Line], there: &[Line]| here.iter().filter(|line| !there.contains(line)).cloned().collect();
        Self { added: only(new, old), gone: only(old, new) }
    }

    /// Whether the new one asks for something that the old one did not.
    #[must_use]
    pub fn asks_for_more(&self) -> bool {
        self.added.iter().any(|line| line.asks)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::providers::embedded;

    fn make() -> Make {
        Make {
            contract: "0.1.0".to_owned(),
            imports: vec!["credentials-broker:provider/host@0.1.0".to_owned()],
            interfaces: vec!["provider".to_owned(), "refresh".to_owned()],
            built_by: vec!["language: Rust 2024".to_owned()],
        }
    }

    fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| leaves(item, path, found)),
            Value::Object(members) => {
                for (name, member) in members {
                    // member names that are the table's own words are told as sentences
                    if path.ends_with("/slots") || path.ends_with("/secrets") || path.ends_with("/when") {
                        found.push(name.clone());
                    }
                    leaves(member, &format!("{path}/{name}"), found);
                }
            }
            Value::String(text) => found.push(text.clone()),
            Value::Number(number) => found.push(number.to_string()),
            Value::Bool(true) => found.push(path.rsplit('/').next().unwrap().to_owned()),
            Value::Bool(false) | Value::Null => {}
        }
    }

    #[test]
    fn the_lines_leave_out_nothing_of_what_the_json_has() {
        let mut everything = embedded::all()[0].descriptor.as_ref().clone();
        for other in embedded::all() {
            everything.aliases.extend(other.descriptor.aliases.iter().cloned());
            everything.endpoints.extend(other.descriptor.endpoints.iter().cloned());
            everything.settings.extend(other.descriptor.settings.iter().cloned());
            everything.spend.extend(other.descriptor.spend.iter().cloned());
            everything.git.extend(other.descriptor.git.iter().cloned());
            everything.scopes.not_echoed.extend(other.descriptor.scopes.not_echoed.iter().cloned());
            everything.requires_one_of.extend(other.descriptor.requires_one_of.iter().cloned());
        }
        everything.openid = true;
        everything.scopes.may_add.push("offline_access".to_owned());
        everything.endpoints[1].readable_headers.push("x-seen".to_owned());
        everything.endpoints[1].secrets.insert("/nested/key".to_owned(), "access".to_owned());
        let told: String = lines(&make(), &everything).iter().map(|line| format!("{} {}\n", line.heading, line.text)).collect();
        let mut found = Vec::new();
        leaves(&serde_json::to_value(&everything).unwrap(), "", &mut found);
        leaves(&serde_json::to_value(make()).unwrap(), "", &mut found);
        assert!(found.len() > 200, "{}", found.len());
        for leaf in found {
            assert!(told.contains(&leaf), "{leaf} is not in\n{told}");
        }
    }

    #[test]
    fn an_update_that_asks_for_more_is_told_from_one_that_only_says_more() {
        let old = embedded::all()[0].descriptor.as_ref().clone();
        let with = |change: &dyn Fn(&mut Descriptor)| {
            let mut new = old.clone();
            change(&mut new);
            Difference::between(&lines(&make(), &old), &lines(&make(), &new))
        };
        assert_eq!(with(&|_| {}), Difference::default());
        let newer = with(&|new| new.version = "9.9.9".to_owned());
        assert!(!newer.asks_for_more() && newer.added.len() == 1 && newer.gone.len() == 1, "{newer:?}");
        let wants = [
            with(&|new| new.endpoints[1].url = "https://evil.example/token".to_owned()),
            with(&|new| new.endpoints[1].readable.push("/access_token".to_owned())),
            with(&|new| drop(new.endpoints[1].slots.insert("form.state".to_owned(), vec!["code".to_owned()]))),
            with(&|new| new.settings[0].env.push("GITHUB_OTHER".to_owned())),
            with(&|new| new.spend[0].host = "evil.example".to_owned()),
            with(&|new| new.ttl.maximum += 1),
            with(&|new| new.aliases.push("gh".to_owned())),
        ];
        for want in wants {
            assert!(want.asks_for_more(), "{want:?}");
        }
        assert!(!with(&|new| drop(new.spend.pop())).asks_for_more());
    }
}
