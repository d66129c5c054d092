//! What a component does to the machine: computing, memory, tables, stack.

use super::*;

const SHORT: Limits = Limits { computing: Duration::from_millis(200), ..Limits::STANDARD };

#[tokio::test]
async fn an_endless_loop_ends_wherever_it_is() {
    let bench = Bench::new().await;
    let good = Guest::new("guest");
    let in_call = good.clone().resolve("(call $for-ever) (unreachable)");
    fault_with(bench.load(&in_call).await.limited(SHORT).resolve().await, "computed for too long");
    let in_start = good.clone().with("(func $begin (call $for-ever)) (start $begin)");
    fault_with(bench.load(&in_start).await.limited(SHORT).resolve().await, "computed for too long");
    let in_parameters = good.clone().exchange("(call $for-ever) (unreachable)");
    fault_with(bench.load(&in_parameters).await.limited(SHORT).exchange().await, "computed for too long");
    // the host itself calls this one, to hand its arguments over
    let in_realloc = good.realloc("(loop (br 0)) (unreachable)");
    fault_with(bench.load(&in_realloc).await.limited(SHORT).authorization().await, "computed for too long");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn an_endless_describe_ends_within_its_own_limits() {
    let bench = Bench::new().await;
    let start = Instant::now();
    let error = bench.load(&Guest::new("guest").describe("(call $for-ever) (unreachable)")).await.component.describe().await;
    assert!(error.unwrap_err().message().contains("computed for too long"));
    assert!(start.elapsed() < BOUND);
    bench.is_unharmed().await;
}

#[tokio::test(flavor = "current_thread")]
async fn a_looping_component_leaves_the_thread_to_others() {
    let bench = Bench::new().await;
    let looping = bench.load(&Guest::new("guest").resolve("(call $for-ever) (unreachable)")).await.limited(SHORT);
    let good = bench.load(&Guest::new("guest")).await;
    // polled in turn on one thread: the good one is done long before the other is stopped
    let first = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        good.exchange().await.unwrap();
        Instant::now()
    };
    let second = async {
        fault(looping.resolve().await);
        Instant::now()
    };
    let (good, looping) = tokio::join!(first, second);
    assert!(good < looping);
}

#[tokio::test]
async fn waiting_counts_too() {
    let bench = Bench::answering(None).await;
    let limits = Limits { deadline: Duration::from_millis(300), ..Limits::STANDARD };
    let outcome = bench.load(&Guest::new("guest")).await.limited(limits).exchange().await;
    fault_with(outcome, "took longer than");
    assert_eq!(bench.server.asked(), 1);
}

#[tokio::test]
async fn memory_has_an_end() {
    let bench = Bench::new().await;
    let growing = Guest::new("guest").resolve("(drop (memory.grow (i32.const 1100))) (call $pairs (i32.const 0) (i32.const 0))");
    fault_with(bench.load(&growing).await.resolve().await, "memory");
    let at_once = Guest::new("guest").beside("(core module $big (memory 1100)) (core instance (instantiate $big))");
    fault_with(bench.load(&at_once).await.resolve().await, "memory");
    let roomy = Limits { memory_bytes: 128 << 20, ..Limits::STANDARD };
    assert!(bench.load(&growing).await.limited(roomy).resolve().await.is_ok(), "it is the limit that stops it");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn several_memories_share_one_limit() {
    let bench = Bench::new().await;
    let each = "(core module $big (memory 600))".to_owned() + &"(core instance (instantiate $big))".repeat(2);
    fault_with(bench.load(&Guest::new("guest").beside(&each)).await.resolve().await, "memory");
}

#[tokio::test]
async fn tables_and_instances_have_an_end() {
    let bench = Bench::new().await;
    let end = "(call $pairs (i32.const 0) (i32.const 0))";
    let growing = Guest::new("guest")
        .with("(table $t 1 funcref)")
        .resolve(&format!("(drop (table.grow $t (ref.null func) (i32.const 200000))) {end}"));
    fault_with(bench.load(&growing).await.resolve().await, "table");
    let at_once = Guest::new("guest").with("(table $t 200000 funcref)");
    fault_with(bench.load(&at_once).await.resolve().await, "table");
    let several = Guest::new("guest").with(&"(table 60000 funcref)".repeat(2));
    fault_with(bench.load(&several).await.resolve().await, "table");
    let crowd = "(core module $one)".to_owned() + &"(core instance (instantiate $one))".repeat(100);
    fault_with(bench.load(&Guest::new("guest").beside(&crowd)).await.resolve().await, "instance");
    // more than there can be a place for, whatever an operator allows
    let memories = "(core module $one (memory 0))".to_owned() + &"(core instance (instantiate $one))".repeat(70);
    let refused = bench.sandbox.prepare(Guest::new("guest").beside(&memories).bytes()).await.err().unwrap();
    assert_eq!(refused.code().as_str(), "component_rejected");
    assert!(refused.message().contains("71 Wasm linear memories"), "{refused}");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_call_finds_nothing_of_the_one_before_it_however_that_ended() {
    let bench = Bench::new().await;
    // Marks memory that was there and memory that it asked for, a global and a table; traps where it finds a mark.
    let places = [64, 65_000, 70_000, 200_000, 1_000_000, 4_000_000];
    let marks: String = places
        .iter()
        .map(|at| {
            format!(
                "(if (i32.eq (i32.load (i32.const {at})) (i32.const 1234567)) (then (unreachable)))
                 (i32.store (i32.const {at}) (i32.const 1234567))"
            )
        })
        .collect();
    for end in ["(call $pairs (i32.const 0) (i32.const 0))", "(call $for-ever) (unreachable)"] {
        let marking = Guest::new("guest")
            .with("(table $seen 9 funcref) (elem declare func $for-ever) (global $mark (mut i32) (i32.const 0))")
            .resolve(&format!(
                "(drop (memory.grow (i32.const 64))) {marks}
                 (if (global.get $mark) (then (unreachable))) (global.set $mark (i32.const 1))
                 (if (i32.eqz (ref.is_null (table.get $seen (i32.const 3)))) (then (unreachable)))
                 (table.set $seen (i32.const 3) (ref.func $for-ever)) {end}"
            ));
        let subject = bench.load(&marking).await.limited(SHORT);
        for _ in 0..3 {
            match subject.resolve().await {
                Ok(pairs) => assert!(pairs.is_empty()),
                other => fault_with(other, "computed for too long"),
            }
        }
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn of_more_calls_at_once_than_have_a_place_each_gets_its_turn() {
    let bench = Bench::new().await;
    let good = bench.load(&Guest::new("guest")).await;
    // each waits for the server while the others begin
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (component, context) = (good.component.clone(), bench.context());
        calls.spawn(async move {
            let redirect = Url::parse("http://localhost:9876/oauth/callback/guest").unwrap();
            let (code, verifier) = (Secret::from("the-code-of-this-login"), Secret::from("the-verifier-of-this-login"));
            component.exchange(&context, code, verifier, &redirect).await.map_err(|error| format!("{error:?}"))
        });
    }
    for outcome in calls.join_all().await {
        assert_eq!(outcome.unwrap().access.expose(), "an-access-token");
    }
    assert_eq!(bench.server.asked(), 100);
}

#[tokio::test]
async fn a_trap_and_an_endless_recursion_are_told_as_what_they_are() {
    let bench = Bench::new().await;
    let trap = Guest::new("guest").exchange("(unreachable)");
    fault_with(bench.load(&trap).await.exchange().await, "it trapped");
    let recursion = Guest::new("guest")
        .with("(func $deep (param i32) (result i32) (i32.add (i32.const 1) (call $deep (local.get 0))))")
        .exchange("(call $deep (i32.const 0))");
    fault_with(bench.load(&recursion).await.exchange().await, "stack");
    bench.is_unharmed().await;
}
