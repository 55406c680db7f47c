//! Sign-ins that wait for somebody at another device.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::token::Device;
use crate::model::{TokenId, UserId};
use sqlx::Any;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;

macro_rules! select_device {
    ($rest:literal) => {
        concat!(
            "SELECT token_id, attempt_id, token_version, pause, failures, next_at FROM devices ",
            $rest
        )
    };
}

impl Store {
    /// What waits for a token.
    pub async fn device(&self, token: &TokenId) -> StoreResult<Option<Device>> {
        let row = sqlx::query(select_device!("WHERE token_id = $1"))
            .bind(token.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(device).transpose()
    }

    /// How many sign-ins wait at other devices: in all, and of this person; none: of the command line.
    pub async fn open_devices(&self, user: Option<&UserId>, now: Timestamp) -> StoreResult<(i64, i64)> {
        let row = count(user, now).fetch_one(self.pool()).await?;
        Ok((row.int("all_open")?, row.int("own")?))
    }

    /// What the provider is to be asked about now.
    pub async fn due_devices(&self, now: Timestamp) -> StoreResult<Vec<Device>> {
        let rows = sqlx::query(select_device!("WHERE next_at <= $1 ORDER BY next_at, attempt_id"))
            .bind(now.0)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(device).collect()
    }
}

/// The question behind `open_devices`.
fn count(user: Option<&UserId>, now: Timestamp) -> Query<'_, Any, AnyArguments> {
    sqlx::query(
        "SELECT COUNT(*) AS all_open, COALESCE(SUM(CASE WHEN COALESCE(a.user_id, '') = $1 THEN 1 ELSE 0 END), 0) AS own
         FROM devices d JOIN authorizations a ON a.id = d.attempt_id WHERE a.outcome = '' AND a.expires_at > $2",
    )
    .bind(user.map_or("", UserId::as_str))
    .bind(now.0)
}

impl Tx {
    /// [`Store::open_devices`] at the end of the transaction that adds one, which is counted: until it is committed nobody else adds another.
    pub async fn open_devices(&mut self, user: Option<&UserId>, now: Timestamp) -> StoreResult<(i64, i64)> {
        self.alone().await?;
        let row = count(user, now).fetch_one(&mut ***self).await?;
        Ok((row.int("all_open")?, row.int("own")?))
    }

    /// Adds one. [`StoreError::Taken`](super::StoreError::Taken) if another one waits for the token.
    pub async fn insert_device(&mut self, device: &Device) -> StoreResult<()> {
        sqlx::query("INSERT INTO devices (token_id, attempt_id, token_version, pause, failures, next_at) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(device.token_id.as_str())
            .bind(&device.attempt_id)
            .bind(device.token_version)
            .bind(device.pause)
            .bind(device.failures)
            .bind(device.next_at.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Takes the turn that was read as `device`: until `until` nobody else asks. Says whether this call did.
    pub async fn take_turn(&mut self, device: &Device, until: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE devices SET next_at = $3 WHERE attempt_id = $1 AND next_at = $2")
            .bind(&device.attempt_id)
            .bind(device.next_at.0)
            .bind(until.0)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Says when to ask next.
    pub async fn update_device(&mut self, device: &Device) -> StoreResult<()> {
        sqlx::query("UPDATE devices SET pause = $2, failures = $3, next_at = $4 WHERE attempt_id = $1")
            .bind(&device.attempt_id)
            .bind(device.pause)
            .bind(device.failures)
            .bind(device.next_at.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Nobody asks about this sign-in any more.
    pub async fn delete_device(&mut self, attempt: &str) -> StoreResult<()> {
        sqlx::query("DELETE FROM devices WHERE attempt_id = $1")
            .bind(attempt)
            .write(self)
            .await?;
        Ok(())
    }
}

fn device(row: &AnyRow) -> StoreResult<Device> {
    Ok(Device {
        token_id: TokenId(row.text("token_id")?),
        attempt_id: row.text("attempt_id")?,
        token_version: row.int("token_version")?,
        pause: row.int("pause")?,
        failures: row.int("failures")?,
        next_at: row.time("next_at")?,
    })
}
