//! An MCP server behind the broker: `secret:NAME` in a tool's argument becomes the value on the way down, where the
//! operator's file lists that argument, and every known value is taken out of everything on the way up.
//!
//! All else passes byte for byte, in both directions: any revision, any method, any number's form. So nothing is parsed
//! into types and written anew; a line is walked over, and at most a string in it is replaced. Each direction has a thread
//! of its own, which reads no more while the other side does not: no more than a line is held in between.
//!
//! | part | what it is |
//! |---|---|
//! | `json`, `message` | what stands where in a line |
//! | `down` | judges what the agent sends |
//! | `up` | cleans what the server says |
//! | `known` | the values to take out |
//! | `open` | requests without an answer |
//! | `agent`, `lines` | the two ends |
//! | `session` | the threads, and how it ends |

mod agent;
mod down;
mod json;
mod known;
mod lines;
mod message;
mod open;
mod session;
mod up;

pub use session::{Wrapping, run};
