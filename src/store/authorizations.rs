//! Open authorizations and sign-in links.

use super::{Columns, Store, StoreResult, Tx, Write};
use crate::clock::Timestamp;
use crate::model::token::{Authorization, Link, Prompt};
use crate::model::{ProviderId, Sealed, TokenId, UserId};
use sqlx::any::AnyRow;

macro_rules! select_authorization {
    ($rest:literal) => {
        concat!(
            "SELECT id, state_hash, token_id, provider_id, user_id, session_hash, flow_hash, link_id, redirect_uri, issuer, prompt, sealed, started_by, ",
            "started_at, expires_at, outcome, detail, finished_at FROM authorizations ",
            $rest
        )
    };
}

macro_rules! select_link {
    ($rest:literal) => {
        concat!(
            "SELECT id, code_hash, token_id, prompt, created_by, created_at, expires_at, opened_at, used_at, withdrawn, outcome, detail FROM links ",
            $rest
        )
    };
}

impl Store {
    /// An authorization by its id.
    pub async fn authorization(&self, id: &str) -> StoreResult<Option<Authorization>> {
        let row = sqlx::query(select_authorization!("WHERE id = $1"))
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(authorization).transpose()
    }

    /// An authorization by the hash of its `state`.
    pub async fn authorization_by_state(&self, state_hash: &str) -> StoreResult<Option<Authorization>> {
        let row = sqlx::query(select_authorization!("WHERE state_hash = $1"))
            .bind(state_hash)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(authorization).transpose()
    }

    /// The newest authorization of a token, open or ended. Of several begun in one second the open one counts: it is what somebody
    /// waits for.
    pub async fn latest_authorization(&self, token: &TokenId) -> StoreResult<Option<Authorization>> {
        let row = sqlx::query(select_authorization!(
            "WHERE token_id = $1 \
             ORDER BY started_at DESC, CASE WHEN outcome = '' THEN 0 ELSE 1 END, id DESC LIMIT 1"
        ))
        .bind(token.as_str())
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(authorization).transpose()
    }

    /// Ids of tokens with an open authorization.
    pub async fn authorizing_tokens(&self, now: Timestamp) -> StoreResult<Vec<TokenId>> {
        let ids: Vec<String> = sqlx::query_scalar("SELECT DISTINCT token_id FROM authorizations WHERE outcome = '' AND expires_at > $1")
            .bind(now.0)
            .fetch_all(self.pool())
            .await?;
        Ok(ids.into_iter().map(TokenId).collect())
    }

    /// A sign-in link by the hash of its code.
    pub async fn link_by_code(&self, code_hash: &str) -> StoreResult<Option<Link>> {
        let row = sqlx::query(select_link!("WHERE code_hash = $1"))
            .bind(code_hash)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// A sign-in link by its id.
    pub async fn link(&self, id: &str) -> StoreResult<Option<Link>> {
        let row = sqlx::query(select_link!("WHERE id = $1"))
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// The sign-in links of a token: those that may be open first, each group newest first.
    pub async fn links_of(&self, token: &TokenId) -> StoreResult<Vec<Link>> {
        let rows = sqlx::query(select_link!(
            "WHERE token_id = $1 ORDER BY CASE WHEN used_at IS NULL AND withdrawn = 0 THEN 0 ELSE 1 END, created_at DESC LIMIT 50"
        ))
        .bind(token.as_str())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(link).collect()
    }
}

impl Tx {
    /// How many sign-ins this link has started.
    pub async fn count_authorizations_of_link(&mut self, token: &TokenId, link: &str) -> StoreResult<i64> {
        Ok(
            sqlx::query_scalar("SELECT COUNT(*) FROM authorizations WHERE token_id = $1 AND link_id = $2")
                .bind(token.as_str())
                .bind(link)
                .fetch_one(&mut ***self)
                .await?,
        )
    }

    /// Adds an authorization on its way.
    pub async fn insert_authorization(&mut self, a: &Authorization) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO authorizations (id, state_hash, token_id, provider_id, user_id, session_hash, flow_hash, link_id, redirect_uri, issuer, prompt,
             sealed, started_by, started_at, expires_at, outcome, detail, finished_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        )
        .bind(&a.id)
        .bind(&a.state_hash)
        .bind(a.token_id.as_str())
        .bind(a.provider_id.as_str())
        .bind(a.user_id.as_ref().map(UserId::as_str))
        .bind(a.session_hash.as_deref())
        .bind(a.flow_hash.as_deref())
        .bind(a.link_id.as_deref())
        .bind(&a.redirect_uri)
        .bind(a.issuer.as_deref())
        .bind(a.prompt.as_str())
        .bind(&a.sealed.0)
        .bind(&a.started_by)
        .bind(a.started_at.0)
        .bind(a.expires_at.0)
        .bind(&a.outcome)
        .bind(&a.detail)
        .bind(a.finished_at.map(|at| at.0))
        .write(self)
        .await?;
        Ok(())
    }

    /// Ends an open authorization; only one caller can. Says whether this one did.
    pub async fn finish_authorization(&mut self, id: &str, outcome: &str, detail: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE authorizations SET outcome = $2, detail = $3, finished_at = $4 WHERE id = $1 AND outcome = ''")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .bind(now.0)
            .write(self)
            .await?;
        if done == 1 {
            self.delete_device(id).await?;
        }
        Ok(done == 1)
    }

    /// Replaces the words of an ended authorization (it is claimed first, its outcome known later).
    pub async fn amend_authorization(&mut self, id: &str, outcome: &str, detail: &str) -> StoreResult<()> {
        sqlx::query("UPDATE authorizations SET outcome = $2, detail = $3 WHERE id = $1 AND outcome <> ''")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .write(self)
            .await?;
        Ok(())
    }

    /// Deletes authorizations that ended or ran out before `before`.
    pub async fn delete_old_authorizations(&mut self, before: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("DELETE FROM authorizations WHERE expires_at < $1")
            .bind(before.0)
            .write(self)
            .await?;
        Ok(done)
    }

    /// Adds a sign-in link.
    pub async fn insert_link(&mut self, link: &Link) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO links (id, code_hash, token_id, prompt, created_by, created_at, expires_at, withdrawn, outcome, detail)
             VALUES ($1, $2, $3, $4, $5, $6, $7, 0, '', '')",
        )
        .bind(&link.id)
        .bind(&link.code_hash)
        .bind(link.token_id.as_str())
        .bind(link.prompt.as_str())
        .bind(&link.created_by)
        .bind(link.created_at.0)
        .bind(link.expires_at.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// Notes that a link was opened for the first time.
    pub async fn mark_link_opened(&mut self, id: &str, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE links SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL")
            .bind(id)
            .bind(now.0)
            .write(self)
            .await?;
        Ok(())
    }

    /// Uses a link up, once; says whether this call did.
    pub async fn use_link(&mut self, id: &str, outcome: &str, detail: &str, now: Timestamp) -> StoreResult<bool> {
        let done =
            sqlx::query("UPDATE links SET used_at = $4, outcome = $2, detail = $3 WHERE id = $1 AND used_at IS NULL AND withdrawn = 0")
                .bind(id)
                .bind(outcome)
                .bind(detail)
                .bind(now.0)
                .write(self)
                .await?;
        Ok(done == 1)
    }

    /// Notes how the last try through a link ended, without using it up (a different account, a cancelled sign-in).
    pub async fn note_link(&mut self, id: &str, outcome: &str, detail: &str) -> StoreResult<()> {
        sqlx::query("UPDATE links SET outcome = $2, detail = $3 WHERE id = $1 AND used_at IS NULL")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .write(self)
            .await?;
        Ok(())
    }

    /// Takes a link back.
    pub async fn withdraw_link(&mut self, id: &str) -> StoreResult<()> {
        sqlx::query("UPDATE links SET withdrawn = 1 WHERE id = $1 AND used_at IS NULL")
            .bind(id)
            .write(self)
            .await?;
        Ok(())
    }
}

fn authorization(row: &AnyRow) -> StoreResult<Authorization> {
    Ok(Authorization {
        id: row.text("id")?,
        state_hash: row.text("state_hash")?,
        token_id: TokenId(row.text("token_id")?),
        provider_id: ProviderId(row.text("provider_id")?),
        user_id: row.maybe_text("user_id")?.map(UserId),
        session_hash: row.maybe_text("session_hash")?,
        flow_hash: row.maybe_text("flow_hash")?,
        link_id: row.maybe_text("link_id")?,
        redirect_uri: row.text("redirect_uri")?,
        issuer: row.maybe_text("issuer")?,
        prompt: row.word("prompt", Prompt::parse)?,
        sealed: Sealed(row.text("sealed")?),
        started_by: row.text("started_by")?,
        started_at: row.time("started_at")?,
        expires_at: row.time("expires_at")?,
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
        finished_at: row.maybe_time("finished_at")?,
    })
}

fn link(row: &AnyRow) -> StoreResult<Link> {
    Ok(Link {
        id: row.text("id")?,
        code_hash: row.text("code_hash")?,
        token_id: TokenId(row.text("token_id")?),
        prompt: row.word("prompt", Prompt::parse)?,
        created_by: row.text("created_by")?,
        created_at: row.time("created_at")?,
        expires_at: row.time("expires_at")?,
        opened_at: row.maybe_time("opened_at")?,
        used_at: row.maybe_time("used_at")?,
        withdrawn: row.flag("withdrawn")?,
        outcome: row.text("outcome")?,
        detail: row.text("detail")?,
    })
}
