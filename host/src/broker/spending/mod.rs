//! Spending a secret without showing it: a request that the broker sends, and what holds for every other way.
//!
//! What decides is pure: an address is read ([`target`]), held against where the secret may be spent ([`place`]), against
//! the operator's word ([`policy`]) and the reference's limits ([`limits`]); headers come from lists ([`headers`]). Only
//! then is the secret looked at, and the request sent ([`request`]). What comes back is redacted ([`known`]) before it is
//! cut ([`answers`]).

pub mod answers;
pub mod headers;
pub mod known;
pub mod limits;
pub mod place;
pub mod policy;
pub mod request;
pub mod target;
