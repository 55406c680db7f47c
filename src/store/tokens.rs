//! Outbound tokens and their histories.

use super::{Columns, Store, StoreError, StoreResult, Tx, Write, name, to_json};
use crate::model::token::{GrantType, Prompt, Token, TokenEvent, TokenEventKind};
use crate::model::{Name, ProviderId, TokenId};
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

    /// Some of the tokens of a provider that are got in one of these ways, by name: at most `limit`. `user`: of this account alone, in
    /// capitals or not; empty: of any.
    pub async fn some_tokens_of(&self, provider: &ProviderId, grants: [GrantType; 2], user: &str, limit: i64) -> StoreResult<Vec<Token>> {
        let rows = sqlx::query(select_token!(
            "WHERE t.provider_id = $1 AND t.grant_type IN ($2, $3) AND ($4 = '' OR LOWER(t.account) = $4) ORDER BY t.name LIMIT $5"
        ))
        .bind(provider.as_str())
        .bind(grants[0].as_str())
        .bind(grants[1].as_str())
        .bind(user.to_lowercase())
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(token).collect()
    }

    /// What the tokens of a provider are like: how they are got and what they ask for, each pair once, and the first name with it.
    pub async fn kinds_of_tokens(&self, provider: &ProviderId) -> StoreResult<Vec<(GrantType, Vec<String>)>> {
        let rows =
            sqlx::query("SELECT grant_type, scopes FROM tokens WHERE provider_id = $1 GROUP BY grant_type, scopes ORDER BY MIN(name)")
                .bind(provider.as_str())
                .fetch_all(self.pool())
                .await?;
        rows.iter()
            .map(|row| Ok((row.word("grant_type", GrantType::parse)?, row.json("scopes")?)))
            .collect()
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
        .write(self)
        .await?;
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
        .write(self)
        .await?;
        if done == 0 { Err(StoreError::Stale) } else { Ok(()) }
    }

    /// Deletes a token with its grant and history; [`StoreError::InUse`] while mailboxes use it.
    pub async fn delete_token(&mut self, id: &TokenId) -> StoreResult<()> {
        sqlx::query("DELETE FROM tokens WHERE id = $1")
            .bind(id.as_str())
            .write(self)
            .await?;
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
        .write(self)
        .await?;
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
        .write(self)
        .await?;
        Ok(())
    }
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
