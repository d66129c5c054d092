//! Whether a secret may be put into an argument of a wrapped server's tool.

use crate::config::doors::{Place, Step};
use crate::secret::SecretName;

/// An argument of a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot<'a> {
    /// The tool.
    pub tool: &'a str,
    /// The steps into its arguments.
    pub argument: &'a [Step],
}

impl Spot<'_> {
    /// As a JSON Pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        self.argument.iter().map(|step| format!("/{}", step.in_pointer())).collect()
    }

    /// Whether a line of the operator's file can mean it and nothing else: `*` there is any tool, a number is an element.
    #[must_use]
    pub fn has_a_line(&self) -> bool {
        self.tool != "*" && self.argument.iter().all(Step::has_pointer)
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
