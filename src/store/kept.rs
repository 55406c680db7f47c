//! Secrets that were typed into a form which came back to be mended, sealed. The form may be sent again to another instance.

use super::{Columns, Store, StoreResult, Write};
use crate::clock::Timestamp;
use crate::model::{Sealed, UserId};

/// How many of a kind are kept for one person? The oldest goes.
const MOST: i64 = 10;

/// What is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRow {
    /// Finds it again.
    pub id: String,
    /// Whose. Nobody else gets it.
    pub user_id: UserId,
    /// What kind of form it belongs to.
    pub kind: String,
    /// The secrets.
    pub sealed: Sealed,
    /// Until when.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps a row; the oldest of too many of this person go.
    pub async fn keep(&self, row: &KeptRow) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("INSERT INTO kept (id, user_id, kind, sealed, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&row.id)
            .bind(row.user_id.as_str())
            .bind(&row.kind)
            .bind(&row.sealed.0)
            .bind(row.expires_at.0)
            .write(&mut tx)
            .await?;
        sqlx::query(
            "DELETE FROM kept WHERE user_id = $1 AND kind = $2 AND id NOT IN
             (SELECT id FROM kept WHERE user_id = $1 AND kind = $2 ORDER BY expires_at DESC, id DESC LIMIT $3)",
        )
        .bind(row.user_id.as_str())
        .bind(&row.kind)
        .bind(MOST)
        .write(&mut tx)
        .await?;
        tx.commit().await
    }

    /// What was kept for this person under this id; none where it is over.
    pub async fn kept(&self, user: &UserId, kind: &str, id: &str, now: Timestamp) -> StoreResult<Option<Sealed>> {
        let row = sqlx::query("SELECT sealed FROM kept WHERE id = $1 AND user_id = $2 AND kind = $3 AND expires_at > $4")
            .bind(id)
            .bind(user.as_str())
            .bind(kind)
            .bind(now.0)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| row.text("sealed").map(Sealed)).transpose()
    }

    /// Lets go of one, or of all of a kind where no id is given.
    pub async fn forget_kept(&self, user: &UserId, kind: &str, id: Option<&str>) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM kept WHERE user_id = $1 AND kind = $2 AND ($3 = '' OR id = $3)")
            .bind(user.as_str())
            .bind(kind)
            .bind(id.unwrap_or_default())
            .write(&mut tx)
            .await?;
        tx.commit().await
    }
}
