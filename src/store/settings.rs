//! Instance settings, by name; also the vault's key rows.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::vault::KeyRow;

impl Store {
    /// The value of a setting.
    pub async fn setting(&self, name: &str) -> StoreResult<Option<String>> {
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .fetch_optional(self.pool())
            .await?)
    }

    /// Every data key row.
    pub async fn key_rows(&self) -> StoreResult<Vec<KeyRow>> {
        let rows = sqlx::query("SELECT id, wrapped, active FROM data_keys ORDER BY id")
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(KeyRow {
                    id: row.text("id")?,
                    wrapped: row.text("wrapped")?,
                    active: row.flag("active")?,
                })
            })
            .collect()
    }
}

impl Tx {
    /// Sets a setting.
    pub async fn put_setting(&mut self, name: &str, value: &str) -> StoreResult<()> {
        sqlx::query("INSERT INTO settings (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value")
            .bind(name)
            .bind(value)
            .write(self)
            .await?;
        Ok(())
    }

    /// Removes a setting.
    pub async fn remove_setting(&mut self, name: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM settings WHERE name = $1").bind(name).write(self).await?;
        Ok(())
    }

    /// The value of a setting, within the transaction.
    pub async fn setting(&mut self, name: &str) -> StoreResult<Option<String>> {
        Ok(sqlx::query_scalar("SELECT value FROM settings WHERE name = $1")
            .bind(name)
            .fetch_optional(&mut ***self)
            .await?)
    }

    /// Adds a data key row.
    pub async fn insert_key(&mut self, row: &KeyRow, now: Timestamp) -> StoreResult<()> {
        sqlx::query("INSERT INTO data_keys (id, wrapped, active, created_at) VALUES ($1, $2, $3, $4)")
            .bind(&row.id)
            .bind(&row.wrapped)
            .bind(i64::from(row.active))
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }
}
