//! Handles that a component was not given, gave back, or takes for something else.

use super::*;

/// An `exchange` that does this with its handles, and then signs in as if nothing were wrong.
fn doing(code: &str) -> Guest {
    let good = Guest::new("guest");
    good.clone().exchange(&format!("{code} (unreachable)"))
}

#[tokio::test]
async fn a_handle_that_was_never_given_is_none() {
    let bench = Bench::new().await;
    for forged in [0, 3, 77, 1000, 0x7fff_ffff, -1] {
        let kind = doing(&format!("(call $kind (i32.const {forged}) (i32.const 32))"));
        fault_with(bench.load(&kind).await.exchange().await, "handle");
        let duplicate = doing(&format!("(drop (call $duplicate (i32.const {forged})))"));
        fault_with(bench.load(&duplicate).await.exchange().await, "handle");
        let tokens = doing(&format!("(drop (call $tokens (i32.const {forged})))"));
        fault_with(bench.load(&tokens).await.exchange().await, "handle");
        let returned = Guest::new("guest").exchange(&format!(
            "(call $return-borrowed (local.get $code) (local.get $verifier)) (call $give (i32.const {forged}))"
        ));
        fault_with(bench.load(&returned).await.exchange().await, "handle");
    }
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_handle_given_back_is_gone() {
    let bench = Bench::new().await;
    let attempts = [
        "(call $drop-secret (local.get $code)) (call $kind (local.get $code) (i32.const 32))",
        "(call $drop-secret (local.get $code)) (call $drop-secret (local.get $code))",
        "(local.set $a (call $duplicate (local.get $code))) (call $drop-secret (local.get $a)) (call $kind (local.get $a) (i32.const 32))",
        "(local.set $a (call $request $\"token\" (i32.const 0) (i32.const 0))) (call $drop-request (local.get $a)) (call $send (local.get $a) (i32.const 32))",
    ];
    for attempt in attempts {
        fault_with(bench.load(&doing(attempt)).await.exchange().await, "handle");
    }
    assert_eq!(bench.server.asked(), 0);
    bench.is_unharmed().await;
}

#[tokio::test]
async fn a_handle_of_one_kind_is_not_taken_for_another() {
    let bench = Bench::new().await;
    let attempts = [
        "(local.set $a (call $request $\"token\" (i32.const 0) (i32.const 0))) (call $kind (local.get $a) (i32.const 32))",
        "(call $send (local.get $code) (i32.const 32))",
        "(call $body (local.get $code) (i32.const 32))",
    ];
    for attempt in attempts {
        fault_with(bench.load(&doing(attempt)).await.exchange().await, "handle");
    }
    // a request in the place of the tokens that `exchange` returns
    let returned = Guest::new("guest").exchange(
        r#"(call $return-borrowed (local.get $code) (local.get $verifier))
           (call $give (call $request $"token" (i32.const 0) (i32.const 0)))"#,
    );
    fault_with(bench.load(&returned).await.exchange().await, "handle");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn what_is_lent_for_a_call_cannot_be_kept() {
    let bench = Bench::new().await;
    let keeping = Guest::new("guest").exchange(r#"(call $fail $"invalid_grant" $"It keeps what it was lent.")"#);
    fault_with(bench.load(&keeping).await.exchange().await, "borrow");
    bench.is_unharmed().await;
}

#[tokio::test]
async fn handles_are_counted() {
    let bench = Bench::new().await;
    let hoarding = doing(
        "(local.set $a (i32.const 2000))
         (loop (drop (call $duplicate (local.get $code)))
           (br_if 0 (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))",
    );
    fault_with(bench.load(&hoarding).await.exchange().await, "table has no free keys");
    let giving_back = Guest::new("guest").exchange(
        r#"(local.set $a (i32.const 2000))
           (loop (call $drop-secret (call $duplicate (local.get $code)))
             (br_if 0 (local.tee $a (i32.sub (local.get $a) (i32.const 1)))))
           (call $return-borrowed (local.get $code) (local.get $verifier)) (call $fail $"invalid_grant" $"Done.")"#,
    );
    assert!(matches!(bench.load(&giving_back).await.exchange().await, Err(Failed::Said(_))), "it is the number held that counts");
    bench.is_unharmed().await;
}
