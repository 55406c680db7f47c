//! Providers.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write, name, to_json};
use crate::clock::Timestamp;
use crate::model::credential::{Credentials, Fallback};
use crate::model::provider::{AssertionAlg, ClientAuth, Cloud, ConsentScreen, Provider, StoredSecret};
use crate::model::template::TemplateKind;
use crate::model::token::{GrantType, Prompt};
use crate::model::{Date, Name, ProviderId, Sealed};
use sqlx::any::AnyRow;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, template, tenant, cloud, client_id, client_auth, client_secret, client_secret_version, client_secret_hint, ",
            "client_secret_set_at, client_secret_set_by, client_secret_expires, consent_screen, grant_type, scopes, prompt, login_hint, pkce, ",
            "endpoints, extra_authorize_params, problem, problem_since, version, created_at, updated_at, assertion_alg, certificate, ",
            "next_certificate, fallback FROM providers ",
            $rest
        )
    };
}

/// What hangs on a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// Its id.
    pub provider: ProviderId,
    /// Number of tokens.
    pub tokens: i64,
    /// Number of mailboxes that use them, with those that are turned off.
    pub mailboxes: i64,
    /// How many of these are turned off.
    pub turned_off: i64,
}

/// When providers last gave a token to somebody.
macro_rules! successes {
    ($rest:literal) => {
        concat!(
            "SELECT t.provider_id AS id, MAX(COALESCE(g.refreshed_at, g.authorized_at)) AS at FROM grants g JOIN tokens t ON t.id = g.token_id ",
            $rest,
            " GROUP BY t.provider_id"
        )
    };
}

impl Store {
    /// A provider by its name.
    pub async fn provider(&self, name: &Name) -> StoreResult<Option<Provider>> {
        let row = sqlx::query(select!("WHERE name = $1"))
            .bind(name.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(provider).transpose()
    }

    /// A provider by its id.
    pub async fn provider_by_id(&self, id: &ProviderId) -> StoreResult<Option<Provider>> {
        let row = sqlx::query(select!("WHERE id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(provider).transpose()
    }

    /// The names of all providers.
    pub async fn provider_names(&self) -> StoreResult<Vec<String>> {
        Ok(sqlx::query_scalar("SELECT name FROM providers ORDER BY name LIMIT 500")
            .fetch_all(self.pool())
            .await?)
    }

    /// Every provider, by name.
    pub async fn providers(&self) -> StoreResult<Vec<Provider>> {
        let rows = sqlx::query(select!("ORDER BY name")).fetch_all(self.pool()).await?;
        rows.iter().map(provider).collect()
    }

    /// What hangs on each provider. A mailbox has one token as a rule, so it is joined once; only those whose two tokens are of different
    /// providers are looked for once more.
    pub async fn provider_usage(&self) -> StoreResult<Vec<Usage>> {
        let rows = sqlx::query(
            "SELECT p.id AS id, (SELECT COUNT(*) FROM tokens t WHERE t.provider_id = p.id) AS tokens,
                    COALESCE(u.mailboxes, 0) AS mailboxes, COALESCE(u.turned_off, 0) AS turned_off
             FROM providers p LEFT JOIN (
                 SELECT provider_id, COUNT(*) AS mailboxes, COUNT(CASE WHEN enabled = 0 THEN 1 END) AS turned_off FROM (
                     SELECT t.provider_id AS provider_id, m.enabled AS enabled
                     FROM mailboxes m JOIN tokens t ON t.id = COALESCE(m.incoming_token_id, m.outgoing_token_id)
                     UNION ALL
                     SELECT o.provider_id AS provider_id, m.enabled AS enabled
                     FROM mailboxes m JOIN tokens i ON i.id = m.incoming_token_id JOIN tokens o ON o.id = m.outgoing_token_id
                     WHERE m.incoming_token_id <> m.outgoing_token_id AND i.provider_id <> o.provider_id
                 ) AS used GROUP BY provider_id
             ) AS u ON u.provider_id = p.id",
        )
        .fetch_all(self.pool())
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Usage {
                    provider: ProviderId(row.text("id")?),
                    tokens: row.int("tokens")?,
                    mailboxes: row.int("mailboxes")?,
                    turned_off: row.int("turned_off")?,
                })
            })
            .collect()
    }

    /// When each provider last gave a token to somebody; not those that never did. It goes through all grants, so only who tells it asks.
    pub async fn provider_successes(&self) -> StoreResult<Vec<(ProviderId, Timestamp)>> {
        let rows = sqlx::query(successes!("WHERE COALESCE(g.refreshed_at, g.authorized_at) IS NOT NULL"))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((ProviderId(row.text("id")?), row.time("at")?))).collect()
    }

    /// When a provider last gave a token to somebody; none if it never did.
    pub async fn provider_succeeded_at(&self, id: &ProviderId) -> StoreResult<Option<Timestamp>> {
        let row = sqlx::query(successes!("WHERE t.provider_id = $1"))
            .bind(id.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.map_or(Ok(None), |row| row.maybe_time("at"))
    }
}

impl Tx {
    /// Adds a provider. [`StoreError::Taken`] when the name is.
    pub async fn insert_provider(&mut self, provider: &Provider) -> StoreResult<()> {
        let query = sqlx::query(
            "INSERT INTO providers (id, name, version, created_at, template, tenant, cloud, client_id, client_auth, client_secret, client_secret_version,
             client_secret_hint, client_secret_set_at, client_secret_set_by, client_secret_expires, consent_screen, grant_type, scopes, prompt,
             login_hint, pkce, endpoints, extra_authorize_params, problem, problem_since, updated_at, assertion_alg, certificate, next_certificate,
             fallback)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27,
             $28, $29, $30)",
        );
        let query = query
            .bind(provider.id.as_str())
            .bind(provider.name.as_str())
            .bind(provider.version)
            .bind(provider.created_at.0);
        bind(query, provider).write(self).await?;
        Ok(())
    }

    /// Saves a provider that was read at `provider.version`; [`StoreError::Stale`] if somebody saved it since. The stored version
    /// becomes one higher.
    pub async fn update_provider(&mut self, provider: &Provider) -> StoreResult<()> {
        let query = sqlx::query(
            "UPDATE providers SET name = $2, version = $3 + 1, created_at = $4, template = $5, tenant = $6, cloud = $7, client_id = $8, client_auth = $9,
             client_secret = $10, client_secret_version = $11, client_secret_hint = $12, client_secret_set_at = $13, client_secret_set_by = $14,
             client_secret_expires = $15, consent_screen = $16, grant_type = $17, scopes = $18, prompt = $19, login_hint = $20, pkce = $21,
             endpoints = $22, extra_authorize_params = $23, problem = $24, problem_since = $25, updated_at = $26, assertion_alg = $27,
             certificate = $28, next_certificate = $29, fallback = $30
             WHERE id = $1 AND version = $3",
        );
        let query = query
            .bind(provider.id.as_str())
            .bind(provider.name.as_str())
            .bind(provider.version)
            .bind(provider.created_at.0);
        let done = bind(query, provider).write(self).await?;
        if done == 0 { Err(StoreError::Stale) } else { Ok(()) }
    }

    /// Sets or clears the problem of the app itself, a diagnosis as JSON; says whether that is another one than before. By its id: what
    /// the provider said differs each time.
    pub async fn set_provider_problem(&mut self, id: &ProviderId, problem: Option<&str>, now: Timestamp) -> StoreResult<bool> {
        let Some(mut before) = self.problem_of("SELECT problem FROM providers WHERE id = $1", id).await? else {
            return Ok(false);
        };
        // Every renewal comes here, and nearly none has news: only what has locks the row, and of two that have the same, the first.
        if before.as_deref() != problem && self.has_others_beside() {
            let now = self
                .problem_of("SELECT problem FROM providers WHERE id = $1 FOR UPDATE", id)
                .await?;
            let Some(now) = now else { return Ok(false) };
            before = now;
        }
        if before.as_deref() == problem {
            return Ok(false);
        }
        sqlx::query(
            "UPDATE providers SET problem = $2, problem_since = CASE WHEN $2 IS NULL THEN NULL ELSE COALESCE(problem_since, $3) END
             WHERE id = $1",
        )
        .bind(id.as_str())
        .bind(problem)
        .bind(now.0)
        .write(self)
        .await?;
        Ok(diagnosis_id(before.as_deref()) != diagnosis_id(problem))
    }

    async fn problem_of(&mut self, statement: &'static str, id: &ProviderId) -> StoreResult<Option<Option<String>>> {
        let row = sqlx::query_scalar(statement).bind(id.as_str());
        row.fetch_optional(&mut ***self).await.map_err(StoreError::from_write)
    }

    /// Notes when the fallback was last needed, if it is still the one that was; says whether it is.
    pub async fn note_fallback(&mut self, id: &ProviderId, was: &Fallback, used_at: Timestamp) -> StoreResult<bool> {
        let new = Fallback {
            used_at: Some(used_at),
            ..was.clone()
        };
        let done = sqlx::query("UPDATE providers SET fallback = $2 WHERE id = $1 AND fallback = $3")
            .bind(id.as_str())
            .bind(to_json(&new))
            .bind(to_json(was))
            .write(self)
            .await?;
        Ok(done > 0)
    }

    /// Deletes a provider; [`StoreError::InUse`] while tokens hang on it.
    pub async fn delete_provider(&mut self, id: &ProviderId) -> StoreResult<()> {
        sqlx::query("DELETE FROM providers WHERE id = $1")
            .bind(id.as_str())
            .write(self)
            .await?;
        Ok(())
    }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Any, sqlx::any::AnyArguments>;

fn bind<'q>(query: Query<'q>, provider: &'q Provider) -> Query<'q> {
    let secret = provider.client_secret.as_ref();
    query
        .bind(provider.template.as_str())
        .bind(provider.tenant.as_deref())
        .bind(provider.cloud.as_str())
        .bind(provider.client_id.as_str())
        .bind(provider.client_auth.as_str())
        .bind(secret.map(|secret| secret.sealed.0.as_str()))
        .bind(secret.map_or(0, |secret| secret.version))
        .bind(secret.map(|secret| secret.hint.as_str()))
        .bind(secret.map(|secret| secret.set_at.0))
        .bind(secret.map(|secret| secret.set_by.as_str()))
        .bind(provider.client_secret_expires.map(|date| date.to_string()))
        .bind(provider.consent_screen.map(ConsentScreen::as_str))
        .bind(provider.grant.as_str())
        .bind(to_json(&provider.scopes))
        .bind(provider.prompt.as_str())
        .bind(i64::from(provider.login_hint))
        .bind(i64::from(provider.pkce))
        .bind(to_json(&provider.overrides))
        .bind(to_json(&provider.extra_authorize_params))
        .bind(provider.problem.as_deref())
        .bind(provider.problem_since.map(|at| at.0))
        .bind(provider.updated_at.0)
        .bind(provider.credentials.alg.as_str())
        .bind(provider.credentials.certificate.as_ref().map(to_json))
        .bind(provider.credentials.next.as_ref().map(to_json))
        .bind(provider.credentials.fallback.as_ref().map(to_json))
}

fn provider(row: &AnyRow) -> StoreResult<Provider> {
    let client_secret = match (row.maybe_text("client_secret")?, row.maybe_time("client_secret_set_at")?) {
        (Some(sealed), Some(set_at)) => Some(StoredSecret {
            sealed: Sealed(sealed),
            version: row.int("client_secret_version")?,
            set_at,
            set_by: row.maybe_text("client_secret_set_by")?.unwrap_or_default(),
            hint: row.maybe_text("client_secret_hint")?.unwrap_or_default(),
        }),
        _ => None,
    };
    Ok(Provider {
        id: ProviderId(row.text("id")?),
        name: name(row, "name")?,
        template: row.word("template", TemplateKind::parse)?,
        tenant: row.maybe_text("tenant")?,
        cloud: row.word("cloud", Cloud::parse)?,
        client_id: row.text("client_id")?,
        client_auth: row.word("client_auth", ClientAuth::parse)?,
        client_secret,
        client_secret_expires: row.maybe_text("client_secret_expires")?.as_deref().and_then(Date::parse),
        credentials: Credentials {
            alg: row.word("assertion_alg", AssertionAlg::parse)?,
            certificate: maybe_json(row, "certificate")?,
            next: maybe_json(row, "next_certificate")?,
            fallback: maybe_json(row, "fallback")?,
        },
        consent_screen: row.maybe_text("consent_screen")?.as_deref().and_then(ConsentScreen::parse),
        grant: row.word("grant_type", GrantType::parse)?,
        scopes: row.json("scopes")?,
        prompt: row.word("prompt", Prompt::parse)?,
        login_hint: row.flag("login_hint")?,
        pkce: row.flag("pkce")?,
        overrides: row.json("endpoints")?,
        extra_authorize_params: row.json("extra_authorize_params")?,
        problem: row.maybe_text("problem")?,
        problem_since: row.maybe_time("problem_since")?,
        version: row.int("version")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn maybe_json<T: serde::de::DeserializeOwned>(row: &AnyRow, column: &'static str) -> StoreResult<Option<T>> {
    match row.maybe_text(column)? {
        Some(_) => row.json(column).map(Some),
        None => Ok(None),
    }
}

/// The id in a diagnosis as it is stored; a text that is none stands for itself.
pub fn diagnosis_id(stored: Option<&str>) -> Option<String> {
    let text = stored?;
    let found: Option<serde_json::Value> = serde_json::from_str(text).ok();
    let id = found.and_then(|found| Some(found.get("id")?.as_str()?.to_owned()));
    Some(id.unwrap_or_else(|| text.to_owned()))
}
