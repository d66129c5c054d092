//! What kind of place an IP address is. A pure decision: no network, no configuration.
//!
//! A request that a component or a document asked for must not reach the machine itself, the networks behind it or a
//! cloud's metadata service. IPv6 knows several ways to write an IPv4 address; they are judged by the address inside,
//! because that is where the packets go.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of place an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Reachable by everybody.
    Public,
    /// This machine.
    Loopback,
    /// A private network (RFC 1918, RFC 4193).
    Private,
    /// Between a provider and its customers (RFC 6598), which overlay networks use too.
    Shared,
    /// For benchmarks (RFC 2544), which some local proxies use for made-up answers.
    Benchmark,
    /// This link only, which is also where metadata services live.
    LinkLocal,
    /// A cloud's metadata service outside the link-local range.
    Metadata,
    /// No one host.
    Multicast,
    /// Examples in documents.
    Documentation,
    /// A tunnel that nobody should use any more (6to4, Teredo, local NAT64), and behind which anything may be.
    Tunnel,
    /// Unspecified, reserved, or not handed out.
    Reserved,
}

impl Class {
    /// The words for a message: "10.0.0.1 is …".
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Loopback => "this machine itself",
            Self::Private => "an address in a private network",
            Self::Shared => "an address in a carrier's shared network",
            Self::Benchmark => "an address for benchmarks",
            Self::LinkLocal => "a link-local address, where metadata services live",
            Self::Metadata => "a cloud's metadata service",
            Self::Multicast => "a multicast address",
            Self::Documentation => "an address for documentation",
            Self::Tunnel => "an address behind a tunnel",
            Self::Reserved => "a reserved address",
        }
    }

    /// Whether `[egress] allow_private` can name such an address. Everything else that is not public stays closed:
    /// no credential's home is there.
    #[must_use]
    pub const fn can_be_allowed(self) -> bool {
        matches!(self, Self::Private | Self::Shared | Self::Benchmark)
    }
}

/// Metadata services outside the link-local range: Alibaba, Azure's wire server, AWS, Google over IPv6.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// What kind of place `address` is.
#[must_use]
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => classify_v4(v4),
            None => classify_v6(v6),
        },
    }
}

/// The address that rules are written for: IPv4 where an IPv6 address only wraps it.
#[must_use]
pub fn unwrapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => embedded_v4(v6).map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

/// IPv4-mapped, IPv4-compatible, and the well-known NAT64 prefix (RFC 6052). On networks with IPv6 only every name
/// resolves to the latter, so it cannot be refused as such.
fn embedded_v4(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let segments = address.segments();
    let nat64 = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    // `::` and `::1` are addresses of their own.
    let compatible = segments[..6] == [0; 6] && address > Ipv6Addr::LOCALHOST;
    if nat64 || compatible {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    address.to_ipv4_mapped()
}

fn classify_v4(address: Ipv4Addr) -> Class {
    let [a, b, c, _] = address.octets();
    if METADATA_V4.contains(&address) {
        return Class::Metadata;
    }
    match (a, b, c) {
        (127, ..) => Class::Loopback,
        (10, ..) | (172, 16..=31, _) | (192, 168, _) => Class::Private,
        (100, 64..=127, _) => Class::Shared,
        (198, 18..=19, _) => Class::Benchmark,
        (169, 254, _) => Class::LinkLocal,
        (224..=239, ..) => Class::Multicast,
        (192, 0, 2) | (198, 51, 100) | (203, 0, 113) => Class::Documentation,
        (192, 88, 99) => Class::Tunnel,
        (0 | 240..=255, ..) | (192, 0, 0) => Class::Reserved,
        _ => Class::Public,
    }
}

fn classify_v6(address: Ipv6Addr) -> Class {
    if METADATA_V6.contains(&address) {
        return Class::Metadata;
    }
    let [first, second, third, ..] = address.segments();
    match (first, second, third) {
        _ if address.is_loopback() => Class::Loopback,
        (0xfc00..=0xfdff, ..) => Class::Private,
        // Link-local, and the site-local range that came before private addresses.
        (0xfe80..=0xfeff, ..) => Class::LinkLocal,
        (0xff00..=0xffff, ..) => Class::Multicast,
        (0x2001, 0xdb8, _) | (0x3fff, 0..=0xfff, _) => Class::Documentation,
        (0x2001, 0x2, 0) => Class::Benchmark,
        (0x2002, ..) | (0x2001, 0, _) | (0x64, 0xff9b, 1) => Class::Tunnel,
        // The rest of 2001::/23 is for protocols; of all others only 2000::/3 has been handed out.
        (0x2001, 0x1..=0x1ff, _) => Class::Reserved,
        (0x2000..=0x3fff, ..) => Class::Public,
        _ => Class::Reserved,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn class(text: &str) -> Class {
        classify(text.parse().unwrap())
    }

    #[test]
    fn public_addresses_are_public() {
        for text in
            ["140.82.112.3", "1.1.1.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "198.20.0.1", "2606:50c0::1"]
        {
            assert_eq!(class(text), Class::Public, "{text}");
        }
    }

    #[test]
    fn special_ranges_are_told_apart_up_to_their_borders() {
        for (text, expected) in [
            ("127.0.0.1", Class::Loopback),
            ("127.255.255.255", Class::Loopback),
            ("::1", Class::Loopback),
            ("10.255.255.255", Class::Private),
            ("172.16.0.0", Class::Private),
            ("172.31.255.255", Class::Private),
            ("192.168.0.1", Class::Private),
            ("fc00::1", Class::Private),
            ("fdff::1", Class::Private),
            ("100.64.0.1", Class::Shared),
            ("100.127.255.255", Class::Shared),
            ("198.19.255.255", Class::Benchmark),
            ("169.254.0.1", Class::LinkLocal),
            ("169.254.169.254", Class::LinkLocal),
            ("fe80::1", Class::LinkLocal),
            ("fec0::1", Class::LinkLocal),
            ("100.100.100.200", Class::Metadata),
            ("168.63.129.16", Class::Metadata),
            ("fd00:ec2::254", Class::Metadata),
            ("224.0.0.1", Class::Multicast),
            ("ff02::1", Class::Multicast),
            ("192.0.2.1", Class::Documentation),
            ("2001:db8::1", Class::Documentation),
            ("0.0.0.0", Class::Reserved),
            ("::", Class::Reserved),
            ("240.0.0.1", Class::Reserved),
            ("255.255.255.255", Class::Reserved),
            ("192.0.0.192", Class::Reserved),
            ("4000::1", Class::Reserved),
            ("2002:7f00:1::", Class::Tunnel),
            ("2001::1", Class::Tunnel),
            ("64:ff9b:1::7f00:1", Class::Tunnel),
        ] {
            assert_eq!(class(text), expected, "{text}");
        }
    }

    #[test]
    fn a_wrapped_ipv4_address_is_judged_by_what_is_inside() {
        for (text, expected) in [
            ("::ffff:127.0.0.1", Class::Loopback),
            ("::127.0.0.1", Class::Loopback),
            ("64:ff9b::7f00:1", Class::Loopback),
            ("::ffff:10.0.0.1", Class::Private),
            ("64:ff9b::a9fe:a9fe", Class::LinkLocal),
            ("64:ff9b::8c52:7003", Class::Public),
        ] {
            assert_eq!(class(text), expected, "{text}");
        }
        assert_eq!(unwrapped("::ffff:10.0.0.1".parse().unwrap()), "10.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!(unwrapped("::1".parse().unwrap()), "::1".parse::<IpAddr>().unwrap());
    }
}
