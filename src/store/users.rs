//! People and their accounts.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::UserId;
use crate::model::user::{Role, Theme, User};
use sqlx::any::AnyRow;

pub(super) fn user(row: &AnyRow) -> StoreResult<User> {
    Ok(User {
        id: UserId(row.text("id")?),
        email: row.text("email")?,
        name: row.text("name")?,
        role: row.word("role", Role::parse)?,
        password_hash: row.text("password_hash")?,
        disabled: row.flag("disabled")?,
        theme: row.word("theme", Theme::parse)?,
        time_zone: row.text("time_zone")?,
        created_at: row.time("created_at")?,
        last_seen_at: row.maybe_time("last_seen_at")?,
    })
}

impl Store {
    /// The account of an address, which is in lower case.
    pub async fn user_by_email(&self, email: &str) -> StoreResult<Option<User>> {
        sqlx::query(
            "SELECT id, email, name, role, password_hash, disabled, theme, time_zone, created_at, last_seen_at FROM users WHERE email = $1",
        )
        .bind(email)
        .fetch_optional(self.pool())
        .await?
        .as_ref()
        .map(user)
        .transpose()
    }

    /// An account by its id.
    pub async fn user_by_id(&self, id: &UserId) -> StoreResult<Option<User>> {
        sqlx::query(
            "SELECT id, email, name, role, password_hash, disabled, theme, time_zone, created_at, last_seen_at FROM users WHERE id = $1",
        )
        .bind(id.as_str())
        .fetch_optional(self.pool())
        .await?
        .as_ref()
        .map(user)
        .transpose()
    }

    /// Every account, by address.
    pub async fn users(&self) -> StoreResult<Vec<User>> {
        let rows = sqlx::query(
            "SELECT id, email, name, role, password_hash, disabled, theme, time_zone, created_at, last_seen_at FROM users ORDER BY email",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(user).collect()
    }

    /// Whether there is any account: before that, setup is open.
    pub async fn has_users(&self) -> StoreResult<bool> {
        let one: Option<i64> = sqlx::query_scalar("SELECT created_at FROM users LIMIT 1")
            .fetch_optional(self.pool())
            .await?;
        Ok(one.is_some())
    }

    /// Names of at most so many people who may sign in and have one of these roles, for "ask … or …".
    pub async fn names_with(&self, roles: &[Role], limit: i64) -> StoreResult<Vec<String>> {
        let role = |at: usize| roles.get(at).or(roles.first()).map_or("", |role| role.as_str());
        Ok(
            sqlx::query_scalar("SELECT name FROM users WHERE disabled = 0 AND role IN ($1, $2, $3) ORDER BY role, created_at LIMIT $4")
                .bind(role(0))
                .bind(role(1))
                .bind(role(2))
                .bind(limit)
                .fetch_all(self.pool())
                .await?,
        )
    }
}

impl Tx {
    /// Adds an account.
    pub async fn insert_user(&mut self, user: &User) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO users (id, email, name, role, password_hash, disabled, theme, time_zone, created_at, last_seen_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(user.id.as_str())
        .bind(&user.email)
        .bind(&user.name)
        .bind(user.role.as_str())
        .bind(&user.password_hash)
        .bind(i64::from(user.disabled))
        .bind(user.theme.as_str())
        .bind(&user.time_zone)
        .bind(user.created_at.0)
        .bind(user.last_seen_at.map(|at| at.0))
        .write(self)
        .await?;
        Ok(())
    }

    /// How many accounts there are. Takes a lock on PostgreSQL, so that two first accounts cannot be made at once.
    pub async fn count_users(&mut self) -> StoreResult<i64> {
        self.lock_setup().await?;
        Ok(sqlx::query_scalar("SELECT COUNT(*) FROM users").fetch_one(&mut ***self).await?)
    }

    /// How many admins may sign in besides this one. Takes the same lock, so that the last two cannot both go (ROLE-3).
    pub async fn count_other_admins(&mut self, id: &UserId) -> StoreResult<i64> {
        self.lock_setup().await?;
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM users WHERE role = 'admin' AND disabled = 0 AND id <> $1")
                .bind(id.as_str())
                .fetch_one(&mut ***self)
                .await?,
        )
    }

    /// One row everybody who counts people writes to: its lock is held until the transaction ends.
    async fn lock_setup(&mut self) -> StoreResult<()> {
        self.put_setting("users.lock", "").await
    }

    /// Sets the password hash.
    pub async fn set_password_hash(&mut self, id: &UserId, hash: &str) -> StoreResult<()> {
        sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(hash)
            .write(self)
            .await?;
        Ok(())
    }

    /// Replaces the password hash by a stronger one of the same password, unless the password was changed meanwhile.
    pub async fn rehash_password(&mut self, id: &UserId, was: &str, hash: &str) -> StoreResult<()> {
        sqlx::query("UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2")
            .bind(id.as_str())
            .bind(was)
            .bind(hash)
            .write(self)
            .await?;
        Ok(())
    }

    /// Lets somebody in no more, or again.
    pub async fn set_user_disabled(&mut self, id: &UserId, disabled: bool) -> StoreResult<()> {
        sqlx::query("UPDATE users SET disabled = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(i64::from(disabled))
            .write(self)
            .await?;
        Ok(())
    }

    /// Sets what a person may change about themselves.
    pub async fn set_user_profile(&mut self, id: &UserId, name: &str, theme: Theme, time_zone: &str) -> StoreResult<()> {
        sqlx::query("UPDATE users SET name = $2, theme = $3, time_zone = $4 WHERE id = $1")
            .bind(id.as_str())
            .bind(name)
            .bind(theme.as_str())
            .bind(time_zone)
            .write(self)
            .await?;
        Ok(())
    }

    /// Notes that somebody was here.
    pub async fn set_user_seen(&mut self, id: &UserId, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE users SET last_seen_at = $2 WHERE id = $1")
            .bind(id.as_str())
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }
}
