//! When a grant is renewed by itself: well before its access token runs out, and often enough that no sign-in lapses unused.

use super::token::{Grant, GrantState};
use crate::clock::Timestamp;

/// At which part of its life is an access token renewed, in thousandths: the earliest, and how far that is spread.
const EARLIEST: i64 = 750;
const SPREAD: i64 = 100;
/// How long is a grant left unused at most, in seconds, however long its access token lives? Well inside what any provider allows
/// ([`super::idle`]).
pub const KEEP_ALIVE: i64 = 7 * 86_400;
/// How soon after a renewal may the next one be, in seconds, while its token lives (F6)?
pub const BETWEEN_RENEWALS: i64 = 30;
/// How long after it was brought along is a refresh token tried, in seconds? The program that had it may still be on its way out.
const FIRST_TRY: i64 = 3600;
/// When is something looked at again that nothing was sent for, in seconds?
const LOOK_AGAIN: i64 = 900;

impl Grant {
    /// Whether it can be renewed without a person: there is a refresh token, or nobody ever had to sign in for it.
    pub fn is_renewable(&self) -> bool {
        self.rt_current.is_some() || self.authorized_by.is_none()
    }

    /// When it is to be renewed. Its one place: every write of the row takes it from here. None: never, a person has to act, or the first
    /// use comes first.
    ///
    /// At 75 to 85 % of the access token's life, or of a week where it lives longer; which of these follows from the token's id and the
    /// generation, so that what was got together is not renewed together. A failing one when it may be tried again; one whose answer is
    /// not known, at once.
    pub fn due_at(&self) -> Option<Timestamp> {
        if self.state == GrantState::Revoked || !self.is_renewable() {
            return None;
        }
        if self.outcome == "sent" && self.lease_owner.is_some() {
            return self.attempt_started;
        }
        if self.state == GrantState::Failing {
            return self.retry_at.or_else(|| Some(self.last_error_at?.plus(LOOK_AGAIN)));
        }
        let part = |whole: i64| whole.clamp(0, KEEP_ALIVE) * self.part() / 1000;
        match (self.issued_at, self.expires_at) {
            (Some(issued), Some(end)) => Some(issued.plus(part(end.since(issued)).max(BETWEEN_RENEWALS))),
            _ if self.rt_current.is_some() => Some(self.authorized_at?.plus(part(FIRST_TRY))),
            _ => None,
        }
    }

    /// The thousandth of its life at which it is due.
    fn part(&self) -> i64 {
        let hash = spread(self.token_id.as_str(), self.generation.unsigned_abs());
        EARLIEST + i64::try_from(hash % (SPREAD.unsigned_abs() + 1)).unwrap_or(0)
    }
}

/// A number that an id and a count always give, evenly spread (FNV-1a). Not for secrets.
pub fn spread(id: &str, count: u64) -> u64 {
    let octets = id.bytes().chain(count.to_le_bytes());
    let hash = octets.fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    });
    // The last octets hardly reach the low bits.
    hash ^ (hash >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actions::access_token::first::blank;
    use crate::model::{Sealed, TokenId};

    const START: Timestamp = Timestamp(1_000_000);

    fn grant(id: &str, lifetime: i64) -> Grant {
        Grant {
            rt_current: Some((Sealed("rt".into()), 1)),
            access_token: Some((Sealed("at".into()), 1)),
            authorized_by: Some("Maija".into()),
            issued_at: Some(START),
            expires_at: Some(START.plus(lifetime)),
            ..blank(&TokenId(id.into()), 1, "", START)
        }
    }

    fn due(grant: &Grant) -> i64 {
        grant.due_at().unwrap().since(START)
    }

    #[test]
    fn what_was_got_together_is_renewed_apart_and_always_in_time() {
        let all: Vec<i64> = (0..1000).map(|n| due(&grant(&format!("token-{n}"), 3600))).collect();
        let (first, last) = (*all.iter().min().unwrap(), *all.iter().max().unwrap());
        assert!(first >= 2700 && last <= 3060, "{first} to {last}");
        assert!(last - first > 300);
        for minute in 0..6 {
            let share = all.iter().filter(|at| (0..60).contains(&(**at - 2700 - minute * 60))).count();
            assert!((100..250).contains(&share), "{share} in minute {minute}");
        }
        let mut next = grant("token-1", 3600);
        let mut moments: Vec<i64> = (1..20)
            .map(|generation| {
                next.generation = generation;
                due(&next)
            })
            .collect();
        moments.dedup();
        assert!(moments.len() > 15, "each time another moment");
    }

    #[test]
    fn odd_lifetimes_neither_loop_nor_let_a_sign_in_lapse() {
        assert_eq!(due(&grant("t", 0)), 30);
        assert_eq!(due(&grant("t", -5)), 30);
        assert!(due(&grant("t", i64::MAX)) <= KEEP_ALIVE);
    }

    #[test]
    fn what_fails_waits_and_what_nobody_can_renew_is_never_due() {
        let failing = Grant {
            state: GrantState::Failing,
            retry_at: Some(START.plus(77)),
            ..grant("t", 3600)
        };
        assert_eq!(due(&failing), 77);
        let nothing_sent = Grant {
            retry_at: None,
            last_error_at: Some(START.plus(100)),
            ..failing.clone()
        };
        assert_eq!(due(&nothing_sent), 1000);
        let revoked = Grant {
            state: GrantState::Revoked,
            ..failing
        };
        assert_eq!(revoked.due_at(), None);
        let short = Grant {
            rt_current: None,
            ..grant("t", 3600)
        };
        assert_eq!(short.due_at(), None, "a person has to sign in");
        let by_itself = Grant {
            authorized_by: None,
            ..short
        };
        assert!(by_itself.due_at().is_some(), "the app gets another one");
        let sent = Grant {
            outcome: "sent".into(),
            lease_owner: Some("somebody".into()),
            attempt_started: Some(START.plus(5)),
            ..grant("t", 3600)
        };
        assert_eq!(due(&sent), 5, "if the answer never comes");
        let brought = Grant {
            issued_at: None,
            expires_at: None,
            access_token: None,
            ..grant("t", 0)
        };
        assert!((2700..=3060).contains(&due(&brought)));
        assert_eq!(
            blank(&TokenId("t".into()), 0, "", START).due_at(),
            None,
            "its first use comes first"
        );
    }
}
