//! The whole file, and every way to get it wrong.

use super::*;
use crate::config::secrets::{Inject, Permission, SecretKind, SecretRule};
use crate::error::Code;
use crate::secret::SecretName;

/// Stands for a secret that somebody wrote into the wrong line.
const CANARY: &str = "canary-8e02";

fn read(text: &str) -> Result<Config> {
    parse(Path::new("/etc/b/broker.toml"), text, Path::new("/etc/b"), Some(Path::new("/home/u")))
}

/// The message, after a check that it names the line and shows no value.
fn refused(line: usize, text: &str) -> String {
    let error = read(text).unwrap_err();
    assert_eq!(error.code(), Code::InvalidConfiguration);
    assert!(error.message().starts_with(&format!("/etc/b/broker.toml line {line}: ")), "{error}");
    assert!(!error.hint().is_empty() && !error.to_string().contains(CANARY), "{error}");
    error.to_string()
}

#[test]
fn an_empty_file_gives_the_defaults() {
    assert_eq!(read("").unwrap(), Config::default());
    assert_eq!(read("[egress]\n[providers.github]\n").unwrap().egress, Egress::default());
}

#[test]
fn every_key_is_read() {
    let config = read(
        r#"
        browser = "none"
        plugins = ["own", "~/plugins"]
        require_lock = true
        [callback]
        url = "http://127.0.0.1:4000/cb"
        [policy]
        max_ttl_seconds = 28_800
        reveal = "deny"
        store_secret = "deny"
        [secrets."openai-key"]
        kind = "static"
        hosts = ["api.openai.com", "127.0.0.1:4000"]
        paths = ["/v1"]
        methods = ["GET", "POST"]
        inject = "basic"
        user = "me"
        headers = ["x-team"]
        reveal = "allow"
        [secrets.other]
        inject = "x-api-key"
        [egress]
        allow_loopback = ["127.0.0.1:3960", "[::1]:3960"]
        allow_private = ["10.1.2.0/24"]
        extra_roots = "private-ca.pem"
        resolve = { "github.com:443" = "127.0.0.1:8443" }
        proxy = "http://proxy.example:3128"
        [providers.github]
        scopes = ["repo", "read:user"]
        loopback_port = "any"
        client_id = "Iv1.x"
        client_secret = { env = "GITHUB_CLIENT_SECRET" }
        [providers.acme]
        component = "acme.wasm"
        replaces = ["gcp"]
        limits = { memory_mib = 128, log_lines = 0 }
        key = { file = "~/key.pem" }
        other = { command = ["pass", "show", "x"] }
        "#,
    )
    .unwrap();
    assert_eq!(config.browser, Browser::None);
    assert_eq!(config.plugins, [Path::new("/etc/b/own"), Path::new("/home/u/plugins")]);
    assert_eq!(config.callback.url.as_str(), "http://127.0.0.1:4000/cb");
    assert_eq!(config.policy.max_ttl_seconds, Some(28_800));
    assert_eq!((config.policy.reveal, config.policy.store_secret), (Permission::Deny, Permission::Deny));
    let name = |text| SecretName::parse(text).unwrap();
    let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    let openai = SecretRule {
        kind: Some(SecretKind::Static),
        hosts: Some(texts(&["api.openai.com", "127.0.0.1:4000"])),
        paths: texts(&["/v1"]),
        methods: Some(texts(&["GET", "POST"])),
        inject: Inject::Basic { user: "me".to_owned() },
        headers: texts(&["x-team"]),
        reveal: Some(Permission::Allow),
    };
    assert_eq!(config.secrets[&name("openai-key")], openai);
    assert_eq!(config.secrets[&name("other")].inject, Inject::Header("x-api-key".to_owned()));
    assert_eq!([config.reveal(&name("openai-key")), config.reveal(&name("other"))], [Permission::Allow, Permission::Deny]);
    let egress = &config.egress;
    assert_eq!(egress.allow_loopback, ["127.0.0.1:3960".parse().unwrap(), "[::1]:3960".parse().unwrap()]);
    assert_eq!(egress.allow_private, ["10.1.2.0/24"]);
    assert_eq!(egress.extra_roots.as_deref(), Some(Path::new("/etc/b/private-ca.pem")));
    assert_eq!(egress.resolve["github.com:443"], "127.0.0.1:8443".parse().unwrap());
    assert_eq!(egress.proxy.as_ref().unwrap().as_str(), "http://proxy.example:3128/");
    let github = &config.providers["github"];
    assert_eq!(github.scopes.as_deref(), Some(["repo".to_owned(), "read:user".to_owned()].as_slice()));
    assert_eq!(github.loopback_port, LoopbackPort::Any);
    assert_eq!(github.settings["client_id"], Source::Text("Iv1.x".to_owned()));
    assert_eq!(github.settings["client_secret"], Source::Elsewhere(Elsewhere::Env("GITHUB_CLIENT_SECRET".to_owned())));
    let acme = &config.providers["acme"];
    assert_eq!(acme.component.as_deref(), Some(Path::new("/etc/b/acme.wasm")));
    assert!(config.require_lock && acme.replaces == ["gcp"]);
    let limits = Limits { memory_mib: Some(128), log_lines: Some(0), ..Limits::default() };
    assert_eq!(acme.limits, limits);
    assert_eq!(acme.settings["key"], Source::Elsewhere(Elsewhere::File("/home/u/key.pem".into())));
    let words = ["pass", "show", "x"].map(str::to_owned).to_vec();
    assert_eq!(acme.settings["other"], Source::Elsewhere(Elsewhere::Command(words)));
}

#[test]
fn unknown_keys_are_errors_with_a_suggestion_at_every_level() {
    for (line, text, suggestion) in [
        (2, "browser = \"none\"\nbrowsr = 1", "browser"),
        (1, "[egres]", "egress"),
        (2, "[callback]\nurll = 1", "url"),
        (2, "[policy]\nmax_ttl_second = 1", "max_ttl_seconds"),
        (2, "[policy]\nreveals = \"deny\"", "reveal"),
        (2, "[secrets.x]\nhost = [\"a.example\"]", "hosts"),
        (3, "[egress]\nallow_private = []\nallow_lopback = []", "allow_loopback"),
        (2, "[providers.github]\nclient_secret = { envv = \"X\" }", "env"),
    ] {
        let text = refused(line, text);
        assert!(text.contains(&format!("Did you mean \"{suggestion}\"?")), "{text}");
    }
    assert!(refused(1, "timeout = 5").contains("Use one of: browser, plugins, require_lock, callback"));
    assert!(refused(1, "[policy] reveal = \"deny\"").contains("on a line of its own"));
    assert!(refused(2, "[egress]\ntimeout = 5").contains("[egress] has no key \"timeout\""));
}

#[test]
fn a_value_of_the_wrong_type_or_form_is_named_and_never_shown() {
    for (line, text) in [
        (1, format!("browser = \"{CANARY}\"")),
        (1, "browser = true".to_owned()),
        (1, format!("plugins = \"{CANARY}\"")),
        (3, format!("plugins = [\n\"a\",\n12, \"{CANARY}\"]")),
        (1, format!("callback = \"{CANARY}\"")),
        (1, format!("egress = [\"{CANARY}\"]")),
        (2, format!("[policy]\nmax_ttl_seconds = \"{CANARY}\"")),
        (2, format!("[policy]\nreveal = \"{CANARY}\"")),
        (2, "[policy]\nstore_secret = true".to_owned()),
        (2, format!("[secrets]\n\"bad name\" = \"{CANARY}\"")),
        (2, format!("[secrets]\nx = \"{CANARY}\"")),
        (2, format!("[secrets.x]\nkind = \"{CANARY}\"")),
        (2, "[secrets.x]\nhosts = []".to_owned()),
        (2, "[secrets.x]\nhosts = [\"*.openai.com\"]".to_owned()),
        (2, "[secrets.x]\nhosts = [\"https://api.openai.com\"]".to_owned()),
        (2, "[secrets.x]\npaths = [\"v1\"]".to_owned()),
        (2, "[secrets.x]\nmethods = [\"get\"]".to_owned()),
        (2, "[secrets.x]\ninject = \"Host\"".to_owned()),
        (2, "[secrets.x]\ninject = \"basic\"".to_owned()),
        (2, "[secrets.x]\nuser = \"me\"".to_owned()),
        (3, "[secrets.x]\ninject = \"basic\"\nuser = \"a:b\"".to_owned()),
        (2, "[secrets.x]\nheaders = [\"authorization\"]".to_owned()),
        (2, format!("[egress]\nproxy = \"{CANARY}\"")),
        (2, format!("[egress]\nallow_loopback = [\"{CANARY}\"]")),
        (2, format!("[egress]\nresolve = {{ \"a:443\" = \"{CANARY}\" }}")),
        (2, format!("[egress]\nresolve = \"{CANARY}\"")),
        (2, "[egress]\nextra_roots = \"\"".to_owned()),
        (1, format!("providers = \"{CANARY}\"")),
        (2, format!("[providers]\ngithub = \"{CANARY}\"")),
        (2, format!("[providers.github]\nscopes = \"{CANARY}\"")),
        (2, format!("[providers.github]\nscopes = [\"repo {CANARY}\"]")),
        (2, format!("[providers.github]\nloopback_port = \"{CANARY}\"")),
        (2, "[providers.github]\nclient_id = 12345".to_owned()),
        (2, format!("[providers.github]\nclient_secret = [\"{CANARY}\"]")),
        (2, format!("[providers.github]\nclient_secret = {{ env = [\"{CANARY}\"] }}")),
        (2, format!("[providers.github]\nclient_secret = {{ command = \"pass {CANARY}\" }}")),
        (2, "[providers.github]\nclient_secret = { command = [] }".to_owned()),
        (2, "[providers.github]\nclient_secret = { env = \"A\", file = \"b\" }".to_owned()),
        (2, "[providers.github]\nclient_secret = {}".to_owned()),
    ] {
        refused(line, &text);
    }
}

#[test]
fn what_is_not_toml_is_said_with_its_line_and_without_its_text() {
    for (line, text) in [
        (2, format!("browser = \"none\"\nclient_secret = {CANARY}")),
        (1, format!("client_secret = \"{CANARY}")),
        (1, format!("client_secret = '{CANARY}'x")),
        (1, format!("client_secret \"{CANARY}\"")),
        (2, format!("a = 1\na = \"{CANARY}\"")),
    ] {
        assert!(refused(line, &text).contains("not TOML"), "{text}");
    }
}

#[test]
fn a_lifetime_is_a_positive_whole_number() {
    for value in ["0", "-1", "1.5", "99999999999999999999", "true"] {
        refused(2, &format!("[policy]\nmax_ttl_seconds = {value}"));
    }
}

#[test]
fn a_callback_is_a_loopback_url_that_can_be_listened_on() {
    for url in ["http://localhost:9876/oauth/callback", "http://127.0.0.1:1/x", "http://[::1]:65535/a/b"] {
        assert_eq!(read(&format!("[callback]\nurl = \"{url}\"")).unwrap().callback.url.as_str(), url);
    }
    for url in [
        "https://localhost:9876/cb",
        "http://example.com:9876/cb",
        "http://127.0.0.2:9876/cb",
        "http://localhost/cb",
        "http://localhost:80/cb",
        "http://localhost:0/cb",
        "http://localhost:9876",
        "http://localhost:9876/cb?x=1",
        "http://localhost:9876/cb?",
        "http://localhost:9876/cb#x",
        "http://user@localhost:9876/cb",
        "http://:pass@localhost:9876/cb",
        "localhost:9876/cb",
    ] {
        refused(2, &format!("[callback]\nurl = \"{url}\""));
    }
}

#[test]
fn a_setting_may_come_from_the_vault_by_a_secrets_name() {
    let config = read("[providers.github]\nclient_secret = { secret = \"github-client\" }").unwrap();
    let expected = Source::Elsewhere(Elsewhere::Secret("github-client".to_owned()));
    assert_eq!(config.providers["github"].settings["client_secret"], expected);
    let text = refused(2, &format!("[providers.github]\nclient_secret = {{ secret = \"no name: {CANARY}\" }}"));
    assert!(text.contains("client_secret secret must be the name of a secret in the vault"), "{text}");
}

#[test]
fn a_vault_has_a_place_and_one_way_to_its_key() {
    let vault = read("[vault]\npath = \"v/vault.db\"\nkey_command = [\"pass\", \"show\", \"vault\"]").unwrap().vault;
    assert!(vault.path.is_some_and(|path| path.ends_with("v/vault.db")));
    assert_eq!(vault.key_command.unwrap(), ["pass", "show", "vault"]);
    let text = refused(2, "[vault]\nkey_file = \"k\"\nkey_command = [\"c\"]");
    assert!(text.contains("[vault] key_file is one way to the key, and key_command another"), "{text}");
    refused(2, "[vault]\nkey_command = \"pass show vault\"");
}
