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

impl Outcome {
    /// What is wrong where the last message of a mailbox stands like that for too long.
    pub fn trouble(self) -> &'static str {
        match self {
            Self::Begun => "It isn't known whether mail was sent",
            Self::Sent => "Mail is late",
            Self::Arrived => "Mail takes longer than 5 minutes",
            Self::Lost => "Mail doesn't arrive",
            Self::Refused => "Mail can't be sent",
        }
    }
}

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

impl Trouble {
    /// What is wrong, in words that the list of mailboxes can be filtered by; empty where that goes by the hour, and no list can.
    pub fn words(&self) -> String {
        match self.outcome {
            Outcome::Begun | Outcome::Sent => String::new(),
            Outcome::Refused => format!("{}: {}", self.outcome.trouble(), self.problem),
            Outcome::Arrived | Outcome::Lost => self.outcome.trouble().to_owned(),
        }
    }

    /// Which trouble such words mean: how the last message ended, and why.
    pub fn read(words: &str) -> Option<(Outcome, &str)> {
        let (title, problem) = match words.strip_prefix(Outcome::Refused.trouble()) {
            Some(rest) => (Outcome::Refused.trouble(), rest.strip_prefix(": ")?),
            None => (words, ""),
        };
        let ended = [Outcome::Arrived, Outcome::Lost, Outcome::Refused];
        let outcome = ended.into_iter().find(|outcome| outcome.trouble() == title)?;
        Some((outcome, problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_a_trouble_mean_it() {
        for (outcome, problem) in [
            (Outcome::Arrived, ""),
            (Outcome::Lost, ""),
            (Outcome::Refused, "The server refused the recipient: all of them"),
        ] {
            let trouble = Trouble {
                outcome,
                problem: problem.to_owned(),
                mailboxes: 2,
                name: "hr".to_owned(),
                since: Timestamp(0),
            };
            assert_eq!(Trouble::read(&trouble.words()), Some((outcome, problem)));
        }
        assert_eq!(Trouble::read("Client secret has expired"), None);
        assert_eq!(Trouble::read("Mail is late"), None);
    }
}
