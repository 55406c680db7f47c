//! How much is kept of what grows, and since when; and the end of one-time links that are closed.

use super::{Columns, Engine, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;

/// What the retention settings are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Runs of tests.
    Runs,
    /// Entries of the system log.
    Log,
    /// Entries of the audit log.
    Audit,
    /// Imports, looked at or applied.
    Imports,
    /// One-time links that are used, withdrawn or over.
    ClosedLinks,
}

impl Store {
    /// How many there are, and when the oldest is from. `now` tells which links are over.
    pub async fn how_much(&self, what: Kept, now: Timestamp) -> StoreResult<(i64, Option<Timestamp>)> {
        let query = match what {
            Kept::Runs => sqlx::query("SELECT COUNT(*) AS n, MIN(started_at) AS oldest FROM runs"),
            Kept::Log => sqlx::query("SELECT COUNT(*) AS n, MIN(at) AS oldest FROM log"),
            Kept::Audit => sqlx::query("SELECT COUNT(*) AS n, MIN(at) AS oldest FROM audit"),
            Kept::Imports => sqlx::query("SELECT COUNT(*) AS n, MIN(created_at) AS oldest FROM imports"),
            Kept::ClosedLinks => sqlx::query(
                "SELECT COUNT(*) AS n, MIN(created_at) AS oldest FROM (
                   SELECT created_at FROM links WHERE used_at IS NOT NULL OR withdrawn = 1 OR expires_at <= $1
                   UNION ALL
                   SELECT created_at FROM provider_links WHERE used_at IS NOT NULL OR withdrawn = 1 OR expires_at <= $1) AS closed",
            )
            .bind(now.0),
        };
        let row = query.fetch_one(self.pool()).await?;
        Ok((row.int("n")?, row.maybe_time("oldest")?))
    }

    /// About how many bytes some of these take: PostgreSQL knows it of tables; elsewhere the newest ones are measured, and as many taken for
    /// as large. None where it isn't known.
    pub async fn about_bytes(&self, what: Kept, count: i64) -> StoreResult<Option<i64>> {
        let (table, sample) = match what {
            Kept::Runs => (
                "SELECT pg_total_relation_size('runs') AS n",
                "SELECT CAST(COALESCE(AVG(size), 0) AS BIGINT) AS n FROM
                 (SELECT LENGTH(report) + LENGTH(settings) + COALESCE(LENGTH(newest), 0) + 300 AS size FROM runs ORDER BY started_at DESC, id DESC LIMIT 100) AS newest",
            ),
            Kept::Log => (
                "SELECT pg_total_relation_size('log') AS n",
                "SELECT CAST(COALESCE(AVG(size), 0) AS BIGINT) AS n FROM
                 (SELECT LENGTH(message) + LENGTH(details) + 2 * LENGTH(subject) + 100 AS size FROM log ORDER BY id DESC LIMIT 100) AS newest",
            ),
            Kept::Audit => (
                "SELECT pg_total_relation_size('audit') AS n",
                "SELECT CAST(COALESCE(AVG(size), 0) AS BIGINT) AS n FROM
                 (SELECT LENGTH(detail) + 2 * LENGTH(target) + 2 * LENGTH(actor) + 2 * LENGTH(action) + 250 AS size FROM audit ORDER BY sequence DESC LIMIT 100) AS newest",
            ),
            Kept::Imports => (
                "SELECT pg_total_relation_size('imports') + pg_total_relation_size('import_parts') AS n",
                "SELECT CAST(COALESCE(AVG(size), 0) AS BIGINT) AS n FROM (SELECT LENGTH(i.sealed) + LENGTH(i.report) +
                 COALESCE((SELECT SUM(LENGTH(p.sealed)) FROM import_parts p WHERE p.import_id = i.id), 0) AS size
                 FROM imports i ORDER BY i.created_at DESC LIMIT 10) AS newest",
            ),
            Kept::ClosedLinks => return Ok(None),
        };
        if self.engine() == Engine::Postgres {
            return Ok(Some(sqlx::query(table).fetch_one(self.pool()).await?.int("n")?));
        }
        let each = sqlx::query(sample).fetch_one(self.pool()).await?.int("n")?;
        Ok(Some(each.saturating_mul(count)))
    }

    /// How many bytes the database takes on disk, without what waits to be written into it.
    pub async fn database_bytes(&self) -> StoreResult<i64> {
        let query = match self.engine() {
            Engine::Sqlite => "SELECT page_count * page_size AS n FROM pragma_page_count(), pragma_page_size()",
            Engine::Postgres => "SELECT pg_database_size(current_database()) AS n",
        };
        sqlx::query(query).fetch_one(self.pool()).await?.int("n")
    }
}

impl Tx {
    /// Deletes one-time links whose time was over before a moment, used or not, so many of each kind at most; says how many.
    pub async fn prune_links(&mut self, before: Timestamp, most: i64) -> StoreResult<u64> {
        let statements = [
            "DELETE FROM links WHERE id IN (SELECT id FROM links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
            "DELETE FROM provider_links WHERE id IN (SELECT id FROM provider_links WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)",
        ];
        self.prune(&statements, before.0, most).await
    }

    /// Deletes what is older than `before` (`$1`), at most `most` (`$2`) by each statement; says how many rows went.
    pub(super) async fn prune(&mut self, statements: &[&'static str], before: i64, most: i64) -> StoreResult<u64> {
        let mut gone = 0;
        for statement in statements {
            let done = sqlx::query(*statement).bind(before).bind(most).write(self).await?;
            gone += done;
        }
        Ok(gone)
    }
}
