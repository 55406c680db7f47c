//! One-time links about a provider.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::ProviderId;
use crate::model::consent::{LinkKind, ProviderLink};
use sqlx::any::AnyRow;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, code_hash, kind, provider_id, app, created_by, created_at, expires_at, opened_at, used_at, withdrawn, tries ",
            "FROM provider_links ",
            $rest
        )
    };
}

impl Store {
    /// A link by the hash of its code.
    pub async fn provider_link_by_code(&self, code_hash: &str) -> StoreResult<Option<ProviderLink>> {
        let row = sqlx::query(select!("WHERE code_hash = $1"))
            .bind(code_hash)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// A link by its id.
    pub async fn provider_link(&self, id: &str) -> StoreResult<Option<ProviderLink>> {
        let row = sqlx::query(select!("WHERE id = $1")).bind(id).fetch_optional(self.pool()).await?;
        row.as_ref().map(link).transpose()
    }

    /// The links of a provider of one kind: those that may be open first, each group newest first.
    pub async fn provider_links_of(&self, provider: &ProviderId, kind: LinkKind) -> StoreResult<Vec<ProviderLink>> {
        let rows = sqlx::query(select!(
            "WHERE provider_id = $1 AND kind = $2 ORDER BY CASE WHEN used_at IS NULL AND withdrawn = 0 THEN 0 ELSE 1 END, created_at DESC, id DESC LIMIT 50"
        ))
        .bind(provider.as_str())
        .bind(kind.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(link).collect()
    }
}

impl Tx {
    /// Adds a link.
    pub async fn insert_provider_link(&mut self, link: &ProviderLink) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO provider_links (id, code_hash, kind, provider_id, app, created_by, created_at, expires_at, withdrawn, tries)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0)",
        )
        .bind(&link.id)
        .bind(&link.code_hash)
        .bind(link.kind.as_str())
        .bind(link.provider_id.as_str())
        .bind(&link.app)
        .bind(&link.created_by)
        .bind(link.created_at.0)
        .bind(link.expires_at.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// Notes that a link was opened for the first time.
    pub async fn mark_provider_link_opened(&mut self, id: &str, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE provider_links SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL")
            .bind(id)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Counts a try through a link that can still be used; says whether there was one left of `most`.
    pub async fn try_provider_link(&mut self, id: &str, most: i64) -> StoreResult<bool> {
        let done =
            sqlx::query("UPDATE provider_links SET tries = tries + 1 WHERE id = $1 AND used_at IS NULL AND withdrawn = 0 AND tries < $2")
                .bind(id)
                .bind(most)
                .write(self)
                .await?;
        Ok(done == 1)
    }

    /// Uses a link up, once; says whether this call did.
    pub async fn use_provider_link(&mut self, id: &str, now: Timestamp) -> StoreResult<bool> {
        let done =
            sqlx::query("UPDATE provider_links SET used_at = $2 WHERE id = $1 AND used_at IS NULL AND withdrawn = 0 AND expires_at >= $2")
                .bind(id)
                .bind(now.0)
                .write(self)
                .await?;
        Ok(done == 1)
    }

    /// Takes a link back; says whether it could still be used.
    pub async fn withdraw_provider_link(&mut self, id: &str) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE provider_links SET withdrawn = 1 WHERE id = $1 AND used_at IS NULL AND withdrawn = 0")
            .bind(id)
            .write(self)
            .await?;
        Ok(done == 1)
    }
}

fn link(row: &AnyRow) -> StoreResult<ProviderLink> {
    Ok(ProviderLink {
        id: row.text("id")?,
        code_hash: row.text("code_hash")?,
        kind: row.word("kind", LinkKind::parse)?,
        provider_id: ProviderId(row.text("provider_id")?),
        app: row.text("app")?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        opened_at: row.maybe_time("opened_at")?,
        used_at: row.maybe_time("used_at")?,
        withdrawn: row.flag("withdrawn")?,
        tries: row.int("tries")?,
    })
}
