//! Admin consents, on their way and ended.

use super::{Columns, Store, StoreResult, Tx, Write, to_json};
use crate::clock::Timestamp;
use crate::model::consent::Consent;
use crate::model::{ProviderId, Sealed, UserId};
use sqlx::any::AnyRow;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, state_hash, provider_id, app, user_id, session_hash, flow_hash, link_id, scopes, sealed, started_by, started_at, ",
            "expires_at, outcome, detail, finished_at FROM consents ",
            $rest
        )
    };
}

impl Store {
    /// A consent by its id.
    pub async fn consent(&self, id: &str) -> StoreResult<Option<Consent>> {
        let row = sqlx::query(select!("WHERE id = $1")).bind(id).fetch_optional(self.pool()).await?;
        row.as_ref().map(consent).transpose()
    }

    /// A consent by the hash of its `state`.
    pub async fn consent_by_state(&self, state_hash: &str) -> StoreResult<Option<Consent>> {
        let row = sqlx::query(select!("WHERE state_hash = $1"))
            .bind(state_hash)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(consent).transpose()
    }

    /// The consents of a provider's app that ended, newest first.
    pub async fn consents_of(&self, provider: &ProviderId, app: &str) -> StoreResult<Vec<Consent>> {
        let rows = sqlx::query(select!(
            "WHERE provider_id = $1 AND app = $2 AND finished_at IS NOT NULL ORDER BY finished_at DESC, started_at DESC, id DESC LIMIT 20"
        ))
        .bind(provider.as_str())
        .bind(app)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(consent).collect()
    }

    /// The providers of consents that ended since then, and of consent links that can still be used; at most `limit`.
    pub async fn providers_with_consents(&self, since: Timestamp, now: Timestamp, limit: i64) -> StoreResult<Vec<ProviderId>> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM providers p WHERE EXISTS (SELECT 1 FROM consents c WHERE c.provider_id = p.id AND c.finished_at >= $1)
             OR EXISTS (SELECT 1 FROM provider_links l WHERE l.provider_id = p.id AND l.kind = 'consent' AND l.used_at IS NULL
                        AND l.withdrawn = 0 AND l.expires_at >= $2) ORDER BY name LIMIT $3",
        )
        .bind(since.0)
        .bind(now.0)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().map(ProviderId).collect())
    }

    /// When somebody last signed in through this provider; the app itself doesn't count.
    pub async fn last_sign_in(&self, provider: &ProviderId) -> StoreResult<Option<Timestamp>> {
        self.last_authorized(provider, "device_code").await
    }

    /// When a browser last came back from a sign-in at this provider.
    pub async fn last_return(&self, provider: &ProviderId) -> StoreResult<Option<Timestamp>> {
        self.last_authorized(provider, "").await
    }

    /// When somebody last signed in in a browser, or in this way too.
    async fn last_authorized(&self, provider: &ProviderId, or: &str) -> StoreResult<Option<Timestamp>> {
        let at: Option<i64> = sqlx::query_scalar(
            "SELECT MAX(g.authorized_at) FROM grants g JOIN tokens t ON t.id = g.token_id
             WHERE t.provider_id = $1 AND t.grant_type IN ('authorization_code', $2)",
        )
        .bind(provider.as_str())
        .bind(or)
        .fetch_one(self.pool())
        .await?;
        Ok(at.map(Timestamp))
    }
}

impl Tx {
    /// Adds a consent.
    pub async fn insert_consent(&mut self, c: &Consent) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO consents (id, state_hash, provider_id, app, user_id, session_hash, flow_hash, link_id, scopes, sealed, started_by,
             started_at, expires_at, outcome, detail, finished_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
        )
        .bind(&c.id)
        .bind(c.state_hash.as_deref())
        .bind(c.provider_id.as_str())
        .bind(&c.app)
        .bind(c.user_id.as_ref().map(UserId::as_str))
        .bind(c.session_hash.as_deref())
        .bind(c.flow_hash.as_deref())
        .bind(c.link_id.as_deref())
        .bind(to_json(&c.scopes))
        .bind(&c.sealed.0)
        .bind(&c.started_by)
        .bind(c.started_at.0)
        .bind(c.expires_at.0)
        .bind(&c.outcome)
        .bind(&c.detail)
        .bind(c.finished_at.map(|at| at.0))
        .write(self)
        .await?;
        Ok(())
    }

    /// Ends an open consent; only one caller can. Says whether this one did.
    pub async fn finish_consent(&mut self, id: &str, outcome: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE consents SET outcome = $2, finished_at = $3 WHERE id = $1 AND outcome = ''")
            .bind(id)
            .bind(outcome)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// The words of a consent that was claimed, once they are known.
    pub async fn amend_consent(&mut self, id: &str, outcome: &str, detail: &str) -> StoreResult<()> {
        sqlx::query("UPDATE consents SET outcome = $2, detail = $3 WHERE id = $1 AND outcome <> ''")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .write(self)
            .await?;
        Ok(())
    }

    /// Deletes consents that nobody came back from and that ran out before `before`.
    pub async fn delete_old_consents(&mut self, before: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("DELETE FROM consents WHERE finished_at IS NULL AND expires_at < $1")
            .bind(before.0)
            .write(self)
            .await?;
        Ok(done)
    }
}

fn consent(row: &AnyRow) -> StoreResult<Consent> {
    Ok(Consent {
        id: row.text("id")?,
        state_hash: row.maybe_text("state_hash")?,
        provider_id: ProviderId(row.text("provider_id")?),
        app: row.text("app")?,
        user_id: row.maybe_text("user_id")?.map(UserId),
        session_hash: row.maybe_text("session_hash")?,
        flow_hash: row.maybe_text("flow_hash")?,
        link_id: row.maybe_text("link_id")?,
        scopes: row.json("scopes")?,
        sealed: Sealed(row.text("sealed")?),
        started_by: row.text("started_by")?,
        started_at: row.time("started_at")?,
        expires_at: row.time("expires_at")?,
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}
