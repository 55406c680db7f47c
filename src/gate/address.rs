//! What kind of address it is, wherever one is wrapped in another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What kind of network an address is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Public,
    Loopback,
    Private,
    /// Reserved for something: allowed by a network or name only.
    Special,
    /// Never a mail server or provider, and dangerous to ask.
    Never,
}

/// The class of an address, and the address it really is where one is wrapped in another.
pub(super) fn classify(address: IpAddr) -> (Class, IpAddr) {
    match address {
        IpAddr::V4(v4) => (class_v4(v4), address),
        IpAddr::V6(v6) => match unwrap_v4(v6) {
            Some(v4) => (class_v4(v4), v4.into()),
            None => (class_v6(v6), address),
        },
    }
}

/// The IPv4 address inside a mapped, compatible, translated (RFC 6052, RFC 2765) or 6to4 (RFC 3056) IPv6 address.
fn unwrap_v4(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let s = v6.segments();
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Some(Ipv4Addr::new(a, b, c, d))
    };
    match s {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0, 0, 0, 0, 0xffff, 0, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            v4(high, low)
        }
        [0x2002, high, low, ..] => v4(high, low),
        _ => None,
    }
}

fn class_v4(v4: Ipv4Addr) -> Class {
    match v4.octets() {
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        // This network, link-local, multicast, broadcast.
        [0, ..] | [169, 254, ..] | [224..=239, ..] | [255, 255, 255, 255] => Class::Never,
        // Metadata and host services of clouds that sit outside the link-local network.
        [100, 100, 100, 200] | [168, 63, 129, 16] | [192, 0, 0, 192] => Class::Never,
        // Carrier NAT, protocol assignments, documentation, 6to4 relays, benchmarks, the reserved rest.
        [100, 64..=127, ..]
        | [192, 0, 0 | 2, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [240..=255, ..] => Class::Special,
        _ => Class::Public,
    }
}

fn class_v6(v6: Ipv6Addr) -> Class {
    match v6.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        [0, 0, 0, 0, 0, 0, 0, 0] | [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] => Class::Never,
        // Metadata services with addresses of their own.
        [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254] => Class::Never,
        // Teredo (RFC 4380) and local-use translation (RFC 8215) hide an IPv4 address we can't read.
        [0x2001, 0, ..] | [0x64, 0xff9b, 1, ..] => Class::Never,
        [0xfc00..=0xfdff, ..] => Class::Private,
        // Protocol assignments and documentation inside the global range.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Class::Special,
        [0x2000..=0x3fff, ..] => Class::Public,
        _ => Class::Special,
    }
}
