//! For whoever writes a provider: a crate to begin with, and a check that plays the service's side.
//!
//! Both are as far from the running broker as can be. What they share with it is the heart: the check signs in and
//! refreshes through the very functions that an agent's login goes through, with a configuration such as an operator
//! could write.

pub mod check;
pub mod scaffold;
