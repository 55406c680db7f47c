//! Outbound tokens, their grants (sealed token sets and the record of renewals), histories, open authorizations and sign-in links.

use super::{Columns, Store, StoreError, StoreResult, Tx, name, to_json};
use crate::clock::Timestamp;
use crate::model::token::{Authorization, Grant, GrantState, GrantType, Link, Prompt, Token, TokenEvent, TokenEventKind};
use crate::model::{Name, ProviderId, Sealed, TokenId, UserId};
use sqlx::any::AnyRow;

macro_rules! select_token {
    ($rest:literal) => {
        concat!(
            "SELECT t.id AS id, t.name AS name, t.provider_id AS provider_id, p.name AS provider, t.grant_type AS grant_type, t.account AS account, ",
            "t.scopes AS scopes, t.prompt AS prompt, t.shared AS shared, t.version AS version, t.created_at AS created_at, t.updated_at AS updated_at ",
            "FROM tokens t JOIN providers p ON p.id = t.provider_id ",
            $rest
        )
    };
}

macro_rules! select_grant {
    ($rest:literal) => {
        concat!(
            "SELECT token_id, state, generation, rt_current, rt_current_version, rt_current_proven, rt_previous, rt_previous_version, rt_rotated_at, ",
            "access_token, access_version, token_type, issued_at, expires_at, granted_scopes, identity, destination, authorized_at, authorized_by, ",
            "refreshed_at, lease_owner, lease_until, attempt_id, attempt_started, outcome, failures, retry_at, last_error, last_error_at FROM grants ",
            $rest
        )
    };
}

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
    /// A token by its name.
    pub async fn token(&self, name: &Name) -> StoreResult<Option<Token>> {
        let row = sqlx::query(select_token!("WHERE t.name = $1"))
            .bind(name.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(token).transpose()
    }

    /// A token by its id.
    pub async fn token_by_id(&self, id: &TokenId) -> StoreResult<Option<Token>> {
        let row = sqlx::query(select_token!("WHERE t.id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(token).transpose()
    }

    /// Every token, by name.
    pub async fn tokens(&self) -> StoreResult<Vec<Token>> {
        let rows = sqlx::query(select_token!("ORDER BY t.name")).fetch_all(self.pool()).await?;
        rows.iter().map(token).collect()
    }

    /// The tokens of a provider, by name.
    pub async fn tokens_of(&self, provider: &ProviderId) -> StoreResult<Vec<Token>> {
        let rows = sqlx::query(select_token!("WHERE t.provider_id = $1 ORDER BY t.name"))
            .bind(provider.as_str())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(token).collect()
    }

    /// What a token yielded; none before the first sign-in and after *Log out and remove*.
    pub async fn grant(&self, token: &TokenId) -> StoreResult<Option<Grant>> {
        let row = sqlx::query(select_grant!("WHERE token_id = $1"))
            .bind(token.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(grant).transpose()
    }

    /// Every grant.
    pub async fn grants(&self) -> StoreResult<Vec<Grant>> {
        let rows = sqlx::query(select_grant!("ORDER BY token_id")).fetch_all(self.pool()).await?;
        rows.iter().map(grant).collect()
    }

    /// Grants whose last attempt was sent and never answered: to be tried again at once after a restart.
    pub async fn unanswered_grants(&self) -> StoreResult<Vec<Grant>> {
        let rows = sqlx::query(select_grant!("WHERE outcome = 'sent' ORDER BY token_id"))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(grant).collect()
    }

    /// Takes the right to renew a grant: only if it is still of the generation that was read and nobody else holds it (`stale` names a
    /// dead owner whose claim may be taken over). Writes the attempt before anything is sent; durable when this returns `true`.
    #[expect(clippy::too_many_arguments, reason = "one statement, one row")]
    pub async fn claim_grant(
        &self,
        token: &TokenId,
        generation: i64,
        owner: &str,
        stale: Option<&str>,
        attempt: &str,
        now: Timestamp,
        until: Timestamp,
    ) -> StoreResult<bool> {
        let mut tx = self.begin().await?;
        let done = sqlx::query(
            "UPDATE grants SET lease_owner = $3, lease_until = $4, attempt_id = $5, attempt_started = $6, outcome = 'sent'
             WHERE token_id = $1 AND generation = $2 AND (lease_owner IS NULL OR lease_until <= $6 OR lease_owner = $7)",
        )
        .bind(token.as_str())
        .bind(generation)
        .bind(owner)
        .bind(until.0)
        .bind(attempt)
        .bind(now.0)
        .bind(stale.unwrap_or(owner))
        .execute(&mut **tx)
        .await
        .map_err(StoreError::from_write)?;
        tx.commit().await?;
        Ok(done.rows_affected() == 1)
    }

    /// The newest lines of a token's history, newest first.
    pub async fn token_events(&self, token: &TokenId, limit: i64) -> StoreResult<Vec<TokenEvent>> {
        let rows = sqlx::query("SELECT kind, actor, text, at FROM token_events WHERE token_id = $1 ORDER BY sequence DESC LIMIT $2")
            .bind(token.as_str())
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(TokenEvent {
                    kind: row.word("kind", TokenEventKind::parse)?,
                    actor: row.text("actor")?,
                    text: row.text("text")?,
                    at: row.time("at")?,
                })
            })
            .collect()
    }

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

    /// The newest authorization of a token, open or ended.
    pub async fn latest_authorization(&self, token: &TokenId) -> StoreResult<Option<Authorization>> {
        let row = sqlx::query(select_authorization!(
            "WHERE token_id = $1 ORDER BY started_at DESC, id DESC LIMIT 1"
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

    /// The sign-in links of a token, newest first.
    pub async fn links_of(&self, token: &TokenId) -> StoreResult<Vec<Link>> {
        let rows = sqlx::query(select_link!("WHERE token_id = $1 ORDER BY created_at DESC LIMIT 20"))
            .bind(token.as_str())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(link).collect()
    }
}

impl Tx {
    /// Adds a token. [`StoreError::Taken`] when the name is.
    pub async fn insert_token(&mut self, token: &Token) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO tokens (id, name, provider_id, grant_type, account, scopes, prompt, shared, version, created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(token.id.as_str())
        .bind(token.name.as_str())
        .bind(token.provider_id.as_str())
        .bind(token.grant.as_str())
        .bind(token.user.as_deref())
        .bind(to_json(&token.scopes))
        .bind(token.prompt.map(Prompt::as_str))
        .bind(i64::from(token.shared))
        .bind(token.version)
        .bind(token.created_at.0)
        .bind(token.updated_at.0)
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Saves a token that was read at `token.version`; [`StoreError::Stale`] if somebody saved it since.
    pub async fn update_token(&mut self, token: &Token) -> StoreResult<()> {
        let done = sqlx::query(
            "UPDATE tokens SET provider_id = $3, grant_type = $4, account = $5, scopes = $6, prompt = $7, shared = $8, version = $2 + 1, updated_at = $9
             WHERE id = $1 AND version = $2",
        )
        .bind(token.id.as_str())
        .bind(token.version)
        .bind(token.provider_id.as_str())
        .bind(token.grant.as_str())
        .bind(token.user.as_deref())
        .bind(to_json(&token.scopes))
        .bind(token.prompt.map(Prompt::as_str))
        .bind(i64::from(token.shared))
        .bind(token.updated_at.0)
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        if done.rows_affected() == 0 {
            Err(StoreError::Stale)
        } else {
            Ok(())
        }
    }

    /// Deletes a token with its grant and history; [`StoreError::InUse`] while mailboxes use it.
    pub async fn delete_token(&mut self, id: &TokenId) -> StoreResult<()> {
        sqlx::query("DELETE FROM tokens WHERE id = $1")
            .bind(id.as_str())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// A grant as it stands within the transaction.
    pub async fn grant(&mut self, token: &TokenId) -> StoreResult<Option<Grant>> {
        let row = sqlx::query(select_grant!("WHERE token_id = $1"))
            .bind(token.as_str())
            .fetch_optional(&mut ***self)
            .await?;
        row.as_ref().map(grant).transpose()
    }

    /// Stores a whole new grant in place of any older one.
    pub async fn replace_grant(&mut self, grant: &Grant) -> StoreResult<()> {
        self.delete_grant(&grant.token_id).await?;
        let query = sqlx::query(
            "INSERT INTO grants (token_id, generation, state, rt_current, rt_current_version, rt_current_proven, rt_previous, rt_previous_version,
             rt_rotated_at, access_token, access_version, token_type, issued_at, expires_at, granted_scopes, identity, destination, authorized_at,
             authorized_by, refreshed_at, lease_owner, lease_until, attempt_id, attempt_started, outcome, failures, retry_at, last_error, last_error_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29)",
        );
        let query = query.bind(grant.token_id.as_str()).bind(grant.generation);
        bind_grant(query, grant)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Writes a grant back, only if the stored one is still of generation `was` and (where given) of the attempt `attempt`. Says whether
    /// it was.
    pub async fn update_grant(&mut self, grant: &Grant, was: i64, attempt: Option<&str>) -> StoreResult<bool> {
        let query = sqlx::query(
            "UPDATE grants SET generation = $2, state = $3, rt_current = $4, rt_current_version = $5, rt_current_proven = $6, rt_previous = $7,
             rt_previous_version = $8, rt_rotated_at = $9, access_token = $10, access_version = $11, token_type = $12, issued_at = $13, expires_at = $14,
             granted_scopes = $15, identity = $16, destination = $17, authorized_at = $18, authorized_by = $19, refreshed_at = $20, lease_owner = $21,
             lease_until = $22, attempt_id = $23, attempt_started = $24, outcome = $25, failures = $26, retry_at = $27, last_error = $28,
             last_error_at = $29
             WHERE token_id = $1 AND generation = $30 AND ($31 = '' OR attempt_id = $31)",
        );
        let query = query.bind(grant.token_id.as_str()).bind(grant.generation);
        let done = bind_grant(query, grant)
            .bind(was)
            .bind(attempt.unwrap_or_default())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes why a grant can't be renewed, found before anything was sent: only over the attempt and the claim that were read as `was`.
    pub async fn refuse_grant(&mut self, grant: &Grant, was: &Grant) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE grants SET state = $5, outcome = $6, failures = $7, retry_at = $8, last_error = $9, last_error_at = $10,
             lease_owner = NULL, lease_until = NULL
             WHERE token_id = $1 AND generation = $2 AND COALESCE(attempt_id, '') = $3 AND COALESCE(lease_owner, '') = $4",
        )
        .bind(was.token_id.as_str())
        .bind(was.generation)
        .bind(was.attempt_id.as_deref().unwrap_or_default())
        .bind(was.lease_owner.as_deref().unwrap_or_default())
        .bind(grant.state.as_str())
        .bind(grant.outcome.as_str())
        .bind(grant.failures)
        .bind(grant.retry_at.map(|at| at.0))
        .bind(grant.last_error.as_deref())
        .bind(grant.last_error_at.map(|at| at.0))
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Lets the failing grants of a provider be tried again at once: what they failed at may be mended now.
    pub async fn retry_grants_of(&mut self, provider: &ProviderId) -> StoreResult<()> {
        sqlx::query(
            "UPDATE grants SET retry_at = NULL, failures = 0 WHERE state = 'failing' AND token_id IN (SELECT id FROM tokens WHERE provider_id = $1)",
        )
        .bind(provider.as_str())
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Deletes previous refresh tokens that were replaced before `before`.
    pub async fn drop_previous_refresh_tokens(&mut self, before: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("UPDATE grants SET rt_previous = NULL WHERE rt_previous IS NOT NULL AND rt_rotated_at < $1")
            .bind(before.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
    }

    /// Deletes what a token yielded.
    pub async fn delete_grant(&mut self, token: &TokenId) -> StoreResult<()> {
        sqlx::query("DELETE FROM grants WHERE token_id = $1")
            .bind(token.as_str())
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Adds a line to a token's history.
    pub async fn add_token_event(&mut self, id: String, token: &TokenId, event: &TokenEvent) -> StoreResult<()> {
        sqlx::query(
            "INSERT INTO token_events (id, token_id, at, sequence, kind, actor, text)
             VALUES ($1, $2, $3, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM token_events WHERE token_id = $2), $4, $5, $6)",
        )
        .bind(id)
        .bind(token.as_str())
        .bind(event.at.0)
        .bind(event.kind.as_str())
        .bind(&event.actor)
        .bind(&event.text)
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Keeps only the newest lines of one kind in a token's history.
    pub async fn prune_token_events(&mut self, token: &TokenId, kind: TokenEventKind, keep: i64) -> StoreResult<()> {
        sqlx::query(
            "DELETE FROM token_events WHERE token_id = $1 AND kind = $2 AND sequence < (SELECT MIN(newest.sequence) FROM
             (SELECT sequence FROM token_events WHERE token_id = $1 AND kind = $2 ORDER BY sequence DESC LIMIT $3) AS newest)",
        )
        .bind(token.as_str())
        .bind(kind.as_str())
        .bind(keep)
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Ends an open authorization; only one caller can. Says whether this one did.
    pub async fn finish_authorization(&mut self, id: &str, outcome: &str, detail: &str, now: Timestamp) -> StoreResult<bool> {
        let done = sqlx::query("UPDATE authorizations SET outcome = $2, detail = $3, finished_at = $4 WHERE id = $1 AND outcome = ''")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .bind(now.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Replaces the words of an ended authorization (it is claimed first, its outcome known later).
    pub async fn amend_authorization(&mut self, id: &str, outcome: &str, detail: &str) -> StoreResult<()> {
        sqlx::query("UPDATE authorizations SET outcome = $2, detail = $3 WHERE id = $1 AND outcome <> ''")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Deletes authorizations that ended or ran out before `before`.
    pub async fn delete_old_authorizations(&mut self, before: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("DELETE FROM authorizations WHERE expires_at < $1")
            .bind(before.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(done.rows_affected())
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
        .execute(&mut ***self)
        .await
        .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Notes that a link was opened for the first time.
    pub async fn mark_link_opened(&mut self, id: &str, now: Timestamp) -> StoreResult<()> {
        sqlx::query("UPDATE links SET opened_at = $2 WHERE id = $1 AND opened_at IS NULL")
            .bind(id)
            .bind(now.0)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
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
                .execute(&mut ***self)
                .await
                .map_err(StoreError::from_write)?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes how the last try through a link ended, without using it up (a different account, a cancelled sign-in).
    pub async fn note_link(&mut self, id: &str, outcome: &str, detail: &str) -> StoreResult<()> {
        sqlx::query("UPDATE links SET outcome = $2, detail = $3 WHERE id = $1 AND used_at IS NULL")
            .bind(id)
            .bind(outcome)
            .bind(detail)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }

    /// Takes a link back.
    pub async fn withdraw_link(&mut self, id: &str) -> StoreResult<()> {
        sqlx::query("UPDATE links SET withdrawn = 1 WHERE id = $1 AND used_at IS NULL")
            .bind(id)
            .execute(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind_grant<'q>(query: Query<'q>, g: &'q Grant) -> Query<'q> {
    let sealed = |value: &'q Option<(Sealed, i64)>| {
        (
            value.as_ref().map(|(sealed, _)| sealed.0.as_str()),
            value.as_ref().map_or(0, |(_, version)| *version),
        )
    };
    let (current, previous, access) = (sealed(&g.rt_current), sealed(&g.rt_previous), sealed(&g.access_token));
    query
        .bind(g.state.as_str())
        .bind(current.0)
        .bind(current.1)
        .bind(i64::from(g.rt_current_proven))
        .bind(previous.0)
        .bind(previous.1)
        .bind(g.rt_rotated_at.map(|at| at.0))
        .bind(access.0)
        .bind(access.1)
        .bind(g.token_type.as_str())
        .bind(g.issued_at.map(|at| at.0))
        .bind(g.expires_at.map(|at| at.0))
        .bind(to_json(&g.granted_scopes))
        .bind(to_json(&g.identity))
        .bind(g.destination.as_str())
        .bind(g.authorized_at.map(|at| at.0))
        .bind(g.authorized_by.as_deref())
        .bind(g.refreshed_at.map(|at| at.0))
        .bind(g.lease_owner.as_deref())
        .bind(g.lease_until.map(|at| at.0))
        .bind(g.attempt_id.as_deref())
        .bind(g.attempt_started.map(|at| at.0))
        .bind(g.outcome.as_str())
        .bind(g.failures)
        .bind(g.retry_at.map(|at| at.0))
        .bind(g.last_error.as_deref())
        .bind(g.last_error_at.map(|at| at.0))
}

fn token(row: &AnyRow) -> StoreResult<Token> {
    Ok(Token {
        id: TokenId(row.text("id")?),
        name: name(row, "name")?,
        provider_id: ProviderId(row.text("provider_id")?),
        provider: name(row, "provider")?,
        grant: row.word("grant_type", GrantType::parse)?,
        user: row.maybe_text("account")?,
        scopes: row.json("scopes")?,
        prompt: row.maybe_text("prompt")?.as_deref().and_then(Prompt::parse),
        shared: row.flag("shared")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn grant(row: &AnyRow) -> StoreResult<Grant> {
    let sealed = |column, version| {
        Ok::<_, StoreError>(match row.maybe_text(column)? {
            Some(text) => Some((Sealed(text), row.int(version)?)),
            None => None,
        })
    };
    Ok(Grant {
        token_id: TokenId(row.text("token_id")?),
        state: row.word("state", GrantState::parse)?,
        generation: row.int("generation")?,
        rt_current: sealed("rt_current", "rt_current_version")?,
        rt_current_proven: row.flag("rt_current_proven")?,
        rt_previous: sealed("rt_previous", "rt_previous_version")?,
        rt_rotated_at: row.maybe_time("rt_rotated_at")?,
        access_token: sealed("access_token", "access_version")?,
        token_type: row.text("token_type")?,
        issued_at: row.maybe_time("issued_at")?,
        expires_at: row.maybe_time("expires_at")?,
        granted_scopes: row.json("granted_scopes")?,
        identity: row.json("identity")?,
        destination: row.text("destination")?,
        authorized_at: row.maybe_time("authorized_at")?,
        authorized_by: row.maybe_text("authorized_by")?,
        refreshed_at: row.maybe_time("refreshed_at")?,
        lease_owner: row.maybe_text("lease_owner")?,
        lease_until: row.maybe_time("lease_until")?,
        attempt_id: row.maybe_text("attempt_id")?,
        attempt_started: row.maybe_time("attempt_started")?,
        outcome: row.text("outcome")?,
        failures: row.int("failures")?,
        retry_at: row.maybe_time("retry_at")?,
        last_error: row.maybe_text("last_error")?,
        last_error_at: row.maybe_time("last_error_at")?,
    })
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
