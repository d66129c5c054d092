//! AWS: how long tokens that the broker signs for AWS resources may live, and nothing else yet.
//!
//! There is no login: AWS credentials are a key pair with which requests are signed, not a token that is sent along.

use credentials_broker_provider::{Failure, Provider, Secret, Tokens, export_provider};

/// AWS.
pub struct Aws;

impl Provider for Aws {
    const DESCRIPTOR: &'static str = include_str!("../descriptor.json");

    fn exchange(_: &Secret, _: &Secret, _: &str) -> Result<Tokens, Failure> {
        Err(Failure::unsupported("There is no login with AWS.")
            .hint("Use mint_token, or a provider that AWS trusts as an identity provider."))
    }
}

export_provider!(Aws);

#[cfg(test)]
mod tests {
    use credentials_broker_provider::testing::{self, Broker};

    use super::Aws;

    #[test]
    fn there_is_no_login() {
        Broker::of::<Aws>().start();
        assert_eq!(testing::exchange::<Aws>().unwrap_err().code, "unsupported");
    }
}
