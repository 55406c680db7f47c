//! A mailbox: an address with its incoming and outgoing side.

mod server;

pub use server::{Endpoint, HostError, Protocol, Security, Server};

use super::report::{Direction, Outcome};
use super::{MailboxId, Name, RunId, Sealed, TokenId, words};
use crate::clock::Timestamp;

words!(
    /// How a side signs in, as the file has it.
    AuthKind {
        /// With an outbound token.
        OAuth2 = "oauth2",
        /// With a password.
        Password = "password",
        /// Not at all; SMTP only.
        None = "none",
    }
);

/// How a side signs in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    /// With an outbound token.
    OAuth2 {
        /// Which.
        token_id: TokenId,
        /// Its handle.
        token: Name,
    },
    /// With a password.
    Password {
        /// The sealed password and the version its seal is bound to; none until someone enters it.
        password: Option<(Sealed, i64)>,
    },
    /// Not at all.
    None,
}

impl Auth {
    /// Which kind.
    pub fn kind(&self) -> AuthKind {
        match self {
            Self::OAuth2 { .. } => AuthKind::OAuth2,
            Self::Password { .. } => AuthKind::Password,
            Self::None => AuthKind::None,
        }
    }
}

/// One side: server and sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Side {
    /// Server.
    pub server: Server,
    /// Sign-in.
    pub auth: Auth,
    /// Login user; none: the mailbox's address.
    pub username: Option<String>,
}

/// The result a side last had with the settings it has now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SideState {
    /// How the last test with these settings ended; none since the last change.
    pub outcome: Option<Outcome>,
    /// Title of its diagnosis.
    pub problem: Option<String>,
    /// Its run; kept after a change, as the older result.
    pub run: Option<RunId>,
    /// When it ended.
    pub tested_at: Option<Timestamp>,
}

/// State of a mailbox, worst first; the numbers are what the list sorts by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MailboxState {
    /// Every side fails.
    Failing = 0,
    /// One of two sides fails.
    Partly = 1,
    /// No evidence since the last change.
    NotTested = 2,
    /// Works as far as tested.
    Working = 3,
    /// Turned off by a person.
    Paused = 4,
}

impl MailboxState {
    /// All, worst first.
    pub const ALL: [Self; 5] = [Self::Failing, Self::Partly, Self::NotTested, Self::Working, Self::Paused];

    /// The word in filters.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failing => "failing",
            Self::Partly => "partly",
            Self::NotTested => "untested",
            Self::Working => "working",
            Self::Paused => "paused",
        }
    }

    /// The value of a filter word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// The number in the database.
    pub const fn rank(self) -> i64 {
        self as i64
    }

    /// The value of a number.
    pub fn from_rank(rank: i64) -> Self {
        Self::ALL.into_iter().find(|state| state.rank() == rank).unwrap_or(Self::NotTested)
    }
}

/// Defaults and state of an outgoing side are the mailbox's own: see [`Mailbox`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// Row id.
    pub id: MailboxId,
    /// Handle.
    pub name: Name,
    /// The address mail is sent to.
    pub address: String,
    /// Shown to people who get mail from it.
    pub display_name: String,
    /// Checked on schedule only while this is on.
    pub enabled: bool,
    /// Who turned it off, when, and why.
    pub paused: Option<Pause>,
    /// Tags, sorted.
    pub tags: Vec<String>,
    /// Reading.
    pub incoming: Option<Side>,
    /// Folder the incoming side reads.
    pub folder: String,
    /// Sending.
    pub outgoing: Option<Side>,
    /// Default From; none: the address.
    pub from: Option<String>,
    /// Default Bcc.
    pub bcc: Vec<String>,
    /// After how many hours it sends itself a message and waits for it, again and again; 0: not at all.
    pub round_trip_hours: i64,
    /// State of the whole, derived from what follows by [`Mailbox::derive_state`] and stored for lists.
    pub state: MailboxState,
    /// Result of the incoming side.
    pub incoming_state: SideState,
    /// Result of the outgoing side.
    pub outgoing_state: SideState,
    /// Last test of any side; 0 before the first.
    pub checked_at: Timestamp,
    /// Since when it fails.
    pub failing_since: Option<Timestamp>,
    /// Last change of it, its token or its provider.
    pub changed_at: Timestamp,
    /// Counts saves.
    pub version: i64,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Who turned a mailbox off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Name of the person.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why, in their words; may be empty.
    pub reason: String,
}

impl Mailbox {
    /// The default From.
    pub fn sender(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.address)
    }

    /// The login user of a side.
    pub fn login<'a>(&'a self, side: &'a Side) -> &'a str {
        side.username.as_deref().unwrap_or(&self.address)
    }

    /// Whether a side of it uses a token.
    pub fn uses(&self, token: &TokenId) -> bool {
        let mut sides = [&self.incoming, &self.outgoing].into_iter().flatten();
        sides.any(|side| matches!(&side.auth, Auth::OAuth2 { token_id, .. } if token_id == token))
    }

    /// The sides there are and that have not passed a test since the last change.
    pub fn unproven(&self) -> Vec<Direction> {
        [
            (Direction::Incoming, &self.incoming, &self.incoming_state),
            (Direction::Outgoing, &self.outgoing, &self.outgoing_state),
        ]
        .into_iter()
        .filter(|(_, side, state)| side.is_some() && !matches!(state.outcome, Some(Outcome::Passed | Outcome::Warning)))
        .map(|(direction, ..)| direction)
        .collect()
    }

    /// Takes over what tests found of the mailbox as it is stored.
    pub fn keep_results(&mut self, stored: Self) {
        self.incoming_state = stored.incoming_state;
        self.outgoing_state = stored.outgoing_state;
        self.checked_at = stored.checked_at;
        self.failing_since = stored.failing_since;
        self.changed_at = stored.changed_at;
        self.state = self.derive_state();
    }

    /// The state that follows from the sides' results (`ux.md`, section 3).
    pub fn derive_state(&self) -> MailboxState {
        if !self.enabled && self.paused.is_some() {
            return MailboxState::Paused;
        }
        let results: Vec<Option<Outcome>> = [(&self.incoming, &self.incoming_state), (&self.outgoing, &self.outgoing_state)]
            .into_iter()
            .filter(|(side, _)| side.is_some())
            .map(|(_, state)| state.outcome)
            .collect();
        let failed = results.iter().filter(|outcome| **outcome == Some(Outcome::Failed)).count();
        match failed {
            0 if results.is_empty() || results.iter().any(Option::is_none) => MailboxState::NotTested,
            0 => MailboxState::Working,
            _ if failed == results.len() => MailboxState::Failing,
            _ => MailboxState::Partly,
        }
    }
}

/// An address `local@domain` without anything that could break out of a command or header (INJ-2).
pub fn check_address(text: &str) -> Option<String> {
    let text = text.trim();
    let (local, domain) = text.rsplit_once('@')?;
    let clean = |s: &str| {
        !s.is_empty()
            && !s
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || "<>()[],;:\\\"".contains(c))
    };
    let domain_ok = domain.split('.').all(|l| {
        !l.is_empty() && l.len() <= 63 && !l.starts_with('-') && !l.ends_with('-') && l.chars().all(|c| c.is_alphanumeric() || c == '-')
    });
    (clean(local) && !local.contains('@') && local.len() <= 64 && domain.len() <= 253 && domain_ok).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_that_could_break_out_are_refused() {
        for bad in [
            "",
            "https://imap.example.com",
            "imap.example.com/x",
            "a b",
            "a\r\nb",
            "a\0b",
            "-a.example",
        ] {
            assert!(Endpoint::check_host(bad).is_err(), "{bad:?}");
        }
        assert_eq!(Endpoint::check_host(" IMAP.example.com. ").unwrap(), "imap.example.com");
        assert_eq!(Endpoint::check_host("::1").unwrap(), "::1");
        for bad in [
            "",
            "x",
            "a@",
            "@b",
            "a\r\n@b.example",
            "a b@c.example",
            "a@b@c",
            "a@b..c",
            "<a@b.example>",
        ] {
            assert!(check_address(bad).is_none(), "{bad:?}");
        }
        assert_eq!(check_address(" o'brien+x@Example.com ").unwrap(), "o'brien+x@Example.com");
    }
}
