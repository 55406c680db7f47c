//! What is to be renewed, and when.

use super::{Columns, Engine, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::{ProviderId, TokenId};

/// How long is a claim of an instance that is gone still respected, in seconds after it was made? Longer than one request takes.
const CLAIM_OF_THE_DEAD: i64 = 25;

/// A grant that is to be renewed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Whose it is.
    pub token: TokenId,
    /// Its generation.
    pub generation: i64,
    /// Since when.
    pub due_at: Timestamp,
    /// Who renews it now, if somebody does.
    pub lease_owner: Option<String>,
    /// Until when that claim holds.
    pub lease_until: Option<Timestamp>,
}

impl Store {
    /// The providers that have something to renew, and whether the app itself is refused there.
    pub async fn due_providers(&self, now: Timestamp) -> StoreResult<Vec<(ProviderId, bool)>> {
        // Nearly always nothing is due: the index says so at once.
        if self.next_due().await?.is_none_or(|next| next > now) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT DISTINCT p.id AS id, CASE WHEN p.problem IS NULL THEN 0 ELSE 1 END AS broken
             FROM grants g JOIN tokens t ON t.id = g.token_id JOIN providers p ON p.id = t.provider_id WHERE g.due_at <= $1 ORDER BY 1",
        )
        .bind(now.0)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| Ok((ProviderId(row.text("id")?), row.flag("broken")?)))
            .collect()
    }

    /// What is due at a provider, at most `limit`: first what was not used for longest, for that lapses first.
    pub async fn due_grants(&self, provider: &ProviderId, now: Timestamp, limit: i64) -> StoreResult<Vec<Due>> {
        let rows = sqlx::query(
            "SELECT g.token_id AS token_id, g.generation AS generation, g.due_at AS due_at, g.lease_owner AS lease_owner, g.lease_until AS lease_until
             FROM grants g JOIN tokens t ON t.id = g.token_id WHERE t.provider_id = $1 AND g.due_at <= $2
             ORDER BY COALESCE(g.refreshed_at, g.authorized_at, 0), g.token_id LIMIT $3",
        )
        .bind(provider.as_str())
        .bind(now.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Due {
                    token: TokenId(row.text("token_id")?),
                    generation: row.int("generation")?,
                    due_at: row.time("due_at")?,
                    lease_owner: row.maybe_text("lease_owner")?,
                    lease_until: row.maybe_time("lease_until")?,
                })
            })
            .collect()
    }

    /// When the next renewal is due; none: never.
    pub async fn next_due(&self) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar("SELECT MIN(due_at) FROM grants").fetch_one(self.pool()).await?;
        Ok(at.map(Timestamp))
    }

    /// How many renewals are due, and since when the first of them has been.
    pub async fn overdue_renewals(&self, now: Timestamp) -> StoreResult<(i64, Option<Timestamp>)> {
        let row = sqlx::query("SELECT COUNT(*) AS due, MIN(due_at) AS first FROM grants WHERE due_at <= $1")
            .bind(now.0)
            .fetch_one(self.pool())
            .await?;
        Ok((row.int("due")?, row.maybe_time("first")?))
    }

    /// How many renewals have been waiting since before `before`, where nothing is known that speaks against them.
    pub async fn overdue_grants(&self, before: Timestamp) -> StoreResult<i64> {
        Ok(sqlx::query_scalar(
            "SELECT COUNT(*) FROM grants g JOIN tokens t ON t.id = g.token_id JOIN providers p ON p.id = t.provider_id
             WHERE g.due_at < $1 AND g.state = 'active' AND p.problem IS NULL",
        )
        .bind(before.0)
        .fetch_one(self.pool())
        .await?)
    }

    /// The clock was set by so many seconds while it went on: what was written by the old one moves along, so that nothing is older or
    /// younger than before. What was written between `from` and `to` is by the new one.
    pub async fn move_grants(&self, by: i64, from: Timestamp, to: Timestamp) -> StoreResult<u64> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE grants SET issued_at = issued_at + $1, expires_at = expires_at + $1, due_at = due_at + $1, retry_at = retry_at + $1
             WHERE COALESCE(CASE WHEN state = 'failing' THEN last_error_at ELSE issued_at END, 0) NOT BETWEEN $2 AND $3",
        )
        .bind(by)
        .bind(from.0)
        .bind(to.0)
        .write(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done)
    }

    /// At a start: how old is what was got after `now` nobody knows, for the clock was set back meanwhile. It is due.
    pub async fn heed_grants_of_the_future(&self, now: Timestamp, slack: i64) -> StoreResult<u64> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE grants SET due_at = $1 WHERE due_at > $1 AND (issued_at > $2 OR (state = 'failing' AND last_error_at > $2))",
        )
        .bind(now.0)
        .bind(now.plus(slack).0)
        .write(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done)
    }

    /// The time by the clock of the database server, where it has one of its own.
    pub async fn server_clock(&self) -> StoreResult<Option<Timestamp>> {
        if self.engine() == Engine::Sqlite {
            return Ok(None);
        }
        let now: i64 = sqlx::query_scalar("SELECT CAST(EXTRACT(EPOCH FROM CURRENT_TIMESTAMP) AS BIGINT)")
            .fetch_one(self.pool())
            .await?;
        Ok(Some(Timestamp(now)))
    }
}

impl Tx {
    /// Lets go of what an instance had claimed that is gone; a request of its last seconds gets its time.
    pub(super) async fn free_claims(&mut self, owner: &str) -> StoreResult<()> {
        sqlx::query("UPDATE grants SET lease_until = attempt_started + $2 WHERE lease_owner = $1 AND lease_until > attempt_started + $2")
            .bind(owner)
            .bind(CLAIM_OF_THE_DEAD)
            .write(self)
            .await?;
        Ok(())
    }
}
