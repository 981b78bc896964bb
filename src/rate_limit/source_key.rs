//! Sources as budgets know them.

use std::net::IpAddr;

use crate::ids::Source;

/// A source as budgets know it: an IPv6 address is its /64 network.
#[derive(Hash)]
pub(crate) enum SourceKey<'a> {
    V4([u8; 4]),
    V6([u16; 4]),
    Name(&'a str),
}

impl<'a> SourceKey<'a> {
    pub(crate) fn of(source: &'a Source) -> Self {
        let address = source.as_str().parse().map(|address: IpAddr| address.to_canonical());
        match address {
            Ok(IpAddr::V4(address)) => Self::V4(address.octets()),
            Ok(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
            Err(_) => Self::Name(source.as_str()),
        }
    }

    /// Returns bytes that differ for different keys.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::V4(octets) => [&[4], &octets[..]].concat(),
            Self::V6(segments) => {
                let segments = segments.iter().flat_map(|segment| segment.to_be_bytes());
                std::iter::once(6).chain(segments).collect()
            }
            Self::Name(name) => [&[0], name.as_bytes()].concat(),
        }
    }
}
