//! What people bring along: previews, reports, what it takes to undo them.

use super::{Columns, Store, StoreError, StoreResult, Tx};
use crate::clock::Timestamp;
use crate::model::{Sealed, UserId};
use sqlx::any::AnyRow;

/// How many previews that wait does one person have? The oldest goes.
const MOST_WAITING: i64 = 20;

/// An import, from its preview on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportRow {
    /// Row id.
    pub id: String,
    /// Whose. Nobody else sees it.
    pub user_id: UserId,
    /// What was brought along; once applied, what it takes to undo it.
    pub sealed: Sealed,
    /// When it came.
    pub created_at: Timestamp,
    /// Until when it is kept.
    pub expires_at: Timestamp,
    /// When it was applied.
    pub applied_at: Option<Timestamp>,
    /// When that was undone.
    pub undone_at: Option<Timestamp>,
    /// What became of it, as JSON without secrets.
    pub report: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, sealed, created_at, expires_at, applied_at, undone_at, report FROM imports ",
            $rest
        )
    };
}

fn import(row: &AnyRow) -> StoreResult<ImportRow> {
    Ok(ImportRow {
        id: row.text("id")?,
        user_id: UserId(row.text("user_id")?),
        sealed: Sealed(row.text("sealed")?),
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        applied_at: row.maybe_time("applied_at")?,
        undone_at: row.maybe_time("undone_at")?,
        report: row.text("report")?,
    })
}

impl Store {
    /// An import of a person.
    pub async fn import(&self, user: &UserId, id: &str) -> StoreResult<Option<ImportRow>> {
        let row = sqlx::query(select!("WHERE id = $1 AND user_id = $2"))
            .bind(id)
            .bind(user.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(import).transpose()
    }

    /// The imports of a person, newest first.
    pub async fn imports_of(&self, user: &UserId, now: Timestamp) -> StoreResult<Vec<ImportRow>> {
        let rows = sqlx::query(select!(
            "WHERE user_id = $1 AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT 20"
        ))
        .bind(user.as_str())
        .bind(now.0)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(import).collect()
    }

    /// Keeps an import until it is applied; the oldest of too many goes.
    pub async fn insert_import(&self, row: &ImportRow) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "DELETE FROM imports WHERE user_id = $1 AND applied_at IS NULL AND id NOT IN
             (SELECT id FROM imports WHERE user_id = $1 AND applied_at IS NULL ORDER BY created_at DESC, id DESC LIMIT $2)",
        )
        .bind(row.user_id.as_str())
        .bind(MOST_WAITING - 1)
        .execute(&mut **tx)
        .await
        .map_err(StoreError::from_write)?;
        sqlx::query("INSERT INTO imports (id, user_id, sealed, created_at, expires_at, report) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(&row.id)
            .bind(row.user_id.as_str())
            .bind(&row.sealed.0)
            .bind(row.created_at.0)
            .bind(row.expires_at.0)
            .bind(&row.report)
            .execute(&mut **tx)
            .await
            .map_err(StoreError::from_write)?;
        tx.commit().await
    }

    /// Throws a preview away.
    pub async fn delete_import(&self, user: &UserId, id: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM imports WHERE id = $1 AND user_id = $2 AND applied_at IS NULL")
            .bind(id)
            .bind(user.as_str())
            .execute(self.pool())
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }
}

impl Tx {
    /// Marks an import as applied; false if it was before, or is gone.
    pub async fn take_import(&mut self, id: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE imports SET applied_at = $2 WHERE id = $1 AND applied_at IS NULL AND expires_at > $2")
            .bind(id)
            .bind(now.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts what it takes to undo an import in the place of what was brought along.
    pub async fn finish_import(&mut self, id: &str, sealed: &Sealed, report: &str, expires_at: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE imports SET sealed = $2, report = $3, expires_at = $4 WHERE id = $1")
            .bind(id)
            .bind(&sealed.0)
            .bind(report)
            .bind(expires_at.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Marks an import as undone, and forgets what it took; false if it was before.
    pub async fn undo_import(&mut self, id: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE imports SET undone_at = $2, sealed = '' WHERE id = $1 AND applied_at IS NOT NULL AND undone_at IS NULL AND expires_at > $2",
        )
        .bind(id)
        .bind(now.0)
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }
}
