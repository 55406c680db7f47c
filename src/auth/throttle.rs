//! How often somebody may try to sign in (AUTH-6): rows in the database, so a restart forgives nothing. Every try is counted before
//! the password is looked at; a success takes it back.
//!
//! By client address (an IPv6 network of /64 counts as one): 5 at once, then one every 20 seconds. By account: 20, then waits that
//! grow up to a quarter of an hour and fade within a day. So that a stranger cannot keep somebody out for ever, an address the
//! account was signed in from before has a count of its own.

use crate::clock::Timestamp;
use crate::store::{StoreResult, Tx};
use crate::vault::sha256;
use std::net::IpAddr;

/// How many tries may an address make at once?
const BURST: i64 = 5;
/// After how many seconds is one forgiven?
const REFILL: i64 = 20;
/// How many tries may an account see before its waits grow?
const ACCOUNT_BURST: i64 = 20;
/// How many seconds does the longest wait take?
const LONGEST: i64 = 15 * 60;
/// After how many seconds without a try is an account's count forgotten?
const FORGET: i64 = 24 * 3600;

/// The buckets of one try.
#[derive(Debug, Clone)]
pub struct Try {
    address: String,
    account: String,
    known: String,
}

/// Counts a try. `Err` holds the seconds to wait; nothing is counted then.
pub async fn take(tx: &mut Tx, email: &str, address: &str, now: Timestamp) -> StoreResult<Result<Try, i64>> {
    let network = network(address);
    let person = sha256(email);
    let known = format!("known:{person}:{network}");
    let account = if tx.has_throttle(&known).await? {
        format!("account:{person}:{network}")
    } else {
        format!("account:{person}")
    };
    let buckets = Try {
        address: format!("address:{network}"),
        account,
        known,
    };
    // Always in this order, so that two tries cannot wait for each other's rows.
    let (debt, at) = tx.throttle(&buckets.account, now).await?;
    let count = if now.since(at) >= FORGET { 0 } else { debt };
    let account_wait = if count < ACCOUNT_BURST {
        0
    } else {
        let growing = REFILL.saturating_mul(1 << (count - ACCOUNT_BURST).min(10)).min(LONGEST);
        growing - now.since(at).max(0)
    };
    let (debt, at) = tx.throttle(&buckets.address, now).await?;
    let debt = (debt - now.since(at).max(0)).max(0);
    let address_wait = debt + REFILL - BURST * REFILL;
    let wait = account_wait.max(address_wait);
    if wait > 0 {
        return Ok(Err(wait));
    }
    tx.set_throttle(&buckets.account, count + 1, now).await?;
    tx.set_throttle(&buckets.address, debt + REFILL, now).await?;
    Ok(Ok(buckets))
}

/// After a success: both counts start anew, and the address is known to the account.
pub async fn succeeded(tx: &mut Tx, buckets: &Try, now: Timestamp) -> StoreResult<()> {
    tx.reset_throttle(&buckets.account).await?;
    tx.reset_throttle(&buckets.address).await?;
    tx.set_throttle(&buckets.known, 0, now).await
}

/// An IPv4 address, or the /64 an IPv6 address is in.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|address| address.to_canonical()) {
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}")
        }
        Ok(address) => address.to_string(),
        Err(_) => "unknown".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
