//! From the text of the file to [`Config`]: what each key may hold, and how it is written.

mod secrets;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;

use super::reader::{Document, Item, Section};
use super::{Browser, Callback, Config, Egress, Elsewhere, Limits, LoginMode, LoopbackPort, Provider, Source, Vault};
use crate::error::Result;
use crate::secret::SecretName;

/// Reads the text. Relative paths are relative to `folder`, and `~` is `home`.
pub(super) fn parse(file: &Path, text: &str, folder: &Path, home: Option<&Path>) -> Result<Config> {
    let paths = Paths { folder, home };
    let mut root = Document { file, text }.parse()?;
    let folders = |item: Item<'_>| item.list(|text| paths.read(text), "a list of folders", "plugins = [\"~/plugins\"]");
    let config = Config {
        browser: optional(&mut root, "browser", |item| browser(&item))?.unwrap_or_default(),
        plugins: optional(&mut root, "plugins", folders)?.unwrap_or_default(),
        require_lock: optional(&mut root, "require_lock", |item| item.yes_or_no("require_lock = true"))?.unwrap_or_default(),
        callback: callback(root.section("callback")?)?,
        policy: secrets::policy(root.section("policy")?)?,
        egress: egress(root.section("egress")?, &paths)?,
        vault: vault(root.section("vault")?, &paths)?,
        secrets: secrets::secrets(root.section("secrets")?)?,
        providers: providers(root.section("providers")?, &paths)?,
    };
    root.finish()?;
    Ok(config)
}

fn optional<'a, T>(section: &mut Section<'a>, key: &'static str, read: impl FnOnce(Item<'a>) -> Result<T>) -> Result<Option<T>> {
    section.take(key).map(read).transpose()
}

struct Paths<'a> {
    folder: &'a Path,
    home: Option<&'a Path>,
}

impl Paths<'_> {
    fn read(&self, text: &str) -> Option<PathBuf> {
        (!text.is_empty()).then(|| self.folder.join(expand(Path::new(text), self.home)))
    }
}

/// `~` and `~/…`, as a shell would read it: the programs that start a broker have none.
pub(super) fn expand(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

fn browser(item: &Item<'_>) -> Result<Browser> {
    let read = |text: &str| match text {
        "open" => Some(Browser::Open),
        "none" => Some(Browser::None),
        _ => None,
    };
    item.parsed(read, "\"open\" or \"none\"", "browser = \"none\"")
}

fn callback(mut section: Section<'_>) -> Result<Callback> {
    let expected = "an http URL of localhost, 127.0.0.1 or [::1] with a port (not 80) and a path, and nothing more";
    let form = "url = \"http://localhost:9876/oauth/callback\"";
    let read = |text: &str| Url::parse(text).ok().filter(is_callback);
    let url = optional(&mut section, "url", |item| item.parsed(read, expected, form))?;
    section.finish()?;
    Ok(url.map_or_else(Callback::default, |url| Callback { url }))
}

/// A redirect URI for an app on this machine (RFC 8252 section 7.3) that the listener can serve.
fn is_callback(url: &Url) -> bool {
    url.scheme() == "http"
        && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
        && url.port().is_some_and(|port| port != 0)
        && url.path() != "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
}

/// What the lists mean is checked by the door that keeps to them.
fn egress(mut section: Section<'_>, paths: &Paths<'_>) -> Result<Egress> {
    let roots =
        |item: Item<'_>| item.parsed(|text| paths.read(text), "the name of a PEM file", "extra_roots = \"private-ca.pem\"");
    let loopback = |item: Item<'_>| item.list(address, "a list of addresses with ports", "allow_loopback = [\"127.0.0.1:4000\"]");
    let private = |item: Item<'_>| {
        item.list(|text| Some(text.to_owned()), "a list of private networks", "allow_private = [\"10.1.2.0/24\"]")
    };
    let proxy = |item: Item<'_>| item.parsed(|text| Url::parse(text).ok(), "a URL", "proxy = \"http://HOST:PORT\"");
    let egress = Egress {
        extra_roots: optional(&mut section, "extra_roots", roots)?,
        resolve: optional(&mut section, "resolve", resolve)?.unwrap_or_default(),
        allow_loopback: optional(&mut section, "allow_loopback", loopback)?.unwrap_or_default(),
        allow_private: optional(&mut section, "allow_private", private)?.unwrap_or_default(),
        proxy: optional(&mut section, "proxy", proxy)?,
    };
    section.finish()?;
    Ok(egress)
}

fn vault(mut section: Section<'_>, paths: &Paths<'_>) -> Result<Vault> {
    let file = |item: Item<'_>, form: &str| item.parsed(|text| paths.read(text), "the name of a file", form);
    let path = optional(&mut section, "path", |item| file(item, "path = \"~/vault/vault.db\""))?;
    let key_command = section.take("key_command");
    let key_file = section.take("key_file");
    if let (Some(_), Some(item)) = (&key_command, &key_file) {
        return Err(item.error("is one way to the key, and key_command another", "Leave one of them out."));
    }
    let vault = Vault {
        path,
        key_file: key_file.map(|item| file(item, "key_file = \"~/vault.key\"")).transpose()?,
        key_command: key_command.map(|item| words(&item, "key_command = [\"pass\", \"show\", \"vault\"]")).transpose()?,
    };
    section.finish()?;
    Ok(vault)
}

/// A program and its arguments.
fn words(item: &Item<'_>, form: &str) -> Result<Vec<String>> {
    let expected = "a program and its arguments";
    let words = item.list(|text| Some(text.to_owned()), expected, form)?;
    if words.first().is_none_or(String::is_empty) { Err(item.wrong(expected, form)) } else { Ok(words) }
}

fn address(text: &str) -> Option<SocketAddr> {
    text.parse().ok()
}

fn resolve(item: Item<'_>) -> Result<BTreeMap<String, SocketAddr>> {
    let form = "resolve = { \"github.example.com:443\" = \"10.1.2.3:443\" }";
    let places = item.table("a table of names and addresses, each with a port", form)?.rest().into_iter();
    places.map(|(place, item)| Ok((place, item.parsed(address, "an address with a port", form)?))).collect()
}

fn providers(section: Section<'_>, paths: &Paths<'_>) -> Result<BTreeMap<String, Provider>> {
    let provider = |(name, item): (String, Item<'_>)| {
        let header = format!("[providers.{}]", name.escape_debug());
        let table = item.table("a table", &format!("{header}, with its keys on the lines below"))?;
        Ok((name, provider(table.named(header), paths)?))
    };
    section.rest().into_iter().map(provider).collect()
}

fn provider(mut section: Section<'_>, paths: &Paths<'_>) -> Result<Provider> {
    let scopes = |item: Item<'_>| {
        let read = |text: &str| is_scope(text).then(|| text.to_owned());
        item.list(read, "a list of scopes, each for itself", "scopes = [\"repo\", \"read:user\"]")
    };
    let port = |text: &str| match text {
        "exact" => Some(LoopbackPort::Exact),
        "any" => Some(LoopbackPort::Any),
        _ => None,
    };
    let port = |item: Item<'_>| item.parsed(port, "\"exact\" or \"any\"", "loopback_port = \"any\"");
    let login = |text: &str| match text {
        "browser" => Some(LoginMode::Browser),
        "device" => Some(LoginMode::Device),
        _ => None,
    };
    let login = |item: Item<'_>| item.parsed(login, "\"browser\" or \"device\"", "login = \"device\"");
    let component = |item: Item<'_>| item.parsed(|text| paths.read(text), "the name of a file", "component = \"acme.wasm\"");
    let replaces =
        |item: Item<'_>| item.list(|text| Some(text.to_owned()), "a list of names of other providers", "replaces = [\"github\"]");
    Ok(Provider {
        scopes: optional(&mut section, "scopes", scopes)?,
        loopback_port: optional(&mut section, "loopback_port", port)?.unwrap_or_default(),
        login: optional(&mut section, "login", login)?.unwrap_or_default(),
        component: optional(&mut section, "component", component)?,
        replaces: optional(&mut section, "replaces", replaces)?.unwrap_or_default(),
        limits: optional(&mut section, "limits", limits)?.unwrap_or_default(),
        // Their names are in the provider's descriptor; whoever has that checks them.
        settings: section.rest().into_iter().map(|(key, item)| Ok((key, source(item, paths)?))).collect::<Result<_>>()?,
    })
}

/// Wide enough for any provider, and never so wide that one component takes the machine.
fn limits(item: Item<'_>) -> Result<Limits> {
    let form = "limits = { memory_mib = 128, deadline_seconds = 60 }";
    let mut section = item.table("a table of numbers", form)?;
    let mut take = |key: &'static str, least: u64, most: u64| {
        optional(&mut section, key, |item| item.number(least..=most, &format!("{key} = {most}")))
    };
    let limits = Limits {
        memory_mib: take("memory_mib", 1, 1024)?,
        deadline_seconds: take("deadline_seconds", 1, 300)?,
        computing_seconds: take("computing_seconds", 1, 60)?,
        requests: take("requests", 1, 64)?,
        host_calls: take("host_calls", 10, 1_000_000)?,
        answer_kib: take("answer_kib", 1, 4096)?,
        log_lines: take("log_lines", 0, 1000)?,
        table_elements: take("table_elements", 100, 1_000_000)?,
        instances: take("instances", 1, 1000)?,
    };
    section.finish()?;
    Ok(limits)
}

/// RFC 6749 section 3.3: a scope-token.
fn is_scope(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn source(item: Item<'_>, paths: &Paths<'_>) -> Result<Source> {
    if let Some(text) = item.text() {
        return Ok(Source::Text(text.to_owned()));
    }
    let expected = "a text, or a table that says where it is: one of env, file, command, secret";
    let form =
        "\"text\", { env = \"NAME\" }, { file = \"NAME\" }, { command = [\"PROGRAM\", \"ARGUMENT\"] } or { secret = \"NAME\" }";
    let wrong = item.wrong(expected, form);
    let mut section = item.table(expected, form)?;
    let env = section.take("env");
    let file = section.take("file");
    let command = section.take("command");
    let secret = section.take("secret");
    section.finish()?;
    let not_empty = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Ok(Source::Elsewhere(match (env, file, command, secret) {
        (Some(item), None, None, None) => {
            Elsewhere::Env(item.parsed(not_empty, "the name of an environment variable", "{ env = \"NAME\" }")?)
        }
        (None, Some(item), None, None) => {
            Elsewhere::File(item.parsed(|text| paths.read(text), "the name of a file", "{ file = \"NAME\" }")?)
        }
        (None, None, Some(item), None) => Elsewhere::Command(words(&item, "{ command = [\"PROGRAM\", \"ARGUMENT\"] }")?),
        (None, None, None, Some(item)) => {
            let name = |text: &str| SecretName::parse(text).is_ok().then(|| text.to_owned());
            Elsewhere::Secret(item.parsed(name, "the name of a secret in the vault", "{ secret = \"NAME\" }")?)
        }
        _ => return Err(wrong),
    }))
}

#[cfg(test)]
mod tests;
