//! Nobody but the operator decides what may be used: not a file that lies there, not the agent.

use super::*;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn what_lies_in_the_platforms_folder_is_inert_until_it_is_approved() {
    let launch = Launch::new();
    let cache = launch.home().join("cache");
    let launch = launch.env("XDG_CACHE_HOME", text(&cache));
    let terminal = Terminal::of(&launch);
    let file = terminal.put("acme.wasm", &Guest::new("acme").bytes());
    let mut broker = launch.ready().await;
    let listed_now = listed(&mut broker).await;
    assert_eq!(names(&listed_now), EMBEDDED);
    let told = told(&listed_now);
    assert!(told.contains("nobody has approved it") && told.contains(&format!("providers add '{}'", file.display())), "{told}");
    let start = json!({ "provider": "acme", "scopes": [], "secret_name": "a" });
    broker.call("start_oauth_flow", start.clone()).await.refused("not_allowed").names(&["nobody has approved", "providers add"]);
    assert!(!cache.exists(), "nothing of it was compiled");

    terminal.providers(&["add", text(&file), "--yes"]).await;
    assert_eq!(names(&listed(&mut broker).await), [&EMBEDDED[..], &["acme"]].concat(), "without a restart");
    broker.call("start_oauth_flow", start).await.refused("not_configured").names(&["ACME_CLIENT_ID"]);
}

/// The section may be written before the component is approved, and says so until then.
#[tokio::test]
async fn an_approved_component_has_its_section_without_naming_the_file() {
    let launch = Launch::new().toml("[providers.acme]\nclient_id = \"me\"\n[providers.acme.limits]\ndeadline_seconds = 20");
    let terminal = Terminal::of(&launch);
    let file = terminal.download("acme.wasm", &Guest::new("acme").bytes());
    let mut broker = launch.ready().await;
    let listed_now = listed(&mut broker).await;
    assert!(told(&listed_now).contains("[providers.acme] configures nothing"), "{listed_now}");
    terminal.providers(&["add", text(&file), "--yes"]).await;
    let listed_now = listed(&mut broker).await;
    assert_eq!(names(&listed_now), [&EMBEDDED[..], &["acme"]].concat());
    assert_eq!(told(&listed_now), "", "nothing is left to say");
    let acme = listed_now["providers"].as_array().unwrap().last().unwrap();
    assert!(!acme["missing"].to_string().contains("ACME_CLIENT_ID"), "{acme}");
}

#[tokio::test]
async fn adding_shows_what_it_asks_for_and_approves_nothing_without_a_yes() {
    let launch = Launch::new();
    let terminal = Terminal::of(&launch);
    let file = terminal.download("new.wasm", &Guest::new("acme").bytes());
    let said = terminal.refused(3, &["add", text(&file)]).await;
    for shown in ["{base}/token", "form.code takes code", "ACME_CLIENT_SECRET", "authorization_code", "--yes"] {
        assert!(said.contains(shown), "{shown} is not in {said}");
    }
    assert!(!terminal.data().join("plugins.lock").exists() && !terminal.data().join("plugins").exists());
}

#[tokio::test]
async fn a_person_at_a_terminal_is_asked() {
    let launch = Launch::new();
    let terminal = Terminal::of(&launch);
    let file = terminal.download("acme.wasm", &Guest::new("acme").bytes());
    for (typed, approved) in [("n", false), ("", false), ("sure", false), ("y", true)] {
        // the least terminal there is: Python's
        let script = "import os,pty,sys\npid,fd=pty.fork()\nif pid==0: os.execv(sys.argv[2],sys.argv[2:])\nsaid=b''\nasked=False\nwhile True:\n  try: got=os.read(fd,4096)\n  except OSError: break\n  if not got: break\n  said+=got\n  if b'[y/N]' in said and not asked: asked=True; os.write(fd,sys.argv[1].encode()+b'\\n')\nsys.stdout.buffer.write(said)\nsys.exit(os.waitstatus_to_exitcode(os.waitpid(pid,0)[1]))";
        let mut command = tokio::process::Command::new("python3");
        command.args(["-c", script, typed]).arg(&terminal.program).args(&terminal.arguments);
        command.args(["providers", "add", text(&file)]).env_clear().envs(&terminal.environment);
        let done = command.output().await.unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(said.contains("Approve these bytes as the provider acme?"), "{said}");
        assert_eq!(done.status.code(), Some(if approved { 0 } else { 4 }), "{typed}: {said}");
        assert_eq!(terminal.data().join("plugins.lock").exists(), approved, "{typed}");
    }
}

/// Whatever an agent calls, with whatever arguments.
#[tokio::test]
async fn no_tool_adds_approves_or_changes_a_plugin() {
    let launch = Launch::new().toml("[policy]\nmax_ttl_seconds = 60");
    let terminal = Terminal::of(&launch);
    let approved = terminal.download("approved.wasm", &Guest::new("approved").bytes());
    terminal.providers(&["add", text(&approved), "--yes"]).await;
    let inert = terminal.put("acme.wasm", &Guest::new("acme").bytes());
    let lock = std::fs::read(terminal.data().join("plugins.lock")).unwrap();
    let mut broker = launch.ready().await;
    let listed_before = listed(&mut broker).await;
    assert_eq!(names(&listed_before), [&EMBEDDED[..], &["approved"]].concat());

    let tools = broker.request("tools/list", json!({})).await["result"]["tools"].as_array().unwrap().clone();
    assert!(tools.len() >= 12, "{}", tools.len());
    for tool in &tools {
        let name = tool["name"].as_str().unwrap();
        let takes = tool["inputSchema"]["properties"].as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
        for word in ["plugin", "component", "approv", "sha256", "digest", "install", "wasm"] {
            assert!(!name.contains(word) && !takes.contains(word), "{name} takes {takes}");
        }
        // only waits
        if name.starts_with("await_") {
            continue;
        }
        let path = text(&inert);
        for provider in ["acme", path, "approved"] {
            let mut arguments = serde_json::Map::new();
            for (member, schema) in tool["inputSchema"]["properties"].as_object().unwrap() {
                let value = match schema["type"].as_str() {
                    Some("array") => json!([]),
                    Some("integer" | "number") => json!(1),
                    Some("boolean") => json!(true),
                    Some("object") => json!({}),
                    _ if member == "provider" => json!(provider),
                    _ => json!(path),
                };
                arguments.insert(member.clone(), value);
            }
            broker.call(name, Value::Object(arguments)).await;
        }
        for extra in ["approve", "component", "plugins", "require_lock", "sha256"] {
            broker.call(name, json!({ extra: path })).await;
        }
    }
    assert_eq!(std::fs::read(terminal.data().join("plugins.lock")).unwrap(), lock);
    let after = listed(&mut broker).await;
    assert_eq!(after, listed_before);
}
