//! The broker as others meet it: the real binary over its real stdio, signed in at real and look-alike providers.
//!
//! One test binary, since each one links the whole broker; grouped by behaviour. The harness is in `support/`.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "a test fails by panicking, and the harness is a library to the tests beside it"
)]

#[path = "../support/mod.rs"]
mod support;

mod accounts;
mod answers;
mod answers_tokens;
mod architecture;
mod attacks_discovery;
mod attacks_endpoints;
mod attacks_id_token;
mod attacks_mix_up;
mod attacks_token_answers;
mod audit;
mod azure;
mod bad_input;
mod browser_login;
mod canaries;
mod check;
mod cli;
mod clients;
mod compiling;
mod contract;
mod device;
mod drop_ins;
mod exec;
mod flows;
mod git;
mod github;
mod google;
mod idle;
mod lab;
mod login;
mod observer;
mod okta;
#[cfg(unix)]
mod outputs;
mod paste;
mod protocol;
mod protocol_edges;
mod protocol_many;
mod python;
mod refresh;
mod renewal;
mod revocation;
mod sandbox;
mod spending;
mod vault;
mod wrap;
