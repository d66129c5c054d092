//! Floods of calls, requests, texts and results.

use std::io::Write;
use std::sync::Mutex;

use super::*;

/// Does this as often as that, within `resolve`.
fn repeating(times: u32, code: &str) -> Guest {
    Guest::new("guest").resolve(&format!(
        "(local.set $a (i32.const {times}))
         (loop {code} (br_if 0 (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))
         (call $pairs (i32.const 0) (i32.const 0))"
    ))
}

#[tokio::test]
async fn calls_of_the_host_are_counted() {
    let bench = Bench::new().await;
    let flood = repeating(10_001, r#"(call $setting-secret $"nothing" (i32.const 32))"#);
    fault_with(bench.load(&flood).await.resolve().await, "more than 10000 calls of the host");
    let within = repeating(9_999, r#"(call $setting-secret $"nothing" (i32.const 32))"#);
    assert!(bench.load(&within).await.resolve().await.is_ok());
    bench.is_unharmed().await;
}

#[tokio::test]
async fn requests_are_counted() {
    let bench = Bench::new().await;
    let flood = repeating(30, r#"(call $send (call $request $"token" (i32.const 0) (i32.const 0)) (i32.const 32))"#);
    assert!(bench.load(&flood).await.resolve().await.is_ok(), "further ones fail, and the component is told");
    assert_eq!(bench.server.asked(), Limits::STANDARD.requests);
    bench.is_unharmed().await;
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn lines_of_the_log_are_counted_and_bounded_and_marked() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new().await;
    let forged = format!("\\n2026-01-01 ERROR forged {}", "x".repeat(5_000));
    let flood = repeating(500, &format!("(call $log $\"error\" $\"{forged}\")"));
    assert!(bench.load(&flood).await.resolve().await.is_ok());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("forged")).collect();
    assert_eq!(told.len(), 50);
    assert!(told.iter().all(|line| line.contains("guest") && line.len() < 600), "{}", told[0]);
}

#[tokio::test]
async fn a_secret_in_the_log_is_hidden() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let bench = Bench::new().await;
    // it cannot know the secret; a test can
    let telling = repeating(1, r#"(call $log $"error" $"it is the-client-secret")"#);
    bench.load(&telling).await.resolve().await.unwrap();
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("a line that held a secret") && !log.contains("the-client-secret"), "{log}");
}

#[tokio::test]
async fn what_a_call_hands_over_is_bounded() {
    let bench = Bench::new().await;
    // each text within the limit for one text, together 640 MB that the host would have to keep
    let text = "x".repeat(60_000);
    let hoarding = Guest::new("guest").resolve(&format!(
        r#"(local.set $a (i32.const 9000))
           (local.set $b (call $request $"token" (i32.const 0) (i32.const 0)))
           (loop
             (if (i32.eqz (i32.rem_u (local.get $a) (i32.const 60)))
               (then (local.set $b (call $request $"token" (i32.const 0) (i32.const 0)))))
             (call $form (local.get $b) $"a" $"{text}")
             (br_if 0 (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))
           (call $pairs (i32.const 0) (i32.const 0))"#
    ));
    fault_with(bench.load(&hoarding).await.resolve().await, "bytes");
    let one = repeating(1, &format!(r#"(call $log $"info" $"{}")"#, "x".repeat(70_000)));
    fault_with(bench.load(&one).await.resolve().await, "bytes");
    // the name counts as well as the value
    let name = repeating(
        1,
        &format!(r#"(call $form (call $request $"token" (i32.const 0) (i32.const 0)) $"{}" $"")"#, "x".repeat(70_000)),
    );
    fault_with(bench.load(&name).await.resolve().await, "bytes");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_pointer_into_the_depths_does_not_take_the_stack() {
    let bench = Bench::new().await;
    let deep = "/a".repeat(30_000);
    let digging = repeating(
        1,
        &format!(
            r#"(local.set $b (call $request $"token" (i32.const 0) (i32.const 0)))
               (call $json (local.get $b) $"{deep}" $"1") (call $send (local.get $b) (i32.const 32))"#
        ),
    );
    // refused or failed; not the end of the process
    let _ = bench.load(&digging).await.resolve().await;
    assert_eq!(bench.server.asked(), 0);
    bench.is_unharmed().await;
}

/// `resolve` returns this many pairs, each of which is the same two texts of that length.
fn pairs(count: u32, length: u32) -> Guest {
    Guest::new("guest").resolve(&format!(
        "(drop (memory.grow (i32.const 500)))
         (local.set $a (i32.const 0))
         (loop
           (local.set $b (i32.add (i32.const 4194304) (i32.mul (local.get $a) (i32.const 16))))
           (i32.store (local.get $b) (i32.const 2097152))
           (i32.store offset=4 (local.get $b) (i32.const {length}))
           (i32.store offset=8 (local.get $b) (i32.const 2097152))
           (i32.store offset=12 (local.get $b) (i32.const {length}))
           (br_if 0 (i32.lt_u (local.tee $a (i32.add (local.get $a) (i32.const 1))) (i32.const {count}))))
         (call $pairs (i32.const 4194304) (i32.const {count}))"
    ))
}

#[tokio::test]
async fn too_many_pairs_and_too_long_ones_are_refused() {
    let bench = Bench::new().await;
    fault_with(bench.load(&pairs(129, 1)).await.resolve().await, "control characters");
    fault_with(bench.load(&pairs(1, 9_000)).await.resolve().await, "too many pairs, too long ones");
    fault_with(bench.load(&pairs(4, 2)).await.resolve().await, "control characters");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_result_that_would_be_terabytes_on_the_hosts_side_is_not_read() {
    let bench = Bench::new().await;
    // a million pairs that all are the same megabyte
    fault(bench.load(&pairs(1_000_000, 1 << 20)).await.resolve().await);
    // nor is one of five megabytes, which nobody needs
    fault_with(bench.load(&pairs(300, 8_000)).await.resolve().await, "fuel");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_result_outside_of_its_memory_is_none() {
    let bench = Bench::new().await;
    let hundred_megabytes = Guest::new("guest").resolve("(call $pairs (i32.const 8) (i32.const 100000000))");
    fault(bench.load(&hundred_megabytes).await.resolve().await);
    let text = Guest::new("guest").describe("(i32.store (i32.const 4) (i32.const 100000000)) (i32.const 0)");
    let error = bench.load(&text).await.component.describe().await.unwrap_err();
    assert_eq!(error.code().as_str(), "component_fault");
    let crooked = Guest::new("guest").resolve("(call $pairs (i32.const 7) (i32.const 3))");
    fault(bench.load(&crooked).await.resolve().await);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn describe_must_not_ask_the_host_for_anything() {
    let bench = Bench::new().await;
    let attempts = [
        r#"(call $setting $"client_id" (i32.const 32))"#,
        r#"(call $log $"error" $"hello")"#,
        r#"(drop (call $request $"token" (i32.const 0) (i32.const 0)))"#,
    ];
    for attempt in attempts {
        let guest = Guest::new("guest").describe(&format!("{attempt} (call $described)"));
        let error = bench.load(&guest).await.component.describe().await.unwrap_err();
        assert!(error.message().contains("describe must not use the host"), "{error}");
    }
    assert_eq!(bench.server.asked(), 0);
}

/// A table that was looked at is the one that is used.
#[tokio::test]
async fn describe_sees_neither_the_time_nor_chance() {
    // What the clock and chance say becomes the descriptor, as letters.
    let letters =
        |number: &str| format!("(i64.add (i64.and {number} (i64.const 0x0f0f0f0f0f0f0f0f)) (i64.const 0x4141414141414141))");
    let guest = Guest::new("guest")
        .beside(
            r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock (export "now" (func (result u64)))))
               (import "wasi:random/random@0.2.0" (instance $chance (export "get-random-u64" (func (result u64)))))
               (core func $now (canon lower (func $clock "now")))
               (core func $random (canon lower (func $chance "get-random-u64")))"#,
        )
        .lowered("now", "(result i64)")
        .lowered("random", "(result i64)")
        .describe(&format!(
            "(i64.store (i32.const 64) {}) (i64.store (i32.const 72) {})
             (i32.store (i32.const 32) (i32.const 64)) (i32.store (i32.const 36) (i32.const 16)) (i32.const 32)",
            letters("(call $now)"),
            letters("(call $random)")
        ));
    let bench = Bench::new().await;
    let subject = bench.load(&guest).await;
    let first = subject.component.describe().await.unwrap();
    assert_eq!(first.len(), 16);
    assert_eq!(subject.component.describe().await.unwrap(), first);
}
