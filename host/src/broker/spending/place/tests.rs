use std::collections::BTreeMap;

use super::*;

fn descriptor(name: &str) -> &'static Descriptor {
    let found = embedded::all().iter().find(|component| component.descriptor.name == name);
    &found.unwrap().descriptor
}

fn login(provider: &str, settings: &[(&str, &str)], rule: Option<&SecretRule>) -> Places {
    let settings: BTreeMap<&str, &str> = settings.iter().copied().collect();
    let resolved: BTreeMap<&str, &str> =
        [("token_endpoint", "https://id.example/oauth/token"), ("authorization_endpoint", "https://id.example/oauth/authorize")]
            .into();
    let setting = |name: &str| settings.get(name).copied();
    let resolve = |name: &str| resolved.get(name).copied();
    Places::of_login(descriptor(provider), &AtLogin { setting: &setting, resolved: &resolve }, rule)
}

fn rule(hosts: &[&str], paths: &[&str]) -> SecretRule {
    let texts = |list: &[&str]| list.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
    SecretRule { hosts: (!hosts.is_empty()).then(|| texts(hosts)), paths: texts(paths), ..SecretRule::default() }
}

fn open(places: &Places, url: &str) -> bool {
    match Target::parse(url).map(|target| places.judge(&target)) {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            assert!(error.code() == Code::NotAllowed && !error.hint().is_empty(), "{error}");
            false
        }
        Err(_) => false,
    }
}

fn all_open(places: &Places, urls: &[&str]) {
    urls.iter().for_each(|url| assert!(open(places, url), "{url} is shut"));
}

fn all_shut(places: &Places, urls: &[&str]) {
    urls.iter().for_each(|url| assert!(!open(places, url), "{url} is open"));
}

const GITHUB: &[(&str, &str)] = &[("host", "github.com")];

#[test]
fn a_login_is_spent_where_its_provider_says() {
    let github = login("github", GITHUB, None);
    all_open(
        &github,
        &[
            "https://api.github.com/user",
            "https://api.github.com",
            "https://uploads.github.com/repos/o/r/releases/1/assets?name=a",
        ],
    );
    all_shut(
        &github,
        &["https://uploads.github.com/other", "https://gist.github.com/", "https://github.com/user", "https://example.com/"],
    );
    let google = login("google", &[], None);
    all_open(
        &google,
        &["https://gmail.googleapis.com/gmail/v1/users/me/messages", "https://www.googleapis.com/drive/v3/files?q=x"],
    );
    all_shut(
        &google,
        &["https://www.googleapis.com/other", "https://storage.googleapis.com/bucket/x", "https://gmail.googleapis.com/other"],
    );
    let azure = login("azure", &[("tenant", "common")], None);
    all_open(
        &azure,
        &["https://graph.microsoft.com/v1.0/me", "https://management.azure.com/subscriptions?api-version=2022-12-01"],
    );
    let okta = login("okta", &[("domain", "dev-1.okta.com")], None);
    all_open(&okta, &["https://dev-1.okta.com/api/v1/users/me"]);
    all_shut(&okta, &["https://dev-2.okta.com/api/v1/users/me", "https://dev-1.okta.com/api/v2/x"]);
}

#[test]
fn a_login_at_a_server_of_ones_own_stays_there() {
    let own = login("github", &[("host", "git.corp.example:8443")], None);
    all_open(&own, &["https://git.corp.example:8443/api/v3/user", "https://git.corp.example:8443/api/graphql"]);
    all_shut(
        &own,
        &["https://api.github.com/user", "https://git.corp.example/api/v3/user", "https://git.corp.example:8443/login"],
    );
    let custom = [("domain", "dev-1.okta.com"), ("authorization_server", "default")];
    all_shut(&login("okta", &custom, None), &["https://dev-1.okta.com/api/v1/users/me"]);
    all_open(&login("okta", &custom, Some(&rule(&["api.corp.example"], &[]))), &["https://api.corp.example/x"]);
}

#[test]
fn t44_no_other_writing_of_a_host_is_the_host() {
    all_shut(
        &login("github", GITHUB, None),
        &[
            "https://api.github.com.evil.example/user",
            "https://evil.example/api.github.com/user",
            "https://xapi.github.com/user",
            "https://x.api.github.com/user",
            "https://github.com.evil/user",
            "https://api.github.com@evil.example/user",
            "https://evil.example@api.github.com/user",
            "https://api.github.com:443@evil.example/user",
            "https://api.github.com:8443/user",
            "https://api.github.com:80/user",
            "http://api.github.com/user",
            "http://api.github.com:443/user",
            "https://api.github.com./user",
            "https://API.GITHUB.COM/user",
            "https://api.gıthub.com/user",
            "https://api.github。com/user",
            "https://xn--api-github-com/user",
            "https://140.82.112.5/user",
            "https://[::ffff:140.82.112.5]/user",
            "https://2354606597/user",
            "https://api%2Egithub%2Ecom/user",
            "https://api.github.com\\.evil.example/user",
            "https://api.github.com\t/user",
            "https://api.github.com#@evil.example/",
            "https://api.github.com%00.evil.example/",
            "wss://api.github.com/user",
        ],
    );
}

#[test]
fn t44_no_other_writing_of_a_path_leaves_its_prefix() {
    let narrowed = login("github", GITHUB, Some(&rule(&[], &["/repos/o/r"])));
    all_open(
        &narrowed,
        &["https://api.github.com/repos/o/r", "https://api.github.com/repos/o/r/issues", "https://api.github.com/repos/o/r/"],
    );
    all_shut(
        &narrowed,
        &[
            "https://api.github.com/repos/o/r2",
            "https://api.github.com/repos/o/rx/y",
            "https://api.github.com/repos/o",
            "https://api.github.com/Repos/o/r",
            "https://api.github.com/repos/o/r/../../../user",
            "https://api.github.com/repos/o/r/%2e%2e/x",
            "https://api.github.com/repos/o/r/..%2f..%2fuser",
            "https://api.github.com/repos/o/r%2f..%2f..",
            "https://api.github.com/repos/o/r/..%5cuser",
            "https://api.github.com/repos/o/r/%252e%252e/x",
            "https://api.github.com//repos/o/r",
            "https://api.github.com/x//repos/o/r",
            "https://api.github.com/repos/o/r;/../x",
            "https://api.github.com/user?x=/repos/o/r",
        ],
    );
}

#[test]
fn endpoints_that_hand_out_credentials_are_shut_whatever_a_list_says() {
    let github = login("github", GITHUB, Some(&rule(&["api.github.com", "github.com"], &[])));
    all_shut(
        &github,
        &[
            "https://api.github.com/app/installations/1/access_tokens",
            "https://api.github.com/App/installations/1/access_tokens",
            "https://api.github.com/%61pp/installations/1/access_tokens",
            "https://api.github.com//app/installations/1/access_tokens",
            "https://api.github.com/app;x/installations",
            "https://api.github.com/applications/Iv1.x/token",
            "https://api.github.com/authorizations",
            "https://api.github.com/app-manifests/x/conversions",
            "https://api.github.com/repos/o/r/actions/runners/registration-token",
            "https://api.github.com/orgs/o/actions/runners/registration-token",
            "https://api.github.com/repos/o/r/actions/runners/generate-jitconfig",
            "https://api.github.com/credentials/revoke",
            "https://api.github.com/installation/token",
            "https://github.com/login/oauth/access_token",
        ],
    );
    all_open(&github, &["https://api.github.com/apps/x", "https://api.github.com/repos/o/r/actions/runners"]);
    let everywhere = [
        "oauth2.googleapis.com",
        "iamcredentials.googleapis.com",
        "sts.googleapis.com",
        "login.microsoftonline.com",
        "graph.microsoft.com",
        "management.azure.com",
        "github.com",
    ];
    let value = Places::of_value(Some(&rule(&everywhere, &[])));
    all_shut(
        &value,
        &[
            "https://oauth2.googleapis.com/token",
            "https://oauth2.googleapis.com/revoke",
            "https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/a@b.example:generateAccessToken",
            "https://sts.googleapis.com/v1/token",
            "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token",
            "https://graph.microsoft.com/v1.0/applications/1/addPassword",
            "https://graph.microsoft.com/v1.0/applications/1/addPassword()",
            "https://graph.microsoft.com/v1.0/applications/1/addPassword%20",
            "https://graph.microsoft.com/v1.0/applications/1/graph.addPassword.",
            "https://graph.microsoft.com/v1.0/$batch",
            "https://graph.microsoft.com/beta/%24batch",
            "https://graph.microsoft.com/beta/servicePrincipals/1/addKey",
            "https://management.azure.com/batch?api-version=1",
            "https://management.azure.com/subscriptions/1/sites/s/config/publishingcredentials/list",
            "https://management.azure.com/subscriptions/1/triggers/t/listCallbackUrl",
            "https://management.azure.com/subscriptions/1/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/s/listKeys?api-version=1",
            "https://github.com/login/oauth/access_token",
        ],
    );
    all_open(&value, &["https://graph.microsoft.com/v1.0/applications/1", "https://management.azure.com/subscriptions/1"]);
    let okta = login("okta", &[("domain", "dev-1.okta.com")], None);
    all_shut(
        &okta,
        &[
            "https://dev-1.okta.com/api/v1/api-tokens",
            "https://dev-1.okta.com/api/v1/sessions",
            "https://dev-1.okta.com/oauth2/v1/token",
            "https://dev-1.okta.com/api/v1/apps/1",
        ],
    );
    let oauth = login("oauth2", &[], Some(&rule(&["id.example"], &[])));
    all_shut(&oauth, &["https://id.example/oauth/token", "https://id.example/oauth/token/x", "https://id.example/x%2foauth"]);
    all_open(&oauth, &["https://id.example/oauth/userinfo"]);
}

#[test]
fn the_operator_narrows_a_providers_list_and_gives_one_where_there_is_none() {
    let narrowed = login("github", GITHUB, Some(&rule(&["api.github.com", "evil.example"], &["/repos"])));
    all_open(&narrowed, &["https://api.github.com/repos/o/r"]);
    all_shut(&narrowed, &["https://api.github.com/user", "https://evil.example/repos", "https://uploads.github.com/repos/o/r"]);
    assert_eq!(narrowed.hosts(), ["api.github.com"]);
    let key = Places::of_value(Some(&rule(&["api.openai.com", "127.0.0.1:4000"], &["/v1"])));
    all_open(&key, &["https://api.openai.com/v1/models", "http://127.0.0.1:4000/v1"]);
    all_shut(&key, &["https://api.openai.com/v2", "https://openai.com/v1", "http://127.0.0.1:4001/v1"]);
    let free = Places::of_value(Some(&rule(&["git.example"], &[])));
    all_open(&free, &["https://git.example/api/v4/projects/group%2Fproject"]);
    for nowhere in [Places::of_value(None), Places::of_value(Some(&rule(&[], &["/v1"]))), login("oauth2", &[], None)] {
        let error = nowhere.judge(&Target::parse("https://api.openai.com/v1").unwrap()).unwrap_err();
        assert!(error.hint().contains("below [secrets.\"NAME\"]: hosts"), "{error}");
    }
}

#[test]
fn patterns_match_at_the_borders_of_segments() {
    let closed = |pattern: &str, path: &str| {
        let segments: Vec<String> = path.split('/').skip(1).map(str::to_owned).collect();
        is_closed(pattern, &segments)
    };
    for (pattern, path) in [
        ("/", "/x"),
        ("/a", "/a"),
        ("/a", "/A/b"),
        ("/a/*/c", "/a/b/c/d"),
        ("/s/*:mint", "/s/x:Mint"),
        ("/**/keys", "/a/b/keys"),
        ("/**/keys", "/keys"),
        ("/a/**/k*s", "/a/kees/x"),
    ] {
        assert!(closed(pattern, path), "{pattern} {path}");
    }
    for (pattern, path) in
        [("/a", "/ab"), ("/a/*/c", "/a/c"), ("/s/*:mint", "/s/x:minted"), ("/**/keys", "/a/keysx"), ("/a/**/k", "/b/k")]
    {
        assert!(!closed(pattern, path), "{pattern} {path}");
    }
}
