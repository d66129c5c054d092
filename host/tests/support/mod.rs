//! The lab: what the tests start, drive and search.
//!
//! | module | what it is |
//! |---|---|
//! | [`broker`] | the real binary, its configuration, and a raw JSON-RPC client on its pipes |
//! | [`idp`] | a real OpenID provider (npm `oidc-provider`) on loopback |
//! | [`agent`] | a person without a browser: follows redirects, keeps cookies, fills in forms |
//! | [`browser`] | a person with one: Chromium |
//! | [`lookalike`] | TLS servers that answer as github.com and others do, quirks and faults included |
//! | [`visit`] | a whole login in one step |
//! | [`inside`] | the broker as a library, for what only the command line may do |
//! | [`clients`] | the official SDKs as independent MCP clients |
//! | [`command`] | one command of the binary, with or without a terminal |
//! | [`guest`] | components written as text, to do what no toolchain would let them do |
//! | [`terminal`] | a person who types passphrases |
//! | [`server`] | one answer on loopback, counted |
//! | [`git_server`] | real `git http-backend` over TLS, behind a token |
//! | [`raw`] | a plain server that answers with bytes as they are told |
//! | [`canary`] | finds a secret in bytes, however it is written |
//! | [`vaulted`] | a vault that several processes share |
//! | [`http`], [`process`], [`place`] | the ground |

pub mod agent;
pub mod broker;
pub mod browser;
pub mod canary;
pub mod clients;
pub mod command;
pub mod git_server;
pub mod guest;
pub mod http;
pub mod idp;
pub mod inside;
pub mod lookalike;
pub mod place;
pub mod process;
pub mod raw;
pub mod server;
pub mod terminal;
pub mod vaulted;
pub mod visit;
