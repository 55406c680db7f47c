//! How many things need attention, for the navigation of every page.

use super::{Store, StoreResult};
use crate::clock::Timestamp;
use crate::model::Date;

/// How many days ahead does the end of a secret count as something to do?
const SOON: i64 = 14;

/// The three counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mailboxes that fail, wholly or partly.
    pub mailboxes: i64,
    /// Providers with a problem, or a secret near its end.
    pub providers: i64,
    /// Tokens that need somebody.
    pub tokens: i64,
}

impl Store {
    /// Counts them.
    pub async fn attention(&self, now: Timestamp) -> StoreResult<Counts> {
        let mailboxes = sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE state IN (0, 1)")
            .fetch_one(self.pool())
            .await?;
        let soon = time::OffsetDateTime::from_unix_timestamp(now.plus(SOON * 86_400).0)
            .map_or_else(|_| String::new(), |at| Date(at.date()).to_string());
        let providers = sqlx::query_scalar("SELECT COUNT(*) FROM providers WHERE problem IS NOT NULL OR client_secret_expires <= $1")
            .bind(soon)
            .fetch_one(self.pool())
            .await?;
        let tokens = sqlx::query_scalar("SELECT COUNT(*) FROM grants WHERE state = 'revoked'")
            .fetch_one(self.pool())
            .await?;
        Ok(Counts {
            mailboxes,
            providers,
            tokens,
        })
    }
}
