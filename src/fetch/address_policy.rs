//! The addresses that a fetch may connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A text that is not a network: an address, or an address, a slash and the length of its prefix, with no
/// bit set behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("not a network: write an address and the length of its prefix, such as 10.20.0.0/16")]
pub struct InvalidNetwork;

/// The addresses that a fetch may connect to: public ones, and those of listed networks.
///
/// ```
/// use grantor::fetch::AddressPolicy;
///
/// let policy = AddressPolicy::public().with_network("10.20.0.0/16")?;
/// assert!(policy.allows("10.20.0.7".parse()?));
/// assert!(!policy.allows("10.21.0.7".parse()?));
/// assert!(!policy.allows("169.254.169.254".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPolicy {
    public: bool,
    networks: Vec<Network>,
}

/// The addresses that share the first `prefix` bits of `base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    base: IpAddr,
    prefix: u32,
}

impl AddressPolicy {
    /// Allows the addresses that [`is_public`] accepts.
    #[must_use]
    pub const fn public() -> Self {
        Self { public: true, networks: Vec::new() }
    }

    /// Allows no address.
    #[cfg(feature = "fetch")]
    pub(super) const fn none() -> Self {
        Self { public: false, networks: Vec::new() }
    }

    /// Also allows the addresses of this machine.
    #[cfg(feature = "fetch")]
    pub(super) fn with_loopback(mut self) -> Self {
        let v4 = Network { base: Ipv4Addr::new(127, 0, 0, 0).into(), prefix: 8 };
        let v6 = Network { base: Ipv6Addr::LOCALHOST.into(), prefix: 128 };
        self.networks.extend([v4, v6]);
        self
    }

    /// Also allows the addresses of `network`, such as `10.20.0.0/16` or `fd12:3456::/32`.
    ///
    /// # Errors
    ///
    /// [`InvalidNetwork`].
    pub fn with_network(mut self, network: &str) -> Result<Self, InvalidNetwork> {
        self.networks.push(Network::parse(network)?);
        Ok(self)
    }

    /// Checks whether a fetch may connect to `address`. An IPv4 address mapped into IPv6 is judged as the
    /// IPv4 address that a connection goes to.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        (self.public && is_public(address)) || self.networks.iter().any(|it| it.contains(address))
    }
}

/// Allows public addresses.
impl Default for AddressPolicy {
    fn default() -> Self {
        Self::public()
    }
}

impl Network {
    fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().map_err(|_| InvalidNetwork)?;
        let bits = width(base);
        let prefix = match prefix {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
            None => bits,
        };
        let network = Self { base, prefix };
        // `10.1.2.3/8` is more likely a mistake than the whole of `10.0.0.0/8`.
        if prefix > bits || network.first_bits(base) != number(base) {
            return Err(InvalidNetwork);
        }
        Ok(network)
    }

    fn contains(self, address: IpAddr) -> bool {
        self.base.is_ipv4() == address.is_ipv4() && self.first_bits(address) == number(self.base)
    }

    /// Returns `address` with the bits behind the prefix cleared.
    fn first_bits(self, address: IpAddr) -> u128 {
        let behind = width(address).saturating_sub(self.prefix);
        number(address).checked_shr(behind).unwrap_or(0).checked_shl(behind).unwrap_or(0)
    }
}

const fn width(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// Checks whether `address` is a host of the public internet: unicast, and in no range that the IANA
/// registries of special-purpose addresses (RFC 6890) keep for other ends.
///
/// Not public are, among others, unspecified, loopback, private (RFC 1918), shared (RFC 6598), link-local,
/// unique local, multicast, broadcast, documentation, benchmarking and reserved addresses, 6to4 and
/// Teredo. An address that embeds an IPv4 address is public if that one is: mapped (`::ffff:0:0/96`) and
/// NAT64 (`64:ff9b::/96`, RFC 6052). IPv4-compatible ones (`::/96`) are not.
///
/// ```
/// use grantor::fetch::is_public;
///
/// assert!(is_public("1.1.1.1".parse()?));
/// assert!(!is_public("100.64.0.1".parse()?));
/// assert!(!is_public("64:ff9b::a00:1".parse()?), "10.0.0.1 through NAT64");
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[must_use]
pub const fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

const fn is_public_v4(address: Ipv4Addr) -> bool {
    match address.octets() {
        // This network, private, loopback; multicast, reserved, broadcast.
        [0 | 10 | 127 | 224..=255, ..]
        // Shared (carrier-grade NAT), link-local, private.
        | [100, 64..=127, ..] | [169, 254, ..] | [172, 16..=31, ..] | [192, 168, ..]
        // Relays of 6to4, benchmarking.
        | [192, 88, 99, _] | [198, 18 | 19, ..]
        // Protocol assignments and documentation.
        | [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => false,
        _ => true,
    }
}

const fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Mapped, and behind a NAT64: the packets go to the embedded address.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            is_public_v4(Ipv4Addr::from_bits(((high as u32) << 16) | low as u32))
        }
        // Protocol assignments with Teredo, ORCHID and benchmarking; documentation; 6to4.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // Global unicast. Everything else is unspecified, loopback, local, multicast or reserved.
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Z40: each range that is not of the public internet, with its first and last address.
    #[test]
    fn addresses_of_special_purpose_are_not_public() {
        for (first, last) in [
            ("0.0.0.0", "0.255.255.255"),
            ("10.0.0.0", "10.255.255.255"),
            ("100.64.0.0", "100.127.255.255"),
            ("127.0.0.0", "127.255.255.255"),
            ("169.254.0.0", "169.254.255.255"),
            ("172.16.0.0", "172.31.255.255"),
            ("192.0.0.0", "192.0.0.255"),
            ("192.0.2.0", "192.0.2.255"),
            ("192.88.99.0", "192.88.99.255"),
            ("192.168.0.0", "192.168.255.255"),
            ("198.18.0.0", "198.19.255.255"),
            ("198.51.100.0", "198.51.100.255"),
            ("203.0.113.0", "203.0.113.255"),
            ("224.0.0.0", "239.255.255.255"),
            ("240.0.0.0", "255.255.255.255"),
            ("::", "::ffff"),
            ("::1", "::1"),
            // IPv4-compatible: 127.0.0.1, 8.8.8.8
            ("::7f00:1", "::808:808"),
            // mapped: 10.0.0.1, 127.0.0.1, 169.254.169.254
            ("::ffff:a00:1", "::ffff:7f00:1"),
            ("::ffff:a9fe:a9fe", "::ffff:ffff:ffff"),
            // translated (RFC 2765)
            ("::ffff:0:a00:1", "::ffff:0:808:808"),
            // NAT64: 10.0.0.1, 192.168.0.1; and for local use (RFC 8215)
            ("64:ff9b::a00:1", "64:ff9b::c0a8:1"),
            ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"),
            // discard-only
            ("100::", "100::ffff:ffff:ffff:ffff"),
            // Teredo, benchmarking, ORCHID
            ("2001::", "2001:0:ffff::"),
            ("2001:2::", "2001:2f:ffff::"),
            ("2001:1ff::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
            // 6to4, of 10.0.0.1 and of a public address
            ("2002:a00:1::", "2002:808:808::"),
            ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("4000::", "5fff::"),
            ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
            ("fec0::", "feff::"),
            ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ] {
            assert!(!is_public(address(first)), "{first}");
            assert!(!is_public(address(last)), "{last}");
        }
    }

    #[test]
    fn the_neighbours_of_the_special_ranges_are_public() {
        for public in [
            "1.0.0.0",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "198.51.101.0",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "::ffff:808:808",
            "64:ff9b::808:808",
            "2000::1",
            "2001:200::1",
            "2001:db7::1",
            "2001:db9::1",
            "2003::1",
            "2606:4700:4700::1111",
            "3ffe::1",
            "3fff:1000::1",
        ] {
            assert!(is_public(address(public)), "{public}");
        }
    }

    #[test]
    fn a_listed_network_is_allowed_and_its_neighbours_are_not() {
        let policy = AddressPolicy::public()
            .with_network("10.20.0.0/15")
            .and_then(|policy| policy.with_network("192.168.7.7"))
            .and_then(|policy| policy.with_network("fd00:1234::/32"))
            .unwrap();
        for allowed in [
            "10.20.0.0",
            "10.21.255.255",
            "192.168.7.7",
            "fd00:1234:ffff::1",
            "::ffff:10.20.0.1",
            "8.8.8.8",
        ] {
            assert!(policy.allows(address(allowed)), "{allowed}");
        }
        for refused in [
            "10.19.255.255",
            "10.22.0.0",
            "192.168.7.6",
            "192.168.7.8",
            "fd00:1235::1",
            "::10.20.0.1",
            "127.0.0.1",
            "::1",
        ] {
            assert!(!policy.allows(address(refused)), "{refused}");
        }
        let everything = AddressPolicy::public().with_network("0.0.0.0/0").unwrap();
        assert!(everything.allows(address("127.0.0.1")) && !everything.allows(address("::1")));
        let everything = AddressPolicy::public().with_network("::/0").unwrap();
        assert!(everything.allows(address("::1")) && !everything.allows(address("127.0.0.1")));
    }

    #[test]
    fn a_network_has_no_bits_behind_its_prefix() {
        for bad in [
            "",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/ 8",
            "10.0.0.1/8",
            "10.0.0/8",
            "fd00::1/8",
            "fd00::/129",
            "localhost",
            "10.0.0.0/8/8",
            "fe80::1%eth0",
        ] {
            let policy = AddressPolicy::public().with_network(bad);
            assert_eq!(policy, Err(InvalidNetwork), "{bad}");
        }
    }
}
