//! Spending a secret without showing it.

pub mod policy;
