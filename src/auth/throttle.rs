//! How often somebody may try to sign in (AUTH-6): rows in the database, so a restart forgives nothing. Every try is counted before
//! the password is looked at; a success takes it back.
//!
//! By client address (an IPv6 network of /64 counts as one): 5 at once, then one every 20 seconds. By account: 20, then waits that
//! grow up to a quarter of an hour and fade within a day. So that a stranger cannot keep somebody out for ever, an address the
//! account was signed in from before has a count of its own.

use crate::clock::Timestamp;
use crate::model::UserId;
use crate::store::{StoreResult, Tx};
use crate::vault::sha256;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

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
/// How many test messages may somebody send to others than the mailboxes themselves, and in how many seconds?
const MESSAGES: i64 = 20;
const MESSAGES_WITHIN: i64 = 3600;

/// The buckets of one try.
#[derive(Debug, Clone)]
pub struct Try {
    address: String,
    account: String,
    known: String,
}

/// Counts a try. `Err` holds the seconds to wait; a try while the account waits counts for its address all
/// the same, so that nobody can lie in wait for the account's next turn.
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
        if address_wait <= 0 {
            tx.set_throttle(&buckets.address, debt + REFILL, now).await?;
        }
        return Ok(Err(wait));
    }
    tx.set_throttle(&buckets.account, count + 1, now).await?;
    tx.set_throttle(&buckets.address, debt + REFILL, now).await?;
    Ok(Ok(buckets))
}

/// Counts a try at the password of somebody who is signed in, wherever they come from. `Err` holds the seconds to wait.
pub async fn take_own(tx: &mut Tx, user: &UserId, now: Timestamp) -> StoreResult<Result<(), i64>> {
    take_simply(tx, &format!("own:{user}"), now).await
}

/// Counts a try at the setup code. `Err` holds the seconds to wait.
pub async fn take_setup(tx: &mut Tx, address: &str, now: Timestamp) -> StoreResult<Result<(), i64>> {
    take_simply(tx, &format!("setup:{}", network(address)), now).await
}

/// Counts a test message to somebody else than the mailbox it comes from. `Err` holds the seconds until the next one may go.
pub async fn take_message(tx: &mut Tx, user: &UserId, now: Timestamp) -> StoreResult<Result<(), i64>> {
    let bucket = format!("message:{user}");
    let (sent, began) = tx.throttle(&bucket, now).await?;
    let counts = sent > 0 && (0..MESSAGES_WITHIN).contains(&now.since(began));
    let (sent, began) = if counts { (sent, began) } else { (0, now) };
    if sent >= MESSAGES {
        return Ok(Err(MESSAGES_WITHIN - now.since(began)));
    }
    tx.set_throttle(&bucket, sent + 1, began).await?;
    Ok(Ok(()))
}

/// 5 at once, then one every 20 seconds.
async fn take_simply(tx: &mut Tx, bucket: &str, now: Timestamp) -> StoreResult<Result<(), i64>> {
    let (debt, at) = tx.throttle(bucket, now).await?;
    let debt = (debt - now.since(at).max(0)).max(0);
    let wait = debt + REFILL - BURST * REFILL;
    if wait > 0 {
        return Ok(Err(wait));
    }
    tx.set_throttle(bucket, debt + REFILL, now).await?;
    Ok(Ok(()))
}

/// Somebody with this account got in at this address, so strangers can't keep them out of it from there.
pub async fn known(tx: &mut Tx, email: &str, address: &str, now: Timestamp) -> StoreResult<()> {
    let known = format!("known:{}:{}", sha256(email), network(address));
    tx.set_throttle(&known, 0, now).await
}

/// The account's password was set by somebody who may: its count starts anew.
pub async fn forgive(tx: &mut Tx, email: &str) -> StoreResult<()> {
    tx.reset_throttle(&format!("account:{}", sha256(email))).await
}

/// Lets some of what strangers do into the audit log, and counts the rest: they shall not fill the disk with rows that nobody may
/// delete. In memory, for this process.
#[derive(Debug, Default)]
pub struct Sparing(Mutex<Minute>);

#[derive(Debug, Default)]
struct Minute {
    number: i64,
    written: u64,
    left_out: u64,
}

/// How many rows a minute may strangers cause?
const ROWS: u64 = 20;

impl Sparing {
    /// Whether to write a row now; then, how many were left out before it.
    pub fn take(&self, now: Timestamp) -> Option<u64> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if minute.number != now.0 / 60 {
            (minute.number, minute.written) = (now.0 / 60, 0);
        }
        if minute.written >= ROWS {
            minute.left_out += 1;
            return None;
        }
        minute.written += 1;
        Some(std::mem::take(&mut minute.left_out))
    }
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
    use super::{ROWS, Sparing, network};
    use crate::clock::Timestamp;

    #[test]
    fn what_strangers_do_is_counted_where_it_is_not_written() {
        let sparing = Sparing::default();
        let at = |second: i64| Timestamp(1_000_020 + second);
        let written = (0..100).filter(|_| sparing.take(at(0)).is_some()).count();
        assert_eq!(written as u64, ROWS);
        assert_eq!(sparing.take(at(60)), Some(100 - ROWS));
        assert_eq!(sparing.take(at(61)), Some(0));
    }

    #[test]
    fn a_network_of_ipv6_counts_as_one() {
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_eq!(network("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
