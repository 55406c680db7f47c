//! Web sessions, as a tower-sessions store: ids only as SHA-256, every row belongs to a person, and a row that was ended does not
//! come back (SESS-1 to SESS-3). Also the sealed forms that wait for somebody to sign in again.

use super::users::user;
use super::{Columns, Store, StoreError, StoreResult, Tx, Write};
use crate::clock::{Clock, Timestamp};
use crate::model::UserId;
use crate::model::settings::{SESSION_IDLE, SESSION_LONGEST};
use crate::model::user::User;
use crate::random::Random;
use crate::vault::sha256;
use async_trait::async_trait;
use serde_json::{Map, Value};
use sqlx::any::AnyRow;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tower_sessions::SessionStore;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store;

/// How long sessions last. The settings say it; shared by everything that uses one database in this process.
#[derive(Debug)]
pub struct SessionLimits {
    idle: AtomicI64,
    longest: AtomicI64,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            idle: AtomicI64::new(SESSION_IDLE.default * 60),
            longest: AtomicI64::new(SESSION_LONGEST.default * 3600),
        }
    }
}

impl SessionLimits {
    /// Seconds without a request after which a session ends.
    pub fn idle(&self) -> i64 {
        self.idle.load(Ordering::Relaxed)
    }

    /// Seconds after which it ends in any case.
    pub fn longest(&self) -> i64 {
        self.longest.load(Ordering::Relaxed)
    }

    /// Takes over what the settings say, both in seconds.
    pub fn set(&self, idle: i64, longest: i64) {
        self.idle.store(idle, Ordering::Relaxed);
        self.longest.store(longest, Ordering::Relaxed);
    }
}

/// How many seconds is the row of an ended session kept? A form sent without a session belongs to whoever it was.
const KEPT: i64 = 24 * 3600;
/// The entry of a session's data that says whose it is. No session is stored without.
pub const USER: &str = "user";

/// A session as it is stored.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// SHA-256 of the id.
    pub id_hash: String,
    /// Whose.
    pub user_id: UserId,
    /// What the pages keep in it.
    pub data: Map<String, Value>,
    /// When they signed in.
    pub created_at: Timestamp,
    /// When it ends if nothing happens.
    pub expires_at: Timestamp,
    /// Seconds without a request after which it ends.
    idle: i64,
    /// Seconds after which it ends in any case.
    longest: i64,
}

impl SessionRow {
    /// Whether it still counts.
    pub fn lives(&self, now: Timestamp) -> bool {
        now < self.ends()
    }

    /// When it ends if nothing happens.
    pub fn ends(&self) -> Timestamp {
        self.expires_at.min(self.created_at.plus(self.longest))
    }

    /// When it was used last, to the minute.
    pub fn used_at(&self) -> Timestamp {
        self.expires_at.plus(-self.idle).max(self.created_at)
    }

    /// A text from its data.
    pub fn text(&self, key: &str) -> &str {
        self.data.get(key).and_then(Value::as_str).unwrap_or_default()
    }
}

/// A form that waits, sealed with a key that only a cookie knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftRow {
    /// Row id.
    pub id: String,
    /// Whose session it was.
    pub user_id: UserId,
    /// Where it was sent to.
    pub path: String,
    /// Base64 text.
    pub sealed: String,
    /// Until when it waits.
    pub expires_at: Timestamp,
}

fn session(row: &AnyRow, limits: &SessionLimits) -> StoreResult<SessionRow> {
    Ok(SessionRow {
        id_hash: row.text("id_hash")?,
        user_id: UserId(row.maybe_text("user_id")?.unwrap_or_default()),
        data: row.json("data")?,
        created_at: row.time("session_created_at")?,
        expires_at: row.time("expires_at")?,
        idle: limits.idle(),
        longest: limits.longest(),
    })
}

impl Store {
    /// How long sessions last.
    pub fn session_limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// A session and its person, whether or not either still counts.
    pub async fn session_with_user(&self, id_hash: &str) -> StoreResult<Option<(SessionRow, User)>> {
        let row = sqlx::query(
            "SELECT s.id_hash, s.user_id, s.data, s.created_at AS session_created_at, s.expires_at,
                    u.id, u.email, u.name, u.role, u.password_hash, u.disabled, u.theme, u.time_zone, u.created_at, u.last_seen_at
             FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.id_hash = $1",
        )
        .bind(id_hash)
        .fetch_optional(self.pool())
        .await?;
        row.map(|row| Ok((session(&row, &self.limits)?, user(&row)?))).transpose()
    }

    /// The sessions of a person, newest first.
    pub async fn sessions_of(&self, id: &UserId) -> StoreResult<Vec<SessionRow>> {
        let rows = sqlx::query(
            "SELECT id_hash, user_id, data, created_at AS session_created_at, expires_at FROM sessions
             WHERE user_id = $1 ORDER BY created_at DESC, id_hash",
        )
        .bind(id.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(|row| session(row, &self.limits)).collect()
    }

    /// Moves the end of a session.
    pub async fn touch_session(&self, session: &SessionRow, now: Timestamp) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("UPDATE sessions SET expires_at = $2 WHERE id_hash = $1")
            .bind(&session.id_hash)
            .bind(now.plus(self.limits.idle()).0)
            .write(&mut tx)
            .await?;
        tx.set_user_seen(&session.user_id, now).await?;
        tx.commit().await
    }

    /// Takes a waiting form out; it can be had once.
    pub async fn take_draft(&self, id: &str) -> StoreResult<Option<DraftRow>> {
        let row = sqlx::query("DELETE FROM drafts WHERE id = $1 RETURNING id, user_id, path, sealed, expires_at")
            .bind(id)
            .fetch_optional(self.pool())
            .await
            .map_err(StoreError::from_write)?;
        row.as_ref().map(draft).transpose()
    }

    /// A waiting form, left where it is.
    pub async fn draft(&self, id: &str) -> StoreResult<Option<DraftRow>> {
        let row = sqlx::query("SELECT id, user_id, path, sealed, expires_at FROM drafts WHERE id = $1")
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(draft).transpose()
    }

    /// Keeps a form; the same person's earlier one for the same path goes.
    pub async fn insert_draft(&self, draft: &DraftRow) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        sqlx::query("DELETE FROM drafts WHERE user_id = $1 AND path = $2")
            .bind(draft.user_id.as_str())
            .bind(&draft.path)
            .write(&mut tx)
            .await?;
        sqlx::query("INSERT INTO drafts (id, user_id, path, sealed, expires_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&draft.id)
            .bind(draft.user_id.as_str())
            .bind(&draft.path)
            .bind(&draft.sealed)
            .bind(draft.expires_at.0)
            .write(&mut tx)
            .await?;
        tx.commit().await
    }

    /// Removes what nobody can use any more: sessions, forms, imports, sign-in tries.
    pub async fn clean_sessions(&self, now: Timestamp) -> StoreResult<()> {
        let mut tx = self.begin().await?;
        for (statement, before) in [
            ("DELETE FROM sessions WHERE expires_at < $1", now.plus(-KEPT)),
            ("DELETE FROM drafts WHERE expires_at < $1", now),
            ("DELETE FROM kept WHERE expires_at < $1", now),
            ("DELETE FROM imports WHERE expires_at < $1", now),
            (
                "DELETE FROM imported_mailboxes WHERE imported_at < $1",
                now.plus(-super::imports::KNOWN),
            ),
            // Counts are forgotten after a day; which address an account is known at, only after thirty.
            (
                "DELETE FROM throttles WHERE updated_at < $1 AND bucket NOT LIKE 'known:%'",
                now.plus(-super::throttles::KEPT),
            ),
            ("DELETE FROM throttles WHERE updated_at < $1", now.plus(-super::throttles::KNOWN)),
        ] {
            sqlx::query(statement).bind(before.0).write(&mut tx).await?;
        }
        tx.bound_session_ends(now.plus(self.limits.idle())).await?;
        tx.commit().await
    }
}

fn draft(row: &AnyRow) -> StoreResult<DraftRow> {
    Ok(DraftRow {
        id: row.text("id")?,
        user_id: UserId(row.text("user_id")?),
        path: row.text("path")?,
        sealed: row.text("sealed")?,
        expires_at: row.time("expires_at")?,
    })
}

impl Tx {
    /// Deletes the sessions that have ended, by a longest time in seconds: before other limits count, which would bring them back.
    pub async fn delete_ended_sessions(&mut self, now: Timestamp, longest: i64) -> StoreResult<()> {
        sqlx::query("DELETE FROM sessions WHERE expires_at <= $1 OR created_at <= $2")
            .bind(now.0)
            .bind(now.plus(-longest).0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Ends no session later than `latest` if nothing happens: what lets one live longer was written by a clock, or under a limit, that
    /// counts no more.
    pub async fn bound_session_ends(&mut self, latest: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE sessions SET expires_at = $1 WHERE expires_at > $1")
            .bind(latest.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Moves the end of every session by so many seconds: the time they may be idle changed. Those that ended have to be deleted before.
    pub async fn move_session_ends(&mut self, by: i64) -> StoreResult<()> {
        sqlx::query("UPDATE sessions SET expires_at = expires_at + $1")
            .bind(by)
            .write(self)
            .await?;
        Ok(())
    }

    /// Ends a session of this person; false if there is none.
    pub async fn delete_session(&mut self, user: &UserId, id_hash: &str) -> StoreResult<bool> {
        let done = sqlx::query("DELETE FROM sessions WHERE id_hash = $1 AND user_id = $2")
            .bind(id_hash)
            .bind(user.as_str())
            .write(self)
            .await?;
        Ok(done > 0)
    }

    /// Ends every session of this person but one.
    pub async fn delete_sessions_of(&mut self, user: &UserId, except: Option<&str>) -> StoreResult<u64> {
        let done = sqlx::query("DELETE FROM sessions WHERE user_id = $1 AND id_hash <> $2")
            .bind(user.as_str())
            .bind(except.unwrap_or_default())
            .write(self)
            .await?;
        Ok(done)
    }
}

/// What tower-sessions reads and writes through.
#[derive(Clone)]
pub struct Sessions {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Sessions {
    /// Over a database, with its time and randomness.
    pub fn new(store: Store, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { store, clock, random }
    }
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

fn backend(error: impl std::fmt::Display) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let owner = record.data.get(USER).and_then(Value::as_str);
        let owner = owner.ok_or_else(|| backend("a session without a person"))?.to_owned();
        let now = self.clock.now();
        let mut tx = self.store.begin().await.map_err(backend)?;
        for _ in 0..3 {
            let mut id = [0; 16];
            self.random.fill(&mut id);
            record.id = Id(i128::from_le_bytes(id));
            let done = sqlx::query(
                "INSERT INTO sessions (id_hash, user_id, data, created_at, expires_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            )
            .bind(sha256(&record.id.to_string()))
            .bind(&owner)
            .bind(super::to_json(&record.data))
            .bind(now.0)
            .bind(now.plus(self.store.limits.idle()).0)
            .write(&mut tx)
            .await
            .map_err(backend)?;
            if done == 1 {
                return tx.commit().await.map_err(backend);
            }
        }
        Err(backend("no free session id"))
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let mut tx = self.store.begin().await.map_err(backend)?;
        sqlx::query("UPDATE sessions SET data = $2 WHERE id_hash = $1")
            .bind(sha256(&record.id.to_string()))
            .bind(super::to_json(&record.data))
            .write(&mut tx)
            .await
            .map_err(backend)?;
        tx.commit().await.map_err(backend)
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let found = self.store.session_with_user(&sha256(&id.to_string())).await.map_err(backend)?;
        let now = self.clock.now();
        Ok(found.filter(|(row, user)| row.lives(now) && !user.disabled).map(|(row, _)| Record {
            id: *id,
            // Ignored: the row's own times count, by our clock.
            expiry_date: time::OffsetDateTime::from_unix_timestamp(row.ends().0).unwrap_or(time::OffsetDateTime::UNIX_EPOCH),
            data: row.data.into_iter().collect(),
        }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        let mut tx = self.store.begin().await.map_err(backend)?;
        sqlx::query("DELETE FROM sessions WHERE id_hash = $1")
            .bind(sha256(&id.to_string()))
            .write(&mut tx)
            .await
            .map_err(backend)?;
        tx.commit().await.map_err(backend)
    }
}
