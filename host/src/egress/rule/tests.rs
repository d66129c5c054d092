//! The rule, URL by URL.

use super::*;

fn rules(change: impl FnOnce(&mut config::Egress)) -> Rules {
    let mut config = config::Egress::default();
    change(&mut config);
    Rules::new(&config).unwrap()
}

fn route(rules: &Rules, url: &str) -> Result<Route, Refusal> {
    rules.route(&Url::parse(url).unwrap())
}

fn lookup(name: &str) -> Route {
    Route::Lookup(name.to_owned())
}

#[test]
fn https_to_a_name_or_a_public_address_is_let_through() {
    let rules = Rules::default();
    assert_eq!(route(&rules, "https://github.com/login"), Ok(lookup("github.com")));
    assert_eq!(route(&rules, "HTTPS://GitHub.COM:8443/"), Ok(lookup("github.com")));
    assert_eq!(route(&rules, "https://140.82.112.3/"), Ok(Route::Literal));
    assert_eq!(route(&rules, "https://[2606:50c0::1]/"), Ok(Route::Literal));
}

#[test]
fn names_are_compared_as_the_url_parser_writes_them() {
    let rules = Rules::default();
    // Cyrillic letters are another name, and full-width ones are the same.
    assert_eq!(route(&rules, "https://gіthub.com/"), Ok(lookup("xn--gthub-n2e.com")));
    assert_eq!(route(&rules, "https://ｇithub.com/"), Ok(lookup("github.com")));
    assert_eq!(route(&rules, "https://api.github.com.evil.example/"), Ok(lookup("api.github.com.evil.example")));
}

#[test]
fn other_schemes_users_final_dots_and_port_0_are_refused() {
    let rules = Rules::default();
    for url in
        ["ftp://github.com/", "file:///etc/passwd", "javascript:alert(1)", "data:text/plain,x", "ws://github.com/", "unix:/run/x"]
    {
        assert!(matches!(route(&rules, url), Err(Refusal::Scheme(_))), "{url}");
    }
    for url in ["https://api.github.com@evil.example/", "https://a:b@github.com/", "https://:b@github.com/"] {
        assert!(matches!(route(&rules, url), Err(Refusal::UserInfo(_))), "{url}");
    }
    for url in ["https://github.com./", "https://github.com:0/", "https://localhost./"] {
        assert!(matches!(route(&rules, url), Err(Refusal::Form(_))), "{url}");
    }
}

#[test]
fn plain_http_is_for_listed_loopback_addresses_only() {
    let rules = rules(|egress| {
        egress.allow_loopback = vec!["127.0.0.1:3960".parse().unwrap(), "[::1]:3961".parse().unwrap()];
        egress.allow_private = vec!["10.0.0.0/8".to_owned()];
        egress.resolve.insert("idp.example:80".to_owned(), "127.0.0.1:3960".parse().unwrap());
    });
    for url in ["http://127.0.0.1:3960/", "https://127.0.0.1:3960/", "http://[::1]:3961/"] {
        assert_eq!(route(&rules, url), Ok(Route::Literal), "{url}");
    }
    assert_eq!(route(&rules, "http://localhost:3960/"), Ok(Route::Pinned("127.0.0.1:3960".parse().unwrap())));
    assert_eq!(route(&rules, "https://localhost:3961/"), Ok(Route::Pinned("[::1]:3961".parse().unwrap())));
    for url in
        ["http://github.com/", "http://140.82.112.3/", "http://10.0.0.1/", "http://idp.example/", "http://idp.example:3960/"]
    {
        assert!(matches!(route(&rules, url), Err(Refusal::PlainHttp(_))), "{url}");
    }
    for url in ["http://127.0.0.1:3961/", "http://127.0.0.2:3960/", "http://[::1]:3960/"] {
        assert!(matches!(route(&rules, url), Err(Refusal::Address(_, _, Class::Loopback))), "{url}");
    }
    for url in ["http://localhost/", "http://localhost:3962/", "http://x.localhost:3960/"] {
        assert!(matches!(route(&rules, url), Err(Refusal::Name(_, _, Class::Loopback))), "{url}");
    }
}

#[test]
fn every_way_to_write_a_special_address_is_seen_through() {
    let rules = Rules::default();
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://１２７.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://0.0.0.0/",
        "https://[::]/",
        "https://10.1.2.3/",
        "https://169.254.169.254/latest/meta-data/",
        "https://[fe80::1]/",
        "https://[fd00:ec2::254]/",
        "https://100.64.0.1/",
        "https://224.0.0.1/",
        "https://192.0.2.1/",
    ] {
        assert!(matches!(route(&rules, url), Err(Refusal::Address(..))), "{url}");
    }
}

#[test]
fn a_refused_private_address_comes_with_the_line_that_allows_it_and_the_line_does() {
    let error = Error::from(route(&Rules::default(), "https://10.1.2.3/secret").unwrap_err());
    assert!(error.hint().ends_with("below [egress]: allow_private = [\"10.1.2.3/32\"]"), "{error}");
    assert!(!error.to_string().contains("secret"));
    let rules = rules(|egress| egress.allow_private = vec!["10.1.2.3/32".to_owned()]);
    assert_eq!(route(&rules, "https://10.1.2.3/"), Ok(Route::Literal));
    assert_eq!(route(&rules, "https://[::ffff:10.1.2.3]/"), Ok(Route::Literal));
    assert!(route(&rules, "https://10.1.2.4/").is_err());
}

#[test]
fn a_proxy_takes_what_is_not_loopback_and_the_rule_holds_as_before() {
    let proxy = Url::parse("http://proxy.example:3128").unwrap();
    let rules = rules(|egress| {
        egress.proxy = Some(proxy.clone());
        egress.allow_loopback = vec!["127.0.0.1:3960".parse().unwrap()];
    });
    assert_eq!(route(&rules, "https://github.com/"), Ok(Route::Proxy(proxy.clone())));
    assert_eq!(route(&rules, "https://140.82.112.3/"), Ok(Route::Proxy(proxy)));
    assert_eq!(route(&rules, "http://127.0.0.1:3960/"), Ok(Route::Literal));
    for url in ["https://10.0.0.1/", "https://localhost/", "https://x.localhost/", "https://127.0.0.1/", "http://github.com/"] {
        assert!(route(&rules, url).is_err(), "{url}");
    }
}

#[test]
fn keys_of_resolve_are_names_in_any_case_with_a_port() {
    let rules = rules(|egress| {
        egress.resolve.insert("GitHub.com:443".to_owned(), "127.0.0.1:8443".parse().unwrap());
    });
    assert_eq!(route(&rules, "https://github.com/"), Ok(Route::Pinned("127.0.0.1:8443".parse().unwrap())));
    assert_eq!(route(&rules, "https://github.com:8443/"), Ok(lookup("github.com")));
}

#[test]
fn lists_that_mean_nothing_or_too_much_are_refused() {
    let refused = |change: fn(&mut config::Egress)| {
        let mut config = config::Egress::default();
        change(&mut config);
        let error = Rules::new(&config).unwrap_err();
        assert_eq!(error.code(), Code::InvalidConfiguration);
        assert!(error.message().starts_with("[egress] ") && !error.hint().is_empty(), "{error}");
    };
    refused(|egress| egress.allow_loopback = vec!["10.0.0.1:443".parse().unwrap()]);
    refused(|egress| egress.allow_loopback = vec!["127.0.0.1:0".parse().unwrap()]);
    refused(|egress| egress.allow_private = vec!["0.0.0.0/0".to_owned()]);
    for place in ["github.com", "github.com:https", "github.com:0", "github.com.:443", "10.0.0.1:443", ":443"] {
        let mut config = config::Egress::default();
        config.resolve.insert(place.to_owned(), "127.0.0.1:8443".parse().unwrap());
        assert!(Rules::new(&config).is_err(), "{place}");
    }
    refused(|egress| {
        egress.resolve.insert("a.example:443".to_owned(), "169.254.169.254:80".parse().unwrap());
    });
    refused(|egress| {
        egress.resolve.insert("a.example:443".to_owned(), "0.0.0.0:80".parse().unwrap());
    });
    refused(|egress| {
        egress.resolve.insert("a.example:443".to_owned(), "127.0.0.1:0".parse().unwrap());
    });
    for proxy in
        ["https://proxy.example", "http://user:pass@proxy.example", "socks5://proxy.example:1080", "http://proxy.example/x"]
    {
        let config = config::Egress { proxy: Some(Url::parse(proxy).unwrap()), ..Default::default() };
        let error = Rules::new(&config).unwrap_err();
        assert!(!error.to_string().contains("pass@"), "{error}");
    }
}
