//! A private network that the operator lists, as `10.1.2.0/24`.

use std::net::IpAddr;

use super::address::{classify, unwrapped};
use super::rule::invalid;
use crate::error::Result;

/// A network: the bits that its addresses share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    /// Reads `ADDRESS/BITS`, or one address. All of it must lie in a range that can be allowed: `0.0.0.0/0` would open
    /// more than anybody means.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            invalid(
                format!("[egress] allow_private lists \"{}\", {why}.", text.escape_debug()),
                "Write private networks, as allow_private = [\"10.1.2.0/24\", \"fd12::/16\"].",
            )
        };
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().map_err(|_| wrong("which is no network"))?;
        let all = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) => bits.parse().ok().filter(|bits| *bits <= all).ok_or_else(|| wrong("which is no network"))?,
        };
        let network = Self { base, bits };
        let (first, last) = network.ends();
        if first != base {
            return Err(wrong("which has bits set behind its length"));
        }
        // The ranges that can be allowed are contiguous: both ends of one class means all of it, save for the metadata
        // addresses within, which `judge` refuses by themselves.
        if classify(first) != classify(last) || !classify(first).can_be_allowed() || unwrapped(base) != base {
            return Err(wrong("which is not wholly inside a private range"));
        }
        Ok(network)
    }

    /// Whether the address lies in it.
    pub(super) fn contains(self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                base.to_bits() == address.to_bits() & mask
            }
            _ => false,
        }
    }

    fn ends(self) -> (IpAddr, IpAddr) {
        match self.base {
            IpAddr::V4(base) => {
                let free = u32::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
                (IpAddr::V4((base.to_bits() & !free).into()), IpAddr::V4((base.to_bits() | free).into()))
            }
            IpAddr::V6(base) => {
                let free = u128::MAX.checked_shr(u32::from(self.bits)).unwrap_or(0);
                (IpAddr::V6((base.to_bits() & !free).into()), IpAddr::V6((base.to_bits() | free).into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_own_addresses_only() {
        let network = Network::parse("10.1.2.0/24").unwrap();
        assert!(network.contains("10.1.2.255".parse().unwrap()));
        assert!(!network.contains("10.1.3.0".parse().unwrap()));
        assert!(!network.contains("fd00::1".parse().unwrap()));
        let six = Network::parse("fd12::/16").unwrap();
        assert!(six.contains("fd12:ffff::1".parse().unwrap()));
        assert!(!six.contains("fd13::1".parse().unwrap()));
        let one = Network::parse("192.168.1.7").unwrap();
        assert!(one.contains("192.168.1.7".parse().unwrap()) && !one.contains("192.168.1.8".parse().unwrap()));
    }

    #[test]
    fn what_is_more_than_a_private_network_is_refused() {
        for text in [
            "0.0.0.0/0",
            "10.0.0.0/7",
            "8.8.8.8",
            "127.0.0.0/8",
            "169.254.0.0/16",
            "::/0",
            "192.168.1.1/24",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "::ffff:10.0.0.1",
            "x",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
