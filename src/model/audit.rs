//! Audit entries: who did what to what, when, from where, and what came of it; and what the look through their chain found.

mod actions;
mod anchor;

pub use actions::{ACTIONS, NOUNS, action_words};
pub use anchor::Anchor;

use crate::clock::Timestamp;
use serde::{Deserialize, Serialize};

/// Who acts, and from where. Every action takes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// `user:<email>`, `command line`, `console` or `link:<id>`.
    pub id: String,
    /// The name pages show: a person's name, "the console", "the command line".
    pub name: String,
    /// Client address; empty for the console itself and for commands.
    pub address: String,
    /// Request id; empty outside requests.
    pub request_id: String,
    /// The beginning of the session's hash; empty where nobody is signed in.
    pub session: String,
}

/// How many characters of a session's hash say which session it is?
pub const SESSION_LENGTH: usize = 12;

impl Actor {
    /// The console acting by itself.
    pub fn console() -> Self {
        Self {
            id: "console".into(),
            name: "the console".into(),
            address: String::new(),
            request_id: String::new(),
            session: String::new(),
        }
    }

    /// A command on this machine.
    pub fn command_line() -> Self {
        Self {
            id: "command line".into(),
            name: "the command line".into(),
            address: String::new(),
            request_id: String::new(),
            session: String::new(),
        }
    }
}

/// One entry to append. Never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What was done, as `noun.verb`: `provider.create`, `token.refresh`, `sign_in`.
    pub action: &'static str,
    /// On what, as `noun:name`.
    pub target: String,
    /// What changed, for people; secrets only as "changed".
    pub detail: String,
    /// `ok`, `refused` or `failed`.
    pub outcome: &'static str,
}

/// An entry as it is stored, with its link in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRow {
    /// Gapless number from 1.
    pub sequence: i64,
    /// When.
    pub at: Timestamp,
    /// [`Actor::id`].
    pub actor: String,
    /// What was done.
    pub action: String,
    /// On what.
    pub target: String,
    /// What changed.
    pub detail: String,
    /// What came of it.
    pub outcome: String,
    /// Client address.
    pub address: String,
    /// Request id.
    pub request_id: String,
    /// The beginning of the session's hash.
    pub session: String,
    /// HMAC over the previous hash and this row, hexadecimal.
    pub hash: String,
}

/// What a look through the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The first entry there is; those before it were cut by retention.
    pub first: i64,
    /// The last one the chain says there is.
    pub last: i64,
    /// Its hash.
    pub head: String,
    /// Where the chain breaks; none: it is intact.
    pub broken: Option<Break>,
}

impl Chain {
    /// How many entries are intact.
    pub fn entries(&self) -> i64 {
        let end = self.broken.as_ref().map_or(self.last, |broken| broken.sequence - 1);
        (end - self.first + 1).max(0)
    }
}

/// Where a chain breaks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break {
    /// The first entry that can't be trusted.
    pub sequence: i64,
    /// What is wrong with it: a sentence without a full stop.
    pub what: String,
}

/// A look through the chain, as the page tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// When it ended.
    pub at: Timestamp,
    /// What it found.
    pub chain: Chain,
}
