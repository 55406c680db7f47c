//! A sign-in on its way, and the link somebody else signs in through.

use super::token::Prompt;
use super::{ProviderId, Sealed, TokenId};
use crate::clock::Timestamp;

/// A sign-in on its way; the callback accepts only if everything here matches (OAUTH-1).
#[derive(Debug, Clone)]
pub struct Authorization {
    /// Id of the attempt, in the address of the page before leaving.
    pub id: String,
    /// SHA-256 of the `state` sent, hexadecimal.
    pub state_hash: String,
    /// The token it is for.
    pub token_id: TokenId,
    /// The provider it goes to.
    pub provider_id: ProviderId,
    /// Who started it; none behind a sign-in link.
    pub user_id: Option<super::UserId>,
    /// SHA-256 of the session it belongs to; none behind a sign-in link.
    pub session_hash: Option<String>,
    /// SHA-256 of the flow cookie.
    pub flow_hash: Option<String>,
    /// The sign-in link it came through.
    pub link_id: Option<String>,
    /// Redirect URI sent; empty where somebody signs in at another device.
    pub redirect_uri: String,
    /// Issuer expected in `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// Prompt of this attempt.
    pub prompt: Prompt,
    /// PKCE verifier, nonce and state, sealed together; or the codes of a device sign-in.
    pub sealed: Sealed,
    /// Name of the person, or what started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
    /// Returns after this are too late.
    pub expires_at: Timestamp,
    /// Empty while open; then how it ended.
    pub outcome: String,
    /// What the result page needs to say, as JSON; no secrets.
    pub detail: String,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

impl Authorization {
    /// Whether somebody signs in at another device: that comes back to no address, the console asks.
    pub fn at_device(&self) -> bool {
        self.redirect_uri.is_empty()
    }
}

/// A sign-in that waits for somebody at another device: when the provider is asked about it next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The token it is for: one at a time.
    pub token_id: TokenId,
    /// The [`Authorization`].
    pub attempt_id: String,
    /// The token's version when it began: a token that was changed since is another one.
    pub token_version: i64,
    /// Seconds between two questions.
    pub pause: i64,
    /// Questions without a usable answer, in a row.
    pub failures: i64,
    /// When it is asked about next. Whoever moves this on has taken that turn.
    pub next_at: Timestamp,
}

/// A sign-in link `/l/{code}`: one token, once, until its end.
#[derive(Debug, Clone)]
pub struct Link {
    /// Row id.
    pub id: String,
    /// SHA-256 of the code, hexadecimal.
    pub code_hash: String,
    /// The token it is for.
    pub token_id: TokenId,
    /// Prompt it will use.
    pub prompt: Prompt,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// First opened.
    pub opened_at: Option<Timestamp>,
    /// Used up.
    pub used_at: Option<Timestamp>,
    /// Taken back.
    pub withdrawn: bool,
    /// How it ended.
    pub outcome: String,
    /// Words for whoever waits for it, as JSON; no secrets.
    pub detail: String,
}
