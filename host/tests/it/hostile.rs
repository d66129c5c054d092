//! Components that break every rule, in the real sandbox: each is stopped, named, and harmless to the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use credentials_broker::config;
use credentials_broker::descriptor::Descriptor;
use credentials_broker::descriptor::settings::Settings;
use credentials_broker::egress::Egress;
use credentials_broker::error::{Code, Error};
use credentials_broker::sandbox::{Context, Failed, Sandbox};
use credentials_broker::secret::Secret;
use url::Url;

use crate::support::component::{Component, PLAIN};

fn context() -> Context {
    Context {
        descriptor: Arc::new(Descriptor::parse(PLAIN).unwrap()),
        settings: Arc::new(Settings::default()),
        resolved: Arc::new(BTreeMap::new()),
        egress: Egress::new(&config::Egress::default()).unwrap(),
    }
}

/// The fault of a component in a sandbox in which a sound one works right after.
async fn described(component: Component) -> Error {
    let sandbox = Sandbox::new(None).unwrap();
    let start = Instant::now();
    let fault = sandbox.prepare(component.build()).await.unwrap().describe().await.unwrap_err();
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    assert_eq!(fault.code(), Code::ComponentFault);
    let sound = sandbox.prepare(Component::new(PLAIN).build()).await.unwrap();
    assert_eq!(sound.describe().await.unwrap(), PLAIN, "another component is none the worse");
    fault
}

async fn resolved(component: Component) -> Error {
    let prepared = Sandbox::new(None).unwrap().prepare(component.build()).await.unwrap();
    match prepared.resolve(&context()).await {
        Err(Failed::Fault(error)) => error,
        other => panic!("no fault: {other:?}"),
    }
}

#[tokio::test]
async fn a_loop_is_stopped_in_a_call_and_in_the_start_function() {
    let looping = Component::new(PLAIN).describe("(loop (br 0)) unreachable");
    assert!(described(looping).await.message().contains("computed for too long"));
    let starting = Component::new(PLAIN).with("(func $forever (loop (br 0))) (start $forever)");
    assert!(described(starting).await.message().contains("computed for too long"));
}

#[tokio::test]
async fn memory_and_tables_do_not_grow_without_end() {
    let memory = Component::new(PLAIN).describe("(drop (memory.grow (i32.const 4096))) i32.const 8");
    assert!(described(memory).await.message().contains("grow"), "256 MiB");
    let table = Component::new(PLAIN).describe("(drop (table.grow $table (ref.null func) (i32.const 10000000))) i32.const 8");
    assert!(described(table).await.message().contains("grow"));
}

#[tokio::test]
async fn a_trap_names_itself() {
    let fault = described(Component::new(PLAIN).describe("unreachable")).await;
    assert!(fault.message().contains("trapped") && fault.hint().contains("author"), "{fault}");
}

#[tokio::test]
async fn an_answer_of_impossible_size_is_refused() {
    // 100 MB that are not there
    let huge = "(i32.store (i32.const 12) (i32.const 100000000)) i32.const 8";
    described(Component::new(PLAIN).describe(huge)).await;
    let wild = "i32.const 2147483640";
    described(Component::new(PLAIN).describe(wild)).await;
}

#[tokio::test]
async fn describe_must_not_use_the_host() {
    let talking = "(call $log (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4)) i32.const 8";
    assert!(described(Component::new(PLAIN).describe(talking)).await.message().contains("must not use the host"));
}

#[tokio::test]
async fn a_flood_of_host_calls_is_cut_off() {
    let flood = "(loop (call $log (i32.const 1024) (i32.const 4) (i32.const 1024) (i32.const 4)) (br 0)) unreachable";
    let fault = resolved(Component::new(PLAIN).resolve(flood)).await;
    assert!(fault.message().contains("more than 10000 calls"), "{fault}");
}

#[tokio::test]
async fn a_handle_that_was_never_given_is_worth_nothing() {
    for forged in [0, 1, 7, 1_000_000] {
        let forging = format!("(call $kind (i32.const {forged}) (i32.const 512)) unreachable");
        let fault = resolved(Component::new(PLAIN).resolve(&forging)).await;
        assert!(!fault.message().contains("unreachable"), "{forged}: the forged handle itself is what fails: {fault}");
    }
}

#[tokio::test]
async fn a_lent_handle_cannot_be_used_after_it_was_let_go_nor_handed_back_as_tokens() {
    let sandbox = Sandbox::new(None).unwrap();
    let url = Url::parse("http://localhost:9876/oauth/callback").unwrap();
    // parameters: code, verifier, redirect URI (pointer, length)
    let used_after = "(call $drop_secret (local.get 0)) (call $kind (local.get 0) (i32.const 512)) unreachable";
    // result<tokens, failure>: case 0 with the code's own handle
    let handed_back = "(i32.store8 (i32.const 512) (i32.const 0)) (i32.store (i32.const 516) (local.get 0)) i32.const 512";
    for instructions in [used_after, handed_back] {
        let prepared = sandbox.prepare(Component::new(PLAIN).exchange(instructions).build()).await.unwrap();
        let outcome = prepared.exchange(&context(), Secret::from("code-canary"), Secret::from("verifier-canary"), &url).await;
        let Err(Failed::Fault(fault)) = outcome else { panic!("no fault: {outcome:?}") };
        assert!(fault.code() == Code::ComponentFault && !fault.to_string().contains("canary"), "{fault}");
    }
}

#[tokio::test]
async fn describe_sees_neither_the_time_nor_chance() {
    // What the clock and chance say becomes the descriptor, as text.
    let letters =
        |number: &str| format!("(i64.add (i64.and {number} (i64.const 0x0f0f0f0f0f0f0f0f)) (i64.const 0x4141414141414141))");
    let component = Component::new(PLAIN).with_wasi().describe(&format!(
        "(call $now (i32.const 2048))
         (i64.store (i32.const 3072) {})
         (i64.store (i32.const 3080) {})
         (i64.store (i32.const 3088) {})
         (i32.store (i32.const 8) (i32.const 3072)) (i32.store (i32.const 12) (i32.const 24)) i32.const 8",
        letters("(i64.load (i32.const 2048))"),
        letters("(i64.load32_u (i32.const 2056))"),
        letters("(call $random)")
    ));
    let prepared = Sandbox::new(None).unwrap().prepare(component.build()).await.unwrap();
    let first = prepared.describe().await.unwrap();
    assert_eq!(first.len(), 24, "seconds, nanoseconds, random number");
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(prepared.describe().await.unwrap(), first, "a table that was looked at is the one that is used");
}
