//! What the overview asks for: causes of trouble beyond single mailboxes.

use super::{Columns, Store, StoreResult};
use crate::clock::Timestamp;
use crate::model::token::GrantType;

/// A token a person has to do something about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitingToken {
    /// Its handle.
    pub name: String,
    /// Who must sign in; empty where that is nobody in particular.
    pub account: String,
    /// Its provider's handle.
    pub provider: String,
    /// How it is got: not everything that waits needs somebody to sign in.
    pub grant: GrantType,
    /// Whether somebody had signed in before.
    pub had_grant: bool,
    /// Why: a diagnosis as JSON.
    pub last_error: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// How many mailboxes use it.
    pub mailboxes: i64,
}

impl Store {
    /// Tokens whose sign-in has ended, and those that mailboxes use before anybody has signed in; most mailboxes first.
    pub async fn waiting_tokens(&self, limit: i64) -> StoreResult<Vec<WaitingToken>> {
        let rows = sqlx::query(
            "SELECT name, account, provider, grant_type, had_grant, last_error, since, mailboxes FROM (
                 SELECT t.name AS name, COALESCE(t.account, '') AS account, p.name AS provider, t.grant_type AS grant_type,
                        CASE WHEN g.token_id IS NULL THEN 0 ELSE 1 END AS had_grant, g.last_error AS last_error, g.last_error_at AS since,
                        (SELECT COUNT(*) FROM mailboxes m WHERE m.incoming_token_id = t.id OR m.outgoing_token_id = t.id) AS mailboxes
                 FROM tokens t JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id
                 WHERE (g.token_id IS NULL AND t.grant_type IN ('authorization_code', 'device_code')) OR g.state = 'revoked') AS waiting
             WHERE had_grant = 1 OR mailboxes > 0 ORDER BY had_grant DESC, mailboxes DESC, name LIMIT $1",
        )
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(WaitingToken {
                    name: row.text("name")?,
                    account: row.text("account")?,
                    provider: row.text("provider")?,
                    grant: row.word("grant_type", GrantType::parse)?,
                    had_grant: row.int("had_grant")? != 0,
                    last_error: row.maybe_text("last_error")?,
                    since: row.maybe_time("since")?,
                    mailboxes: row.int("mailboxes")?,
                })
            })
            .collect()
    }

    /// How many mailboxes were never checked.
    pub async fn never_checked(&self) -> StoreResult<i64> {
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM mailboxes WHERE checked_at = 0")
            .fetch_one(self.pool())
            .await?)
    }

    /// When any mailbox was last checked; none before the first time.
    pub async fn last_checked(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MAX(checked_at) FROM mailboxes")
            .fetch_one(self.pool())
            .await?;
        Ok(at.filter(|at| *at > 0).map(Timestamp))
    }
}
