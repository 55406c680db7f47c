//! Grants: the sealed token sets and the record of their renewals.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write, to_json};
use crate::clock::Timestamp;
use crate::model::token::{Grant, GrantState};
use crate::model::{ProviderId, Sealed, TokenId};
use sqlx::any::AnyRow;

macro_rules! select_grant {
    ($rest:literal) => {
        concat!(
            "SELECT token_id, state, generation, rt_current, rt_current_version, rt_current_proven, rt_previous, rt_previous_version, rt_rotated_at, ",
            "access_token, access_version, token_type, issued_at, expires_at, granted_scopes, identity, destination, authorized_at, authorized_by, ",
            "refreshed_at, lease_owner, lease_until, attempt_id, attempt_started, outcome, failures, retry_at, last_error, last_error_at, others FROM grants ",
            $rest
        )
    };
}

macro_rules! insert_grant {
    ($rest:literal) => {
        concat!(
            "INSERT INTO grants (token_id, generation, state, rt_current, rt_current_version, rt_current_proven, rt_previous, rt_previous_version,
             rt_rotated_at, access_token, access_version, token_type, issued_at, expires_at, granted_scopes, identity, destination, authorized_at,
             authorized_by, refreshed_at, lease_owner, lease_until, attempt_id, attempt_started, outcome, failures, retry_at, last_error, last_error_at, others, due_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31)",
            $rest
        )
    };
}

impl Store {
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
            "UPDATE grants SET lease_owner = $3, lease_until = $4, attempt_id = $5, attempt_started = $6, outcome = 'sent', due_at = $6
             WHERE token_id = $1 AND generation = $2 AND (lease_owner IS NULL OR lease_until <= $6 OR lease_owner = $7)",
        )
        .bind(token.as_str())
        .bind(generation)
        .bind(owner)
        .bind(until.0)
        .bind(attempt)
        .bind(now.0)
        .bind(stale.unwrap_or(owner))
        .write(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(done == 1)
    }
}

impl Tx {
    /// Makes every token be renewed when it is next asked for, without waiting for anything; renewals under way are left alone.
    pub async fn renew_at_next_use(&mut self, now: Timestamp) -> StoreResult<()> {
        sqlx::query(
            "UPDATE grants SET expires_at = $1, retry_at = NULL, others = '[]', due_at = CASE WHEN due_at IS NULL THEN NULL ELSE $1 END
             WHERE lease_owner IS NULL",
        )
        .bind(now.0)
        .write(self)
        .await?;
        Ok(())
    }

    /// Takes for unknown what was granted, so that the next renewals ask for everything that tokens want.
    pub async fn forget_granted_scopes(&mut self) -> StoreResult<()> {
        sqlx::query("UPDATE grants SET granted_scopes = '[]' WHERE lease_owner IS NULL")
            .write(self)
            .await?;
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
        let query = sqlx::query(insert_grant!(""));
        let query = query.bind(grant.token_id.as_str()).bind(grant.generation);
        bind_grant(query, grant).write(self).await?;
        Ok(())
    }

    /// Stores a first grant, unless somebody was quicker.
    pub async fn begin_grant(&mut self, grant: &Grant) -> StoreResult<()> {
        let query = sqlx::query(insert_grant!(" ON CONFLICT (token_id) DO NOTHING"));
        let query = query.bind(grant.token_id.as_str()).bind(grant.generation);
        bind_grant(query, grant).write(self).await?;
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
             last_error_at = $29, others = $30, due_at = $31
             WHERE token_id = $1 AND generation = $32 AND ($33 = '' OR attempt_id = $33)",
        );
        let query = query.bind(grant.token_id.as_str()).bind(grant.generation);
        let done = bind_grant(query, grant)
            .bind(was)
            .bind(attempt.unwrap_or_default())
            .write(self)
            .await?;
        Ok(done == 1)
    }

    /// Notes why a grant can't be renewed, found before anything was sent: only over the attempt and the claim that were read as `was`.
    pub async fn refuse_grant(&mut self, grant: &Grant, was: &Grant) -> StoreResult<bool> {
        let done = sqlx::query(
            "UPDATE grants SET state = $5, outcome = $6, failures = $7, retry_at = $8, last_error = $9, last_error_at = $10,
             lease_owner = NULL, lease_until = NULL, due_at = $11
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
        .bind(grant.due_at().map(|at| at.0))
        .write(self)
        .await?;
        Ok(done == 1)
    }

    /// Lets the failing grants of a provider be tried again at once: what they failed at may be mended now.
    pub async fn retry_grants_of(&mut self, provider: &ProviderId) -> StoreResult<()> {
        sqlx::query(
            "UPDATE grants SET retry_at = NULL, failures = 0, due_at = 0 WHERE state = 'failing' AND token_id IN (SELECT id FROM tokens WHERE provider_id = $1)",
        )
        .bind(provider.as_str())
        .write(self)
        .await?;
        Ok(())
    }

    /// Lets the grants of a provider be tried again at once that failed for this reason, an entry of the diagnosis: it has passed.
    pub async fn retry_grants_that(&mut self, provider: &ProviderId, reason: &str) -> StoreResult<u64> {
        let done = sqlx::query(
            "UPDATE grants SET retry_at = NULL, failures = 0, due_at = 0 WHERE state = 'failing' AND lease_owner IS NULL AND last_error LIKE $2
             AND token_id IN (SELECT id FROM tokens WHERE provider_id = $1)",
        )
        .bind(provider.as_str())
        .bind(format!("{{\"id\":\"{reason}\"%"))
        .write(self)
        .await?;
        Ok(done)
    }

    /// What waited for an admin's consent is tried again: the provider may take its refresh token now.
    pub async fn retry_unconsented(&mut self, provider: &ProviderId) -> StoreResult<()> {
        sqlx::query(
            "UPDATE grants SET state = 'failing', retry_at = NULL, failures = 0, due_at = 0 WHERE state = 'revoked' AND rt_current IS NOT NULL
             AND last_error LIKE '{\"id\":\"entra-65001-consent-missing\"%' AND token_id IN (SELECT id FROM tokens WHERE provider_id = $1)",
        )
        .bind(provider.as_str())
        .write(self)
        .await?;
        Ok(())
    }

    /// Deletes previous refresh tokens that were replaced before `before`.
    pub async fn drop_previous_refresh_tokens(&mut self, before: Timestamp) -> StoreResult<u64> {
        let done = sqlx::query("UPDATE grants SET rt_previous = NULL WHERE rt_previous IS NOT NULL AND rt_rotated_at < $1")
            .bind(before.0)
            .write(self)
            .await?;
        Ok(done)
    }

    /// Deletes what a token yielded. Says which generation that was, and its refresh token: nobody renews it after this.
    pub async fn delete_grant(&mut self, token: &TokenId) -> StoreResult<Option<(i64, Option<Sealed>)>> {
        let row = sqlx::query("DELETE FROM grants WHERE token_id = $1 RETURNING generation, rt_current")
            .bind(token.as_str())
            .fetch_optional(&mut ***self)
            .await
            .map_err(StoreError::from_write)?;
        row.map(|row| Ok((row.int("generation")?, row.maybe_text("rt_current")?.map(Sealed))))
            .transpose()
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
        .bind(to_json(&g.others))
        .bind(g.due_at().map(|at| at.0))
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
        others: row.json("others")?,
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
