//! Proof of least privilege: an app-only token is kept out of a mailbox it must not open.

use super::{TokenId, words};
use crate::clock::Timestamp;

words!(
    /// What became of opening it.
    ProofOutcome {
        /// It was refused, and mailboxes of the token opened the same way: proved.
        Refused = "refused",
        /// It opened.
        Opened = "opened",
        /// Neither: the server was not reached, or the token opened nothing at all.
        Unclear = "unclear",
    }
);

/// A proof that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// Row id.
    pub id: String,
    /// Which token.
    pub token_id: TokenId,
    /// The mailbox that must be refused.
    pub address: String,
    /// What became of it.
    pub outcome: ProofOutcome,
    /// How it was tried and what the servers said.
    pub detail: String,
    /// When.
    pub at: Timestamp,
    /// Who asked for it.
    pub by: String,
}
