//! Audit entries: who did what to what, when, from where, and what came of it.

use crate::clock::Timestamp;

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
}

impl Actor {
    /// The console acting by itself.
    pub fn console() -> Self {
        Self {
            id: "console".into(),
            name: "the console".into(),
            address: String::new(),
            request_id: String::new(),
        }
    }

    /// A command on this machine.
    pub fn command_line() -> Self {
        Self {
            id: "command line".into(),
            name: "the command line".into(),
            address: String::new(),
            request_id: String::new(),
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
    /// HMAC over the previous hash and this row, hexadecimal.
    pub hash: String,
}
