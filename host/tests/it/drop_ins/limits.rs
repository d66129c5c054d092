//! What one component may use up, narrowed and widened by the operator for that component alone.

use super::*;

/// A provider of that name whose login begins with this.
fn doing(name: &str, code: &str) -> Guest {
    Guest::new(name).resolve(&format!("{code} (call $pairs (i32.const 0) (i32.const 0))"))
}

async fn begin(broker: &mut Broker, name: &str) -> crate::support::broker::ToolAnswer {
    let start = json!({ "provider": name, "scopes": [], "secret_name": format!("{name}-token") });
    broker.call("start_oauth_flow", start).await
}

fn ready(launch: Launch, name: &str) -> Launch {
    let prefix = name.to_ascii_uppercase();
    launch.client(&prefix, "me", None).env(&format!("{prefix}_BASE"), "https://acme.example")
}

#[tokio::test]
async fn each_limit_is_the_operators_to_narrow_and_to_widen_for_one_component() {
    const LOOP: &str =
        "(local.set $a (i32.const 12000)) (loop CALL (br_if 0 (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))";
    let calls = LOOP.replace("CALL", r#"(call $setting-secret $"nothing" (i32.const 32))"#);
    let one_call = r#"(call $setting-secret $"nothing" (i32.const 32)) "#.repeat(20);
    let crowd = "(core module $one)".to_owned() + &"(core instance (instantiate $one))".repeat(100);
    let growing = "(drop (memory.grow (i32.const 1100)))";
    let table = "(drop (table.grow $t (ref.null func) (i32.const 150000)))";
    let cases = [
        (doing("wide", growing), "memory_mib = 128", true),
        (doing("wide", growing), "", false),
        (doing("narrow", "(drop (memory.grow (i32.const 200)))"), "memory_mib = 8", false),
        (doing("narrow", "(drop (memory.grow (i32.const 200)))"), "", true),
        (doing("wide", &calls), "host_calls = 20000", true),
        (doing("wide", &calls), "", false),
        (doing("narrow", &one_call), "host_calls = 10", false),
        (doing("wide", table).with("(table $t 1 funcref)"), "table_elements = 200000", true),
        (doing("wide", table).with("(table $t 1 funcref)"), "", false),
        (doing("wide", "").beside(&crowd), "instances = 200", true),
        (doing("wide", "").beside(&crowd), "", false),
        (doing("narrow", "(call $for-ever)"), "computing_seconds = 1", false),
    ];
    for (guest, limits, good) in cases {
        let name = if guest.bytes().windows(4).any(|word| word == b"wide") { "wide" } else { "narrow" };
        let launch = ready(Launch::new(), name);
        let folder = Folder::of(&launch);
        folder.put_guest(&guest, "guest.wasm");
        let mut launch = with_plugins(launch, &folder);
        if !limits.is_empty() {
            launch = launch.toml(&format!("[providers.{name}.limits]\n{limits}"));
        }
        let mut broker = launch.ready().await;
        let answer = begin(&mut broker, name).await;
        if good {
            answer.pending();
        } else {
            answer.refused("component_fault").names(&[name]);
        }
        // the next provider is not touched by it
        broker.call("mint_token", json!({ "provider": "github", "scopes": ["repo"] })).await.ok();
    }
}

#[tokio::test]
async fn a_limit_outside_of_its_bounds_is_an_error_of_the_file() {
    for wrong in ["memory_mib = 100000", "deadline_seconds = 0", "requests = \"many\"", "fuel = 3"] {
        let launch = Launch::new().toml(&format!("[providers.github.limits]\n{wrong}"));
        let ended = launch.start().ended().await;
        assert_eq!(ended.status.code(), Some(2), "{wrong}");
        assert!(ended.stderr.contains("[providers.github] limits"), "{wrong}: {}", ended.stderr);
    }
}

/// As in a container that is given little of it: no place for all calls at once is set aside then.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn where_address_space_is_short_components_run_all_the_same() {
    let launch = Launch::new();
    let file = launch.home().join("acme.wasm");
    std::fs::write(&file, Guest::new("acme").bytes()).unwrap();
    mode(&file, 0o644);
    let mut terminal = Terminal::of(&launch);
    let program = std::mem::replace(&mut terminal.program, "sh".into());
    // in KiB: enough for one component's memory, which has 4 GiB of addresses
    let limited = "ulimit -v 12000000 && exec \"$0\" \"$@\"";
    terminal.arguments.splice(0..0, ["-c", limited, program.to_str().unwrap()].map(str::to_owned));
    let json = terminal.providers(&["inspect", file.to_str().unwrap(), "--json"]).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["descriptor"]["name"], "acme");
}
