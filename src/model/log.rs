//! Entries of the system log: what the program noticed, when, how grave, and what it is about.

use super::words;
use crate::clock::Timestamp;
use serde_json::{Map, Value};

words!(
    /// How grave an entry is, the gravest first.
    Level {
        /// Something did not work and somebody has to act.
        Error = "error",
        /// Something did not work this time, or was refused.
        Warn = "warn",
        /// Worth knowing.
        Info = "info",
    }
);

impl Level {
    /// Its number in the database: the gravest is 0.
    pub fn rank(self) -> i64 {
        match self {
            Self::Error => 0,
            Self::Warn => 1,
            Self::Info => 2,
        }
    }

    /// The level of a number; what is unknown is worth knowing.
    pub fn from_rank(rank: i64) -> Self {
        match rank {
            0 => Self::Error,
            1 => Self::Warn,
            _ => Self::Info,
        }
    }

    /// The word on pages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Error => "Error",
            Self::Warn => "Warning",
            Self::Info => "Information",
        }
    }
}

words!(
    /// Which part of the console an entry is about.
    Area {
        /// Mailboxes and their tests.
        Mailbox = "mailbox",
        /// Tokens and sign-ins for them.
        Token = "token",
        /// Providers and their credentials.
        Provider = "provider",
        /// Scheduled checks.
        Checker = "checker",
        /// Pages, signing in to the console, links.
        Web = "web",
        /// Backups.
        Backup = "backup",
        /// The program itself: starts, stops, instances, workers, the database.
        Console = "console",
    }
);

impl Area {
    /// The word on pages.
    pub fn label(self) -> &'static str {
        match self {
            Self::Mailbox => "Mailboxes",
            Self::Token => "Tokens",
            Self::Provider => "Providers",
            Self::Checker => "Checks",
            Self::Web => "Pages and sign-in",
            Self::Backup => "Backup",
            Self::Console => "Console",
        }
    }
}

/// One entry. Holds no secret: texts are cleaned before they get here.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEntry {
    /// Number that sorts by time: see [`first_number`].
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// How grave.
    pub level: Level,
    /// About which part.
    pub area: Area,
    /// About what, as `noun:name`; empty where it is about nothing that has a name.
    pub subject: String,
    /// A sentence.
    pub message: String,
    /// Names and values that say more.
    pub details: Map<String, Value>,
    /// The run of a test it belongs to; empty without one.
    pub run: String,
}

/// Bits of an entry's number below the microsecond.
pub const NUMBER_BITS: u32 = 10;

/// The least number an entry of this second can have.
pub fn first_number(at: Timestamp) -> i64 {
    at.0.saturating_mul(1_000_000).saturating_mul(1 << NUMBER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_far_moments_stay_in_order() {
        let moments = [i64::MIN, -5, 0, 1_795_248_000, 4_102_444_800, i64::MAX];
        let numbers = moments.map(|at| first_number(Timestamp(at)));
        assert!(numbers.is_sorted(), "{numbers:?}");
        assert!(Level::ALL.iter().all(|level| Level::from_rank(level.rank()) == *level));
    }
}
