//! How many things need attention, for the navigation of every page.

use super::{Columns, Store, StoreResult};
use crate::clock::Timestamp;
use crate::model::Date;
use crate::model::notices::{Event, Words};

/// How many days ahead does the end of a secret count as something to do?
const SOON: i64 = 14;

/// The three counts, and what is told beside them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Mailboxes that fail, wholly or partly.
    pub mailboxes: i64,
    /// Providers with a problem, or a secret near its end.
    pub providers: i64,
    /// Tokens that need somebody.
    pub tokens: i64,
    /// Since when notices can't be mailed.
    pub mail_dead: Option<Timestamp>,
    /// Since when the webhook gets no notices.
    pub webhook_dead: Option<Timestamp>,
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
            mail_dead: self.dead_since(Event::MailDead).await?,
            webhook_dead: self.dead_since(Event::WebhookDead).await?,
        })
    }

    /// Since when the open notice of an event says that something is so; else since when it is open. None where there is none.
    pub async fn dead_since(&self, event: Event) -> StoreResult<Option<Timestamp>> {
        let row = sqlx::query("SELECT opened_at, words FROM notices WHERE event = $1 AND closed_at IS NULL LIMIT 1")
            .bind(event.as_str())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let words: Words = row.json("words")?;
        Ok(Some(match words.since {
            Some(since) => since,
            None => row.time("opened_at")?,
        }))
    }
}
