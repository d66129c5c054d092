//! `cargo bench --bench redaction`: the redactor with a thousand secrets, over long texts and over messages.
#![expect(clippy::unwrap_used, unreachable_pub, reason = "a program for developers")]

mod texts;

use credentials_broker::redaction::Redactor;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use texts::{MESSAGE, TEXT};

#[global_allocator]
static ALLOCATOR: divan::AllocProfiler = divan::AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench]
fn made_of_a_thousand_secrets() -> Redactor {
    texts::redactor()
}

#[divan::bench]
fn ten_megabytes_of_answers(bencher: Bencher<'_, '_>) {
    let (redactor, text) = (texts::redactor(), texts::answers(TEXT));
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| redactor.redact(black_box(&text)));
}

#[divan::bench]
fn ten_megabytes_of_base64(bencher: Bencher<'_, '_>) {
    let (redactor, text) = (texts::redactor(), texts::file_in_base64(TEXT));
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| redactor.redact(black_box(&text)));
}

#[divan::bench]
fn a_message(bencher: Bencher<'_, '_>) {
    let (redactor, text) = (texts::redactor(), texts::answers(MESSAGE));
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| redactor.redact(black_box(&text)));
}

#[divan::bench]
fn ten_megabytes_in_chunks_of_a_pipe(bencher: Bencher<'_, '_>) {
    let (redactor, text) = (texts::redactor(), texts::answers(TEXT));
    bencher.counter(BytesCount::of_slice(&text)).bench_local(|| {
        let mut stream = redactor.stream();
        let mut length = 0;
        for chunk in text.chunks(64 * 1024) {
            length += stream.push(black_box(chunk)).len();
        }
        length + stream.finish().len()
    });
}
