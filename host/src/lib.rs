//! The MCP Credentials Broker: an AI agent asks it, over MCP, for a credential; a person signs in with the provider in
//! a browser; the agent gets a short-lived *reference*, and the credential itself goes only where it is spent.
//!
//! The map of the house. Arrows go down only.
//!
//! | room | what it is |
//! |---|---|
//! | [`cli`] | the face to people: one file a command |
//! | [`mcp`] | the face to agents: tools and transport. Translates; decides nothing |
//! | [`author`] | for whoever writes a provider: a crate to begin with, and a check that plays the service's side |
//! | [`broker`] | the heart: secrets, references, flows, refresh, minting. Knows no MCP, no wasmtime |
//! | [`callback`] | the loopback listener that a browser comes back to, and its pages |
//! | [`browser`] | opens the person's browser, and nothing that could touch the MCP stream |
//! | [`vault`] | where secrets rest |
//! | [`providers`] | which components there are, and what the operator set for each |
//! | [`sandbox`] | the only place that names wasmtime: engine, limits, bindings, one call |
//! | [`egress`] | the only place that opens outbound connections: rule, resolve, address, client |
//! | [`redaction`] | takes the values of secrets out of text that comes back |
//! | [`process`] | starts other programs with secrets |
//! | [`wrap`] | an MCP server behind the broker: secrets go in on the way down, and are taken out on the way up |
//! | [`rehearsal`] | authorization servers on loopback, for `demo` and for checking a component |
//! | [`audit`] | who asked for what: on standard error, and beside a vault in a file that shows changes |
//! | [`telemetry`] | what else is written down, on standard error |
//! | [`descriptor`] | what a component says of itself: the table that the operator reads |
//! | [`config`], [`secret`], [`error`], [`pipe`] | the ground |

// Futures within futures, from the server's loop down to a component's call.
#![recursion_limit = "256"]

pub mod audit;
pub mod author;
pub mod broker;
pub mod browser;
pub mod callback;
pub mod cli;
pub mod config;
pub mod descriptor;
pub mod egress;
pub mod error;
pub mod mcp;
pub mod pipe;
pub mod process;
pub mod providers;
pub mod redaction;
pub mod rehearsal;
pub mod sandbox;
pub mod secret;
pub mod telemetry;
pub mod vault;
pub mod wrap;
