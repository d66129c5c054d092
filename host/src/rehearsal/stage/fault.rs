//! The ways in which a token endpoint goes wrong in practice.

/// What the token endpoint does instead of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It says no, in the service's own words where the fixtures have them.
    Refused,
    /// It says no, with status 200.
    RefusedWith200,
    /// `expires_in` comes as a text.
    TextExpiry,
    /// There is no refresh token in the answer.
    NoRefreshToken,
    /// Status 503 with `Retry-After`.
    Busy,
    /// A redirect to another address.
    Redirect,
    /// A page for people, with status 200.
    Page,
    /// An answer that does not end soon.
    Huge,
    /// No answer at all.
    Hanging,
}

impl Fault {
    /// What `Retry-After` says, in seconds.
    pub const RETRY_AFTER: u32 = 7;
}
