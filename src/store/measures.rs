//! Counts for those who watch the console from outside.

use super::{Columns, Engine, Store, StoreResult};
use crate::clock::Timestamp;

/// How many tokens of a provider are in a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenCount {
    /// The provider's handle.
    pub provider: String,
    /// `active`, `failing` or `revoked` as stored, or `unauthorized` where nobody has signed in.
    pub state: String,
    /// How many.
    pub count: i64,
}

impl Store {
    /// Lets PostgreSQL look at the logs where they have grown much since it last did: until then it guesses how many entries a filter
    /// finds, and a page can take seconds. Its own autovacuum does the same, where it is on and has come to it. Says which were looked at.
    pub async fn analyze_grown_logs(&self) -> StoreResult<Vec<String>> {
        if self.engine() != Engine::Postgres {
            return Ok(Vec::new());
        }
        let rows = sqlx::query(
            "SELECT CAST(relname AS TEXT) AS name FROM pg_stat_user_tables WHERE schemaname = current_schema() AND relname IN ('audit', 'log')
             AND n_mod_since_analyze > 20000 AND n_mod_since_analyze > n_live_tup / 5 ORDER BY 1",
        )
        .fetch_all(self.pool())
        .await?;
        let mut names = Vec::new();
        for row in &rows {
            let name = row.text("name")?;
            let statement = if name == "audit" { "ANALYZE audit" } else { "ANALYZE log" };
            sqlx::query(statement).execute(self.pool()).await?;
            names.push(name);
        }
        Ok(names)
    }

    /// How many notifications are due, and since when the first of them has been.
    pub async fn overdue_deliveries(&self, now: Timestamp) -> StoreResult<(i64, Option<Timestamp>)> {
        let row = sqlx::query("SELECT COUNT(*) AS due, MIN(next_at) AS first FROM deliveries WHERE state = 'waiting' AND next_at <= $1")
            .bind(now.0)
            .fetch_one(self.pool())
            .await?;
        Ok((row.int("due")?, row.maybe_time("first")?))
    }

    /// How many tests of bulk tests that run have not ended, and since when the first of these bulk tests has run.
    pub async fn overdue_batch_items(&self) -> StoreResult<(i64, Option<Timestamp>)> {
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(total - passed - failed - skipped), 0) AS BIGINT) AS due, MIN(started_at) AS first
             FROM batches WHERE finished_at IS NULL AND state = 'running'",
        )
        .fetch_one(self.pool())
        .await?;
        Ok((row.int("due")?, row.maybe_time("first")?))
    }

    /// Tokens by provider and stored state.
    pub async fn token_counts(&self) -> StoreResult<Vec<TokenCount>> {
        let rows = sqlx::query(
            "SELECT p.name AS provider, COALESCE(g.state, 'unauthorized') AS state, COUNT(*) AS n
             FROM tokens t JOIN providers p ON p.id = t.provider_id LEFT JOIN grants g ON g.token_id = t.id
             GROUP BY p.name, COALESCE(g.state, 'unauthorized') ORDER BY 1, 2",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(TokenCount {
                    provider: row.text("provider")?,
                    state: row.text("state")?,
                    count: row.int("n")?,
                })
            })
            .collect()
    }
}
