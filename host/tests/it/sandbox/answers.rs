//! Servers whose answers are made to hold the broker up, or to say a secret in a way that is overlooked.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::*;
use crate::support::canary::assert_unseen;

/// Reads the whole answer of the token endpoint and says it in a failure, 280 characters of it.
fn reader() -> Guest {
    Guest::new("guest").exchange(
        r#"(local.set $a (call $request $"token" (i32.const 0) (i32.const 0)))
           (call $form-secret (local.get $a) $"code" (local.get $code))
           (call $return-borrowed (local.get $code) (local.get $verifier))
           (call $send (local.get $a) (i32.const 32))
           (if (i32.load8_u (i32.const 32)) (then (return (call $fail $"invalid_grant" $"no answer"))))
           (call $body (i32.load (i32.const 36)) (i32.const 48))
           (call $log $"info" (i32.load (i32.const 48)) (i32.load (i32.const 52)))
           (call $fail $"seen" (i32.load (i32.const 48)) (i32.load (i32.const 52)))"#,
    )
}

async fn seen(answer: serde_json::Value) -> String {
    let bench = Bench::answering(Some(answer.to_string())).await;
    match bench.load(&reader()).await.exchange().await {
        Err(Failed::Said(failure)) if failure.code == "seen" => failure.message,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_secret_is_recognized_in_every_usual_writing() {
    let code = "the-code-of-this-login";
    let throughout: String = code.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mixed: String =
        code.bytes().enumerate().map(|(i, b)| if i % 2 == 0 { format!("%{b:02x}") } else { char::from(b).to_string() }).collect();
    let hex: String = code.bytes().map(|byte| format!("{byte:02X}")).collect();
    let writings = [
        code.to_owned(),
        throughout,
        mixed,
        hex,
        STANDARD.encode(code),
        STANDARD.encode(format!("x{code}")),
        STANDARD.encode(format!("xy{code}")),
        json!({ "code": code }).to_string(),
    ];
    for writing in writings {
        let told = seen(json!({ "error": "e", "error_description": format!("see {writing}"), writing.clone(): 1, "n": 7 })).await;
        assert!(told.contains("'n':7") && told.contains("'error':'e'"), "the control: {told}");
        assert!(!told.contains("see "), "{writing}: {told}");
        assert_unseen(&writing, told.as_bytes(), [code]);
    }
}

#[tokio::test]
async fn a_secret_that_is_a_number_is_recognized() {
    let bench = Bench::answering(Some(r#"{"error":"e","user":1234567890123,"n":7}"#.to_owned())).await;
    let subject = bench.load(&reader()).await;
    let redirect = Url::parse("http://localhost:9876/oauth/callback/guest").unwrap();
    let code = Secret::from("1234567890123");
    let outcome = subject.component.exchange(&bench.context(), code, Secret::from("the-verifier"), &redirect).await;
    let Err(Failed::Said(failure)) = outcome else { panic!("{outcome:?}") };
    assert!(failure.message.contains("'n':7") && !failure.message.contains("1234567890123"), "{failure:?}");
}

#[tokio::test]
async fn an_answer_full_of_secrets_does_not_hold_the_broker_up() {
    let many: serde_json::Map<_, _> = (0..30_000).map(|i| (format!("name-{i:07}"), json!(format!("secret-{i:07}")))).collect();
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let same = format!(r#"{{"error":"{}","x":"{}"}}"#, "a".repeat(400_000), "a".repeat(300_000));
    let prefixes: Vec<String> = (0..20_000).map(|i| format!("aaaaaaaaaaaa{i}")).collect();
    let prefixes = json!({ "error": "a".repeat(400_000), "list": prefixes }).to_string();
    for body in [json!(many).to_string(), deep, same, prefixes] {
        let bench = Bench::answering(Some(body)).await;
        // whatever comes of it, it comes in bounded time: `exchange` says so
        let _ = bench.load(&reader()).await.exchange().await;
        let _ = bench.load(&Guest::new("guest")).await.exchange().await;
    }
}

#[tokio::test]
async fn an_answer_without_end_is_too_large() {
    let bench = Bench::answering(Some(format!(r#"{{"access_token":"{}"}}"#, "a".repeat(2 << 20)))).await;
    let outcome = bench.load(&Guest::new("guest")).await.exchange().await;
    assert!(matches!(&outcome, Err(Failed::Said(failure)) if failure.code == "invalid_grant"), "{outcome:?}");
}
