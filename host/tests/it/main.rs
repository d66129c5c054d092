//! The broker as others meet it: the real binary over its real stdio, signed in at real and look-alike providers.
//!
//! One test binary, since each one links the whole broker; grouped by behaviour. The harness is in `support/`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    unreachable_pub,
    reason = "a test fails by panicking, and the harness is a library to the tests beside it"
)]

#[path = "../support/mod.rs"]
mod support;

mod architecture;
mod drop_ins;
mod lab;
mod observer;
mod sandbox;
