//! How much one address may have of something at a time.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// How many of something each address has; an IPv6 network of /64 counts as one. As many entries as there are holders, at most.
#[derive(Clone, Default)]
pub struct Shares(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Shares {
    /// One more for this address, given back when dropped. None: it has as many as it may.
    pub fn take(&self, ip: IpAddr, most: usize) -> Option<Share> {
        let ip = network(ip);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(ip).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Share { shares: self.clone(), ip })
    }
}

/// One, held by an address.
pub struct Share {
    shares: Shares,
    ip: IpAddr,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.shares.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.ip) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.ip);
            }
        }
    }
}

/// The address itself, or the beginning of the network that one customer has of IPv6.
fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_has_the_share_of_one_address() {
        let shares = Shares::default();
        let one = shares.take("2001:db8::1".parse().unwrap(), 1);
        assert!(one.is_some());
        assert!(shares.take("2001:db8::2".parse().unwrap(), 1).is_none());
        assert!(shares.take("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
        drop(one);
        assert!(shares.take("2001:db8::2".parse().unwrap(), 1).is_some());
    }
}
