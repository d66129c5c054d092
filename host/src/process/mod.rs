//! Starts other programs with secrets: in their environment, or in a private file that only they can open. Never in an
//! argument, which every process of the machine can read.
//!
//! This room decides nothing: whether a program may have a secret is `broker/doors`' business. What it does is done so
//! that nothing is left behind: a file goes with the program, and what only the broker needed is not inherited.
//!
//! | part | what it is |
//! |---|---|
//! | `program` | which file a command's name means, and who can change it |
//! | `environment` | what a program inherits, and what not |
//! | `private_file` | a value in a file without a name (Linux), or with mode 0600 |
//! | `start` | puts it together; becomes the program, where nobody has to stay behind |
//! | `supervise` | stays behind: signals, exit code, masked output |
//! | `piped` | stays between: the program's three pipes |
//! | `signals` | what the broker is told to do: for passing on, or to end |
//! | `kept_file` | a file that always holds the current value |

mod environment;
mod kept_file;
mod piped;
mod private_file;
mod program;
mod signals;
mod start;
mod supervise;

pub use environment::not_for_others;
pub use kept_file::KeptFile;
pub use piped::{Child, Piped, piped};
pub use program::{Program, find, loose};
pub use signals::{Signal, Signals, TERMINATED, at_sigterm};
pub use start::{CannotStart, Handed, How, Plan, Ready};
pub use supervise::{exit_code, supervise};
