//! Whether a secret may be put into an argument of a wrapped server's tool.

use crate::config::doors::Place;
use crate::secret::SecretName;

/// An argument of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot<'a> {
    /// The tool.
    pub tool: &'a str,
    /// The steps into its arguments.
    pub argument: Vec<String>,
}

impl Spot<'_> {
    /// As a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        self.argument.iter().map(|step| format!("/{}", step.replace('~', "~0").replace('/', "~1"))).collect()
    }
}

/// Whether the operator listed it: this tool, this argument, this secret, and exactly this text before it.
#[must_use]
pub fn placed(places: &[Place], spot: &Spot<'_>, prefix: &str, secret: &SecretName) -> bool {
    places.iter().any(|place| {
        (place.tool == "*" || place.tool == spot.tool)
            && place.argument == spot.argument
            && place.prefix == prefix
            && place.secret == *secret
    })
}
