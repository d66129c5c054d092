//! What each tool answers: the predecessor's shapes, and failures that say what to do.

use serde_json::{Value, json};

use crate::support::broker::{Broker, Launch};

async fn stored(launch: Launch) -> Broker {
    let mut broker = launch.ready().await;
    broker.call("store_secret", json!({ "name": "k", "value": "value-one-1234" })).await.ok();
    broker
}

#[tokio::test]
async fn the_predecessors_answers_come_back_member_by_member() {
    let mut broker = Launch::new().ready().await;
    let answer = broker.call("store_secret", json!({ "name": "k", "value": "v1", "tags": { "team": "a" } })).await.ok();
    assert_eq!(answer, json!({ "success": true, "message": "Secret 'k' stored successfully" }));

    let answer = broker.call("get_secret", json!({ "name": "k", "purpose": "test", "ttl_seconds": 60 })).await.ok();
    let reference = &answer["reference"];
    assert_eq!(uuid::Uuid::parse_str(reference["id"].as_str().unwrap()).unwrap().get_version_num(), 4);
    assert_eq!((&reference["name"], &reference["purpose"], &reference["expiresIn"]), (&json!("k"), &json!("test"), &json!(60)));
    let now = u64::try_from(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let expires = reference["expiresAt"].as_u64().unwrap();
    assert!((now + 50_000..=now + 61_000).contains(&expires), "milliseconds: {expires}");
    assert!(answer["message"].as_str().unwrap().starts_with("Secret reference issued successfully."), "{answer}");

    let mut answer = broker.call("resolve_secret", json!({ "reference_id": reference["id"] })).await.ok();
    assert!(answer.as_object_mut().unwrap().remove("warning").is_some(), "the one member that is new");
    assert_eq!(answer, json!({ "success": true, "value": "v1" }));

    let minting = json!({ "provider": "aws", "scopes": ["s3:GetObject"], "resource": "arn:x", "ttl_seconds": 900 });
    let answer = broker.call("mint_token", minting).await.ok();
    let token = &answer["token"];
    assert_eq!(
        (&token["provider"], &token["scopes"], &token["resource"], &token["expiresIn"]),
        (&json!("aws"), &json!(["s3:GetObject"]), &json!("arn:x"), &json!(900))
    );
    assert_eq!(answer["message"], "Token minted successfully. This token will expire automatically.");

    let stats = broker.call("get_broker_stats", json!({})).await.ok();
    assert_eq!(stats["stats"], json!({ "activeTokens": 1, "activeReferences": 1, "storedSecrets": 1, "pendingFlows": 0 }));

    let answer = broker.call("revoke_token", json!({ "token_id": token["tokenId"] })).await.ok();
    assert_eq!(answer, json!({ "success": true, "message": "Token revoked successfully" }));
    for id in [token["tokenId"].clone(), json!("nope"), json!("")] {
        let answer = broker.call("revoke_token", json!({ "token_id": id })).await;
        assert!(!answer.is_error, "as the predecessor: no error");
        assert_eq!(answer.json, json!({ "success": false, "message": "Token not found or already expired" }));
    }

    let answer = broker.call("get_secret", json!({ "name": "nope", "purpose": "x" })).await;
    answer.refused("unknown_secret").names(&["Secret 'nope' not found", "list_secrets"]);
    broker.call("nope", json!({})).await.refused("invalid_argument").names(&["Unknown tool", "nope"]);
}

#[tokio::test]
async fn every_answer_conforms_to_the_schema_that_its_tool_declares() {
    let mut broker = Launch::new().client("GITHUB", "Iv1.x", Some("github-client-secret")).ready().await;
    let listed = broker.request("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().unwrap().clone();
    assert_eq!(tools.len(), 15);
    let flow = broker.begin_login("github", &["repo"], "github-token").await;
    let calls = [
        ("store_secret", json!({ "name": "k", "value": "v" })),
        ("get_secret", json!({ "name": "k", "purpose": "p" })),
        ("resolve_secret", json!({ "reference_id": "none" })),
        ("mint_token", json!({ "provider": "github", "scopes": ["repo"] })),
        ("revoke_token", json!({ "token_id": "none" })),
        ("get_broker_stats", json!({})),
        ("await_oauth_flow", json!({ "flow_id": "none" })),
        ("start_oauth_flow", json!({ "provider": "github", "scopes": [], "secret_name": "other" })),
        ("list_secrets", json!({})),
        ("list_providers", json!({})),
        ("verify_token", json!({ "token": "none" })),
        ("http_request", json!({ "url": "https://api.github.com/user", "secret": "k", "purpose": "p" })),
        ("read_response", json!({ "response_id": "none", "offset": 0 })),
        ("revoke_secret", json!({ "name": "k" })),
        ("delete_secret", json!({ "name": "k" })),
        ("delete_secret", json!({})),
    ];
    for (tool, arguments) in calls {
        let schema = tools.iter().find(|listed| listed["name"] == tool).unwrap()["outputSchema"].clone();
        let answer = broker.call(tool, arguments).await.json;
        conforms(&schema, &answer, tool);
    }
    drop(flow);
    for tool in &tools {
        let hints = &tool["annotations"];
        let reads = hints["readOnlyHint"] == json!(true);
        assert!(!(reads && hints["destructiveHint"] == json!(true)), "{tool}");
        assert_eq!(tool["inputSchema"]["additionalProperties"], json!(false), "{tool}");
    }
    let read_only: Vec<&str> = tools
        .iter()
        .filter(|tool| tool["annotations"]["readOnlyHint"] == json!(true))
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    let readers = ["read_response", "get_broker_stats", "await_oauth_flow", "list_secrets", "list_providers", "verify_token"];
    assert_eq!(read_only, readers);
}

/// As much of JSON Schema as the tools use; a member that a schema does not name fails.
fn conforms(schema: &Value, value: &Value, place: &str) {
    let kind = match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_u64() || number.is_i64() => "integer",
        _ => "other",
    };
    assert_eq!(schema["type"], kind, "{place}: {value}");
    if let Some(allowed) = schema["enum"].as_array() {
        assert!(allowed.contains(value), "{place}: {value}");
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(value.get(name.as_str().unwrap()).is_some(), "{place} lacks {name}");
    }
    if let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for (name, member) in members {
            let schema = properties.get(name).unwrap_or_else(|| panic!("{place} does not declare {name}"));
            conforms(schema, member, &format!("{place}.{name}"));
        }
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(&schema["items"], item, place);
    }
}

#[tokio::test]
async fn lifetimes_are_capped_and_nonsense_is_refused() {
    let mut broker = stored(Launch::new().toml("[policy]\nmax_ttl_seconds = 7200")).await;
    let get = |ttl: Value| json!({ "name": "k", "purpose": "p", "ttl_seconds": ttl });
    let answer = broker.call("get_secret", get(json!(1_000_000))).await.ok();
    assert_eq!(answer["reference"]["expiresIn"], 7200);
    assert!(answer["message"].as_str().unwrap().contains("7200 seconds only: that is the cap"), "{answer}");
    assert_eq!(broker.call("get_secret", json!({ "name": "k", "purpose": "p" })).await.ok()["reference"]["expiresIn"], 3600);
    for bad in
        [json!(0), json!(-5), json!(1.5), json!("60"), json!("abc"), json!({}), json!([99_999, 1]), json!(true), json!(1e308)]
    {
        broker.call("get_secret", get(bad.clone())).await.refused("invalid_ttl").names(&["7200", "3600"]);
        let mint = json!({ "provider": "github", "scopes": ["repo"], "ttl_seconds": bad });
        broker.call("mint_token", mint).await.refused("invalid_ttl").names(&["7200"]);
    }
    for (provider, maximum) in [("github", 7200), ("oauth2", 7200)] {
        let mint = json!({ "provider": provider, "scopes": ["s"], "ttl_seconds": maximum + 1 });
        broker.call("mint_token", mint).await.refused("invalid_ttl").names(&["exceeds maximum 7200s"]);
    }
    let mut broker = stored(Launch::new()).await;
    let providers = [
        ("github", 28_800),
        ("aws", 43_200),
        ("google", 43_200),
        ("gcp", 43_200),
        ("azure", 43_200),
        ("okta", 43_200),
        ("oauth2", 86_400),
    ];
    for (provider, maximum) in providers {
        let mint = |ttl: u64| json!({ "provider": provider, "scopes": ["s"], "ttl_seconds": ttl });
        assert_eq!(broker.call("mint_token", mint(maximum)).await.ok()["token"]["expiresIn"], maximum);
        broker.call("mint_token", mint(maximum + 1)).await.refused("invalid_ttl");
        let usual = broker.call("mint_token", json!({ "provider": provider, "scopes": ["s"] })).await.ok();
        assert_eq!(usual["token"]["expiresIn"], 3600);
    }
    assert_eq!(broker.call("get_secret", get(json!(10_000_000))).await.ok()["reference"]["expiresIn"], 86_400);
}

#[tokio::test]
async fn a_reference_ends_with_its_value_and_says_why() {
    let mut broker = stored(Launch::new()).await;
    let get = json!({ "name": "k", "purpose": "p" });
    let overwritten = broker.call("get_secret", get.clone()).await.ok()["reference"]["id"].clone();
    broker.call("store_secret", json!({ "name": "k", "value": "value-two" })).await.ok();
    let answer = broker.call("resolve_secret", json!({ "reference_id": overwritten })).await;
    answer.refused("unknown_reference").names(&["another value", "get_secret"]);
    let deleted = broker.call("get_secret", get.clone()).await.ok()["reference"]["id"].clone();
    broker.call("delete_secret", json!({ "name": "k" })).await.ok();
    let answer = broker.call("resolve_secret", json!({ "reference_id": deleted })).await;
    answer.refused("unknown_reference").names(&["deleted"]);
    broker.call("store_secret", json!({ "name": "k", "value": "value-three" })).await.ok();
    broker.call("resolve_secret", json!({ "reference_id": deleted })).await.refused("unknown_reference");
    let short = broker.call("get_secret", json!({ "name": "k", "purpose": "p", "ttl_seconds": 1 })).await.ok();
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    let answer = broker.call("resolve_secret", json!({ "reference_id": short["reference"]["id"] })).await;
    answer.refused("unknown_reference").names(&["expired"]);
    broker.call("get_secret", get).await.ok();
    let stats = broker.call("get_broker_stats", json!({})).await.ok()["stats"].clone();
    let counted = (&stats["storedSecrets"], &stats["activeReferences"]);
    assert_eq!(counted, (&json!(1), &json!(1)), "overwritten, deleted and expired ones are not counted");
}

#[tokio::test]
async fn minted_tokens_are_signed_with_the_key_that_was_set_and_with_no_other() {
    let secret = "a-secret-of-more-than-thirty-two-bytes";
    let claims = json!({ "provider": "github", "scopes": ["repo"], "resource": "https://api.example" });
    for (variable, algorithm) in [(None, "EdDSA"), (Some(secret), "HS256")] {
        let launch = variable.into_iter().fold(Launch::new(), |launch, secret| launch.env("JWT_SECRET", secret));
        let mut broker = launch.ready().await;
        let minted = broker.call("mint_token", claims.clone()).await.ok();
        let token = minted["token"]["token"].as_str().unwrap().to_owned();
        assert_eq!(format!("{:?}", jsonwebtoken::decode_header(&token).unwrap().alg), algorithm);
        let active = broker.call("verify_token", json!({ "token": token })).await.ok();
        let told = &active["claims"];
        assert_eq!(
            (&active["active"], &told["aud"], &told["scope"]),
            (&json!(true), &json!("https://api.example"), &json!("repo"))
        );
        for name in ["iss", "sub", "jti", "iat", "exp", "provider"] {
            assert!(told.get(name).is_some(), "{name}: {told}");
        }
        for key in ["your-secret-key-change-in-production", ""] {
            let key = jsonwebtoken::DecodingKey::from_secret(key.as_bytes());
            let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::HS256);
            validation.validate_aud = false;
            assert!(jsonwebtoken::decode::<Value>(&token, &key, &validation).is_err());
        }
        broker.call("revoke_token", json!({ "token_id": minted["token"]["tokenId"] })).await.ok();
        assert_eq!(broker.call("verify_token", json!({ "token": token })).await.ok()["active"], false);
        assert_eq!(broker.call("verify_token", json!({ "token_id": told["jti"] })).await.ok()["active"], false);
        broker.call("verify_token", json!({})).await.refused("invalid_argument");
        broker.assert_unseen_beside_stdout(&[token.as_str()]);
    }
    let mut broker = Launch::new().env("JWT_SECRET", "too-short-secret").ready().await;
    broker.call("mint_token", claims).await.refused("invalid_configuration").names(&["JWT_SECRET", "32"]);
    broker.finish().await;
    broker.tells("JWT_SECRET").await;
    broker.assert_unseen(&["too-short-secret"]);
}

#[tokio::test]
async fn what_an_agent_does_stands_in_the_audit_trail_without_values() {
    let mut broker = stored(Launch::new()).await;
    let issued = broker.call("get_secret", json!({ "name": "k", "purpose": "list my repositories" })).await.ok();
    let id = issued["reference"]["id"].as_str().unwrap().to_owned();
    broker.call("resolve_secret", json!({ "reference_id": id })).await.ok();
    for purpose in ["", "  ", &"x".repeat(501)] {
        broker
            .call("get_secret", json!({ "name": "k", "purpose": purpose }))
            .await
            .refused("invalid_argument")
            .names(&["purpose"]);
    }
    let trail = broker.finish().await.stderr;
    let lines: Vec<Value> = trail.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let line = |event: &str| lines.iter().find(|line| line["event"] == event).unwrap_or_else(|| panic!("{event}: {trail}"));
    assert_eq!((&line("get_secret")["purpose"], &line("get_secret")["secret"]), (&json!("list my repositories"), &json!("k")));
    assert_eq!(line("get_secret")["reference"], line("resolve_secret")["reference"]);
    assert_eq!(line("get_secret")["client"], "lab 1");
    broker.assert_unseen_beside_stdout(&["value-one-1234", &id]);
}

#[tokio::test]
async fn a_reader_of_standard_error_who_sleeps_holds_nothing_up() {
    let launch = Launch::new();
    let mut command = launch.command();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut child = command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(writer)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    let stdout = child.stdout.take().unwrap();
    let writing = tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let hello = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": { "name": "lab", "version": "1" } } });
        stdin.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
        for id in 1..=3000 {
            let call = json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {
                "name": "store_secret", "arguments": { "name": format!("n{id}"), "value": "v" } } });
            stdin.write_all(format!("{call}\n").as_bytes()).await.unwrap();
        }
        stdin
    });
    use tokio::io::AsyncBufReadExt as _;
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    for expected in 0..=3000 {
        let line = tokio::time::timeout(std::time::Duration::from_secs(60), lines.next_line()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], expected, "answers leave in the order of their calls");
    }
    let start = std::time::Instant::now();
    drop(writing.await.unwrap());
    assert!(child.wait().await.unwrap().success());
    assert!(start.elapsed() < std::time::Duration::from_secs(2), "{:?}", start.elapsed());
    drop(reader);
}

#[tokio::test]
async fn bad_arguments_are_named_and_change_nothing() {
    let mut broker = stored(Launch::new()).await;
    let long = "x".repeat(1 << 21);
    let cases = [
        ("store_secret", json!({}), "name"),
        ("store_secret", json!({ "name": "a" }), "value"),
        ("store_secret", json!({ "name": "a", "value": 1 }), "value"),
        ("store_secret", json!({ "name": "a", "value": "" }), "1048576"),
        ("store_secret", json!({ "name": "a", "value": long }), "1048576"),
        ("store_secret", json!({ "name": 123, "value": "v" }), "name"),
        ("store_secret", json!({ "name": "", "value": "v" }), "1 to 128"),
        ("store_secret", json!({ "name": "a\u{0}b", "value": "v" }), "1 to 128"),
        ("store_secret", json!({ "name": long, "value": "v" }), "1 to 128"),
        ("store_secret", json!({ "name": "a", "value": "v", "tags": ["x"] }), "tags"),
        ("store_secret", json!({ "name": "a", "value": "v", "extra": 1 }), "extra"),
        ("get_secret", json!({ "name": "k" }), "purpose"),
        ("resolve_secret", json!({ "reference_id": 7 }), "reference_id"),
        ("mint_token", json!({ "provider": "github", "scopes": "admin" }), "scopes"),
        ("mint_token", json!({ "provider": "github", "scopes": [1, null, {}] }), "scopes"),
        ("mint_token", json!({ "provider": "github", "scopes": [] }), "scope"),
        ("start_oauth_flow", json!({ "provider": "github", "scopes": [1], "secret_name": "g" }), "scopes"),
        ("start_oauth_flow", json!({ "provider": "github", "secret_name": "g" }), "scopes"),
        ("list_secrets", json!({ "all": true }), "all"),
    ];
    for (tool, arguments, named) in cases {
        let failure = broker.call(tool, arguments).await.refused("invalid_argument");
        failure.names(&[named]);
        assert!(failure.error.len() + failure.hint.len() < 1000, "bounded: {failure:?}");
    }
    let unknown = broker.call("start_oauth_flow", json!({ "provider": "nope", "scopes": [], "secret_name": "g" })).await;
    unknown.refused("unknown_provider").names(&["github", "oauth2"]);
    let custom = broker.call("mint_token", json!({ "provider": "custom", "scopes": ["s"] })).await;
    custom.refused("unknown_provider");
    let listed = broker.call("list_secrets", json!({})).await.ok();
    assert_eq!(listed["secrets"].as_array().unwrap().len(), 1);
    assert_eq!(broker.reveal("k").await, "value-one-1234");
}

#[tokio::test]
async fn unconfigured_providers_name_the_variables_that_are_missing() {
    let mut broker = Launch::new().ready().await;
    let listed = broker.call("list_providers", json!({})).await.ok();
    let cases = [
        ("github", &["GITHUB_CLIENT_ID", "GITHUB_CLIENT_SECRET"][..]),
        ("google", &["GCP_CLIENT_ID"]),
        ("azure", &["AZURE_CLIENT_ID"]),
        ("okta", &["OKTA_CLIENT_ID", "OKTA_DOMAIN"]),
        ("oauth2", &["OAUTH2_CLIENT_ID", "OAUTH2_ISSUER"]),
    ];
    for (provider, variables) in cases {
        let told = listed["providers"].as_array().unwrap().iter().find(|told| told["name"] == provider).unwrap();
        assert_eq!((&told["configured"], &told["login"]), (&json!(false), &json!(true)));
        let missing = told["missing"].to_string();
        let answer = broker.call("start_oauth_flow", json!({ "provider": provider, "scopes": ["a"], "secret_name": "x" })).await;
        let failure = answer.refused("not_configured");
        failure.names(variables);
        for variable in variables {
            assert!(missing.contains(variable), "{missing}");
        }
    }
    let aws = broker.call("start_oauth_flow", json!({ "provider": "aws", "scopes": [], "secret_name": "x" })).await;
    aws.refused("unsupported").names(&["mint_token"]);
}
