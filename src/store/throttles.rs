//! Rows that count sign-in tries. What the numbers mean is [`crate::auth::throttle`]'s affair.

use super::{Columns, StoreError, StoreResult, Tx, Write};
use crate::clock::Timestamp;

/// How many seconds is a count kept that nobody touches?
pub(crate) const KEPT: i64 = 24 * 3600;
/// How many seconds is it remembered at which addresses an account was signed in?
pub(crate) const KNOWN: i64 = 30 * 24 * 3600;

impl Tx {
    /// A bucket's level and when it was last changed, locked until the transaction ends; an empty one is made where none is.
    pub async fn throttle(&mut self, bucket: &str, now: Timestamp) -> StoreResult<(i64, Timestamp)> {
        let row = sqlx::query(
            "INSERT INTO throttles (bucket, level, updated_at) VALUES ($1, 0, $2)
             ON CONFLICT (bucket) DO UPDATE SET bucket = excluded.bucket RETURNING level, updated_at",
        )
        .bind(bucket)
        .bind(now.0)
        .fetch_one(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok((row.int("level")?, row.time("updated_at")?))
    }

    /// Sets a bucket.
    pub async fn set_throttle(&mut self, bucket: &str, level: i64, now: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO throttles (bucket, level, updated_at) VALUES ($1, $2, $3)
             ON CONFLICT (bucket) DO UPDATE SET level = excluded.level, updated_at = excluded.updated_at",
        )
        .bind(bucket)
        .bind(level)
        .bind(now.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// Whether a bucket exists, without making it.
    pub async fn has_throttle(&mut self, bucket: &str) -> StoreResult<bool> {
        let level: Option<i64> = sqlx::query_scalar("SELECT level FROM throttles WHERE bucket = $1")
            .bind(bucket)
            .fetch_optional(&mut ***self)
            .await?;
        Ok(level.is_some())
    }

    /// Empties a bucket.
    pub async fn reset_throttle(&mut self, bucket: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM throttles WHERE bucket = $1")
            .bind(bucket)
            .write(self)
            .await?;
        Ok(())
    }
}
