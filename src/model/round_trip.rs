//! A message that a mailbox sends to itself, to see that mail goes out and comes in, and how long that takes.

use super::{MailboxId, words};
use crate::clock::Timestamp;

/// How often mailboxes may do so, in hours; 0: not at all.
pub const CHOICES: [i64; 4] = [0, 1, 6, 24];

words!(
    /// How it stands with a message.
    Outcome {
        /// It was about to be sent; whether it was isn't known.
        Begun = "begun",
        /// The server took it. It isn't there yet.
        Sent = "sent",
        /// It is there.
        Arrived = "arrived",
        /// It never came.
        Lost = "lost",
        /// It was not sent.
        Refused = "refused",
    }
);

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoundTrip {
    /// Row id.
    pub id: String,
    /// Whose.
    pub mailbox_id: MailboxId,
    /// Its Message-ID, with angle brackets.
    pub message_id: String,
    /// When it was about to be sent.
    pub sent_at: Timestamp,
    /// How it stands.
    pub outcome: Outcome,
    /// After how many seconds it was there, at most.
    pub seconds: Option<i64>,
    /// `inbox` or `junk`; empty before it is there.
    pub place: String,
    /// Title of the diagnosis, where it was not sent.
    pub problem: String,
}

impl RoundTrip {
    /// More seconds than this are slow.
    pub const SLOW: i64 = 300;
    /// After how many seconds one that a server took counts as lost?
    pub const LOST_AFTER: i64 = 86_400;
    /// After how many seconds one of which nobody knows whether it was sent counts as lost? Servers that have a message try for five days
    /// at most (RFC 5321, 4.5.4.1), so that no second one is on its way beside it.
    pub const FORGOTTEN_AFTER: i64 = 5 * 86_400;

    /// Whether its end isn't known.
    pub fn is_open(&self) -> bool {
        matches!(self.outcome, Outcome::Begun | Outcome::Sent)
    }

    /// Whether something is wrong with it at `now`.
    pub fn is_trouble(&self, now: Timestamp) -> bool {
        match self.outcome {
            Outcome::Lost | Outcome::Refused => true,
            Outcome::Begun | Outcome::Sent => now.since(self.sent_at) > Self::SLOW,
            Outcome::Arrived => self.seconds.is_some_and(|seconds| seconds > Self::SLOW),
        }
    }
}

/// What is wrong with the last messages of some mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// How they stand.
    pub outcome: Outcome,
    /// Why they were not sent; else empty.
    pub problem: String,
    /// How many mailboxes.
    pub mailboxes: i64,
    /// One of them, by its handle.
    pub name: String,
    /// When the first of these messages was sent.
    pub since: Timestamp,
}
