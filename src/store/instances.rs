//! Which processes serve this database, and which of them does what only one should do.

use super::{Columns, Store, StoreResult, Write};
use crate::clock::Timestamp;
use sqlx::any::AnyRow;

/// A process that serves this database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its name in claims ([`crate::actions::access_token::lease::Owner`]).
    pub id: String,
    /// The name of its machine.
    pub host: String,
    /// The version of Mailgrant it runs.
    pub version: String,
    /// When it started.
    pub started_at: Timestamp,
    /// When it last said that it lives, by its own clock.
    pub seen_at: Timestamp,
    /// Counts how often it said so.
    pub beat: i64,
}

impl Store {
    /// Says that an instance lives; it is added where it isn't known, at first or because somebody took it for dead.
    pub async fn beat(&self, instance: &Instance) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query(
            "INSERT INTO instances (id, host, version, started_at, seen_at, beat) VALUES ($1, $2, $3, $4, $5, 1)
             ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, beat = instances.beat + 1",
        )
        .bind(&instance.id)
        .bind(&instance.host)
        .bind(&instance.version)
        .bind(instance.started_at.0)
        .bind(instance.seen_at.0)
        .write(&mut tx)
        .await?;
        tx.commit().await
    }

    /// All instances, the oldest first.
    pub async fn instances(&self) -> StoreResult<Vec<Instance>> {
        let rows = sqlx::query("SELECT id, host, version, started_at, seen_at, beat FROM instances ORDER BY started_at, id")
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(instance).collect()
    }

    /// Takes an instance away that has not said that it lives since it was read; what it had claimed is free from then on. Says whether
    /// it was there.
    pub async fn remove_instance(&self, id: &str, beat: i64) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        // Read before its row is gone: that says when it was last seen.
        let beats: Option<i64> = sqlx::query_scalar("SELECT beat FROM instances WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut **tx)
            .await?;
        if beats != Some(beat) {
            return Ok(false);
        }
        tx.abandon_runs_of(id).await?;
        let done = sqlx::query("DELETE FROM instances WHERE id = $1 AND beat = $2")
            .bind(id)
            .bind(beat)
            .write(&mut tx)
            .await?;
        if done != 1 {
            return Ok(false);
        }
        tx.free_claims(id).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Who has a duty and lives, and how often it took it up.
    pub async fn duty(&self, name: &str) -> StoreResult<Option<(String, i64)>> {
        let row = sqlx::query("SELECT d.owner AS owner, d.turn AS turn FROM duties d JOIN instances i ON i.id = d.owner WHERE d.name = $1")
            .bind(name)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| Ok((row.text("owner")?, row.int("turn")?))).transpose()
    }

    /// Takes a duty from an owner that has not taken it up since it was read; free it is for whoever comes next.
    pub async fn free_duty(&self, name: &str, owner: &str, turn: i64) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query("DELETE FROM duties WHERE name = $1 AND owner = $2 AND turn = $3")
            .bind(name)
            .bind(owner)
            .bind(turn)
            .write(&mut tx)
            .await?;
        tx.commit().await?;
        Ok(done == 1)
    }

    /// Lets go of every duty of an instance.
    pub async fn free_duties(&self, owner: &str) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM duties WHERE owner = $1")
            .bind(owner)
            .write(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Takes a duty for this instance, which must be among those that live: `true` if it has it now, or had it before.
    pub async fn take_duty(&self, name: &str, owner: &str) -> StoreResult<bool> {
        if self.duty(name).await?.is_some_and(|(holder, _)| holder != owner) {
            return Ok(false);
        }
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "INSERT INTO duties (name, owner) SELECT $1, id FROM instances WHERE id = $2
             ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, turn = duties.turn + 1
             WHERE duties.owner = excluded.owner OR duties.owner NOT IN (SELECT id FROM instances)",
        )
        .bind(name)
        .bind(owner)
        .write(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done == 1)
    }
}

fn instance(row: &AnyRow) -> StoreResult<Instance> {
    Ok(Instance {
        id: row.text("id")?,
        host: row.text("host")?,
        version: row.text("version")?,
        started_at: row.time("started_at")?,
        seen_at: row.time("seen_at")?,
        beat: row.int("beat")?,
    })
}
