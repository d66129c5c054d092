//! From a name to addresses that have been judged, once: what is connected to is what was judged, however DNS answers
//! a moment later.

use std::net::SocketAddr;

use super::failure::{Failure, Refusal, Target};
use super::rule::Rules;

/// Looks the name up and judges every address.
pub(super) async fn lookup(rules: &Rules, target: &Target, name: &str) -> Result<Vec<SocketAddr>, Failure> {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that resolves names")]
    let found = tokio::net::lookup_host((name, target.port)).await;
    let addresses: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    if addresses.is_empty() {
        return Err(Failure::Unresolved { target: target.clone() });
    }
    judge_all(rules, target, &addresses)?;
    Ok(addresses)
}

/// One address that is not allowed is enough: no honest name leads to a public server and into a private network.
fn judge_all(rules: &Rules, target: &Target, addresses: &[SocketAddr]) -> Result<(), Refusal> {
    addresses.iter().try_for_each(|address| {
        rules.judge(address.ip()).map_err(|class| Refusal::Name(target.clone(), super::address::unwrapped(address.ip()), class))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::egress::address::Class;

    fn judged(allow_private: &[&str], addresses: &[&str]) -> Result<(), Refusal> {
        let config = config::Egress {
            allow_private: allow_private.iter().map(|&network| network.to_owned()).collect(),
            allow_loopback: vec!["127.0.0.1:443".parse().unwrap()],
            ..Default::default()
        };
        let target = Target { host: "idp.example".to_owned(), port: 443 };
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        judge_all(&Rules::new(&config).unwrap(), &target, &addresses)
    }

    #[test]
    fn one_private_address_among_public_ones_refuses_the_name() {
        let refusal = judged(&[], &["140.82.112.3:443", "10.0.0.5:443"]).unwrap_err();
        assert!(matches!(&refusal, Refusal::Name(_, address, Class::Private) if address.to_string() == "10.0.0.5"));
        let error = crate::error::Error::from(refusal);
        assert!(error.hint().ends_with("below [egress]: allow_private = [\"10.0.0.5/32\"]"), "{error}");
    }

    #[test]
    fn a_listed_private_network_may_be_led_to() {
        assert_eq!(judged(&["10.0.0.0/24"], &["140.82.112.3:443", "10.0.0.5:443"]), Ok(()));
    }

    #[test]
    fn a_name_never_leads_to_loopback_by_dns_even_where_the_address_is_listed() {
        let refusal = judged(&[], &["127.0.0.1:443"]).unwrap_err();
        let error = crate::error::Error::from(refusal);
        assert!(error.hint().ends_with("below [egress]: resolve = { \"idp.example:443\" = \"127.0.0.1:443\" }"), "{error}");
    }

    #[test]
    fn metadata_addresses_stay_closed_inside_a_listed_network() {
        assert!(judged(&["100.64.0.0/10"], &["100.64.0.7:443"]).is_ok());
        assert!(judged(&["100.64.0.0/10"], &["100.100.100.200:443"]).is_err());
        assert!(judged(&["fd00::/8"], &["[fd00:ec2::254]:443"]).is_err());
    }

    #[tokio::test]
    async fn a_name_without_an_address_is_said_to_have_none() {
        let target = Target { host: "nobody.invalid".to_owned(), port: 443 };
        let failure = lookup(&Rules::default(), &target, "nobody.invalid").await.unwrap_err();
        assert_eq!(failure, Failure::Unresolved { target });
    }
}
