//! The real binary: how it is started, and a raw JSON-RPC client on its pipes. Whatever it writes is kept, so that a
//! test can search all of it.

mod answer;
mod launch;
mod process;

pub use answer::ToolAnswer;
pub use launch::Launch;
pub use process::Broker;
