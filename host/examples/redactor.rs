//! How much text the redactor takes a thousand secrets out of in a second, for `cargo xtask bench`, which reads the one
//! line of JSON. `cargo bench --bench redaction` says more.
#![expect(clippy::unwrap_used, clippy::print_stdout, unreachable_pub, reason = "a program for `cargo xtask bench`")]

#[path = "../benches/redaction/texts.rs"]
mod texts;

use std::hint::black_box;
use std::time::Instant;

use texts::{MESSAGE, SECRETS, TEXT};

const ROUNDS: usize = 9;

fn main() {
    let made = middle(|| {
        black_box(texts::redactor());
    });
    let redactor = texts::redactor();
    let per_second = |text: &[u8]| {
        TEXT as f64
            / 1e6
            / middle(|| {
                black_box(redactor.redact(black_box(text)));
            })
    };
    let (answers, base64) = (texts::answers(TEXT), texts::file_in_base64(TEXT));
    let mut stream = redactor.stream();
    let streamed = middle(|| {
        for chunk in answers.chunks(64 * 1024) {
            black_box(stream.push(black_box(chunk)));
        }
        black_box(stream.finish());
    });
    let message = texts::answers(MESSAGE);
    let of_message = middle(|| {
        for _ in 0..1000 {
            black_box(redactor.redact(black_box(&message)));
        }
    });
    println!(
        "{}",
        serde_json::json!({
            "secrets": SECRETS, "made_ms": made * 1e3,
            "answers_mb_s": per_second(&answers), "base64_mb_s": per_second(&base64),
            "stream_mb_s": TEXT as f64 / 1e6 / streamed, "message_us": of_message * 1e3,
        })
    );
}

/// The middle one of the rounds, in seconds.
fn middle(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            work();
            begun.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[ROUNDS / 2]
}
