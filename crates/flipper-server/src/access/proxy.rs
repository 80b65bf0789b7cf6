use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use http::HeaderName;

use super::role::Role;

/// A proxy that authenticates users and names each in a header. The header counts only from the proxy's own addresses. From elsewhere it is
/// refused, not ignored: either it is forged, or the proxy's address is not the configured one.
#[derive(Clone, Debug)]
pub struct TrustedProxy {
    pub(super) header: HeaderName,
    from: Vec<Network>,
    pub(super) role: Role,
}

impl TrustedProxy {
    /// Trusts this header from these networks. Its users have the role.
    #[must_use]
    pub fn new(header: HeaderName, from: Vec<Network>, role: Role) -> Self {
        Self { header, from, role }
    }

    pub(super) fn is_from(&self, address: Option<IpAddr>) -> bool {
        address.is_some_and(|address| self.from.iter().any(|network| network.contains(address)))
    }
}

/// A range of addresses, such as `10.0.0.0/8`, or one address.
///
/// ```
/// let network: flipper_server::Network = "10.0.0.0/8".parse().unwrap();
/// assert!(network.contains("10.1.2.3".parse().unwrap()));
/// assert!("10.0.0.1/8".parse::<flipper_server::Network>().is_err(), "which addresses are meant?");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// IPv4 as `::ffff:a.b.c.d`, as a socket for both shows it.
    first: u128,
    mask: u128,
}

impl Network {
    /// Whether the address is in it.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        bits(address) & self.mask == self.first
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = |why: &str| format!("{text:?} is no network such as 10.0.0.0/8 or fd00::/8: {why}");
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| wrong("its address cannot be read"))?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let length = match length {
            None => width,
            Some(length) if length.starts_with('+') => return Err(wrong("its length is no number")),
            Some(length) => length.parse::<u32>().map_err(|_| wrong("its length is no number"))?,
        };
        if length > width {
            return Err(wrong("it is longer than the address"));
        }
        let mask = u128::MAX.checked_shl(width - length).unwrap_or(0);
        let first = bits(address);
        if first & mask != first {
            return Err(wrong("the address has bits beyond its length"));
        }
        Ok(Self { first, mask })
    }
}

pub(super) fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => Ipv6Addr::to_bits(address),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", "::10.0.0.1"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.8"),
            ("fd00::/8", "fdff::1", "fe00::"),
            ("::1", "::1", "127.0.0.1"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!("::/0".parse::<Network>().unwrap().contains("1.2.3.4".parse().unwrap()));
        for wrong in
            ["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/-1", "10.0.0.0/+8", "host", "10.0.0/8", "::/129"]
        {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
